"""What blends and decisions are fitted to."""

import numpy as np
import pytest
from helpers import MASK

from kit.blending.target import CELLS, Target, halves
from kit.competition import Competition


def test_a_score_is_the_metric_s_and_its_goodness_has_a_direction():
    truth = np.array([0, 1])
    probs = np.array([[0.8, 0.2], [0.6, 0.4]])
    loss = Competition(name="x", classes=("a", "b"), metric="log_loss")
    target = Target(truth, truth, loss)
    assert target.score(probs) == pytest.approx(-np.log([0.8, 0.4]).mean())
    assert target.plain(probs) == target.goodness(probs) == -target.score(probs)
    right = Target(truth, truth, Competition(name="x", classes=("a", "b"), metric="accuracy"))
    assert right.plain(probs) == 0.5 and not right.several
    labels = Competition(name="x", kind="labels", classes=("a", "b"), metric="f1_micro")
    several = Target(np.array([[1, 0], [0, 1]], np.uint8), truth, labels)
    assert several.several and several.plain(probs) == pytest.approx(2 / (2 + 2))


def test_a_part_has_the_same_photos_of_all():
    target = Target(np.arange(18), np.arange(18) // 2, MASK)
    part = target.part(np.array([3, 5]))
    assert part.truth.tolist() == [3, 5] and part.groups.tolist() == [1, 2]
    assert part.classes == 18


def test_some_photos_are_all_or_drawn_ones():
    target = Target(np.zeros(1000, np.int64), np.arange(1000), MASK)
    assert target.some() == slice(None)
    rows = target.some(18 * 200)
    assert len(rows) == 200 and (np.diff(rows) > 0).all()


def test_some_photos_are_a_hundred_at_least_and_are_spread():
    target = Target(np.zeros(1000, np.int64), np.arange(1000), MASK)
    assert len(target.some(18)) == 100 and target.some(18 * 1000) == slice(None)
    rows = target.some(18 * 999)
    assert len(rows) == 999 == len(set(rows)) and CELLS == 2**21
    assert len(target.some(18 * 200 - 1)) == 199
    few = target.some(18 * 200)
    assert few.min() < 50 and few.max() > 950


def test_each_bag_has_half_of_the_groups_with_all_of_their_photos():
    for count in (1, 2, 7, 40):
        groups = np.array([f"g{n}" for n in np.arange(3 * count) % count])
        bags = halves(groups, 5)
        assert len(bags) == 5 and all(bag.dtype == bool for bag in bags)
        for bag in bags:
            assert len(set(groups[bag])) == (count + 1) // 2
            assert not set(groups[bag]) & set(groups[~bag])
        assert all((a == b).all() for a, b in zip(bags, halves(groups, 5)))
    assert len({tuple(bag) for bag in halves(np.arange(40), 9)}) == 9
