"""Blends by hand, and invariants of all."""

import numpy as np
import pytest
from draws import simulated
from helpers import MASK

from kit.blending.fit import fit_rule
from kit.blending.rule import BLENDS, Rule, decide, uniform_rule, weighted
from kit.blending.target import Target


def test_blends_by_hand():
    a, b = np.full(18, 0.01), np.full(18, 0.02)
    a[:2], b[:2] = (0.5, 0.34), (0.3, 0.38)
    members = np.stack([a, b])[:, None]
    np.testing.assert_allclose(
        uniform_rule("mean", 2, 18).probs(members)[0, :3], [0.4, 0.36, 0.015]
    )
    np.testing.assert_allclose(
        Rule("greedy", np.array([0.25, 0.75]), 1.0, np.zeros(18)).probs(members)[0, :2],
        [0.35, 0.37],
    )
    geometric = np.sqrt(a * b)
    np.testing.assert_allclose(
        uniform_rule("gmean", 2, 18).probs(members)[0], geometric / geometric.sum()
    )
    third = np.full(18, 0.5 / 16)
    third[:2] = 0.2, 0.3
    votes = uniform_rule("vote", 3, 18).probs(np.stack([a, b, third])[:, None])[0]
    assert votes.argmax() == 1 and votes.sum() == pytest.approx(1) and np.sort(votes)[-2] < 0.4
    tie = uniform_rule("vote", 2, 18).probs(members)[0]
    assert tie.argmax() == 0  # one vote each, and the mean is for class 0
    assert decide(members[0], np.ones(18)).tolist() == [0]
    gains = Rule("mean", np.ones(1), 2.0, np.eye(18)[1] * np.log(2) / 2).gains
    assert gains[1] == pytest.approx(2) and decide(members[0], gains).tolist() == [1]


@pytest.mark.parametrize("blend", [name for name in BLENDS if name != "rank"])
def test_every_blend_gives_probabilities_and_keeps_a_single_members_classes(blend):
    members, truth, person, _ = simulated(0)
    rule = fit_rule(members, Target(truth, person, MASK), blend, "argmax")
    assert rule.weights.sum() == pytest.approx(1) and (rule.weights >= 0).all()
    np.testing.assert_allclose(rule.probs(members).sum(axis=1), 1, atol=1e-5)
    alone = fit_rule(members[:1], Target(truth, person, MASK), blend, "argmax")
    assert (alone.classes(members[:1]) == members[0].argmax(axis=1)).all()


def test_a_weighted_sum_is_the_same_whatever_rows_are_with_it():
    members = simulated(1)[0]
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    whole = weighted(members, weights)
    for rows in (slice(0, 1), slice(5, 100), np.array([7, 3])):
        assert (weighted(members[:, rows], weights) == whole[rows]).all()
