"""What blends and decisions are fitted to."""

import numpy as np
import pytest
from helpers import MASK

from kit.blending.target import Target
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
