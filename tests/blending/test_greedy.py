"""Greedy selection."""

import numpy as np
import pytest
from conftest import simulated

from kit.blending.fit import convex_weights
from kit.blending.greedy import climb, fixed_point, greedy
from kit.blending.rule import distinct_members, weighted
from kit.scoring.metrics import macro_f1


def test_greedy_is_never_below_its_best_single_member_in_sample():
    for seed in range(40):
        members, truth, person, _ = simulated(
            seed, members=2 + seed % 6, people=20, noise=0.5 + seed % 3
        )
        weights = greedy(members, truth, person, bags=5, steps=8)
        best = max(macro_f1(truth, m.argmax(axis=1), 18) for m in members)
        assert weights.sum() == pytest.approx(1)
        assert macro_f1(truth, weighted(members, weights).argmax(axis=1), 18) >= best - 1e-12


def test_a_copy_of_a_member_changes_no_greedy_result():
    for seed in range(15):
        members, truth, person, _ = simulated(seed, members=3 + seed % 3, people=20)
        rng = np.random.default_rng(seed)
        copied = rng.integers(len(members))
        copy = members[copied] + rng.uniform(-4e-5, 4e-5, members[0].shape).astype(
            np.float32
        )  # as from a table of four decimals
        plain = greedy(members, truth, person, bags=5, steps=8)
        more = greedy(np.concatenate([members, copy[None]]), truth, person, bags=5, steps=8)
        assert more[-1] == 0 and (more[:-1] == plain).all()
        assert convex_weights(np.concatenate([members, copy[None]]), truth)[-1] == 0
    assert distinct_members(np.stack([members[0], members[1], members[0]])) == [0, 1]


def test_greedy_is_caruanas_where_everything_can_be_tried():
    """One bag of all members and people, two steps: the best single one, and the best one to add to
    it.
    """
    for seed in range(20):
        members, truth, _, _ = simulated(seed, members=4, people=20)
        weights = climb(fixed_point(members), truth, 2)
        f1 = [macro_f1(truth, m.argmax(axis=1), 18) for m in members]
        first = int(np.argmax(f1))
        pairs = [
            macro_f1(truth, (members[first].astype(float) + m).argmax(axis=1), 18) for m in members
        ]
        expected = np.eye(4)[first] if f1[first] > max(pairs) else None
        if expected is None:
            assert macro_f1(truth, weighted(members, weights).argmax(axis=1), 18) == pytest.approx(
                max(pairs)
            )
        else:
            np.testing.assert_allclose(weights, expected)


def test_greedy_breaks_ties_of_macro_f1_by_log_loss():
    truth = np.array([0, 1, 2, 0])
    unsure, sure = np.full((4, 18), 0.03), np.full((4, 18), 0.005)
    unsure[np.arange(4), truth], sure[np.arange(4), truth] = 0.49, 0.915
    weights = climb(fixed_point(np.stack([unsure, sure])), truth, 5)
    assert weights.tolist() == [0, 1]


def test_scores_are_reproducible_for_shuffled_rows():
    """Rows in another order: the same weights, for people and not rows are drawn."""
    members, truth, person, _ = simulated(0, people=30)
    order = np.random.default_rng(0).permutation(len(truth))
    same = greedy(members[:, order], truth[order], person[order], bags=4, steps=6)
    assert (same == greedy(members, truth, person, bags=4, steps=6)).all()
