"""Blends by hand, and invariants of all."""

import dataclasses

import numpy as np
import pytest
from draws import simulated
from helpers import MASK

from kit.blending.choices import BLENDS
from kit.blending.fit import fit_rule
from kit.blending.rule import (
    Rule,
    at_temperature,
    clipped,
    decide,
    distinct_members,
    log_probs,
    logits,
    plain_rule,
    uniform_rule,
    weighted,
)
from kit.blending.target import Target
from kit.competition import Competition
from kit.scoring.metrics import decided


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
    # Three votes of a third each, of which the mean takes a share of (1/6) / (4/3) = 1/8.
    mean = (a + b + third) / 3
    assert votes == pytest.approx(7 / 8 * np.eye(18)[[0, 1, 1]].mean(axis=0) + mean / 8)
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


LABELS = Competition(name="labels", kind="labels", classes=("a", "b", "c"), metric="f1_micro")
GRADES = Competition(
    name="grades", kind="order", classes=("0", "1", "2"), metric="quadratic_kappa", answer="class"
)


def test_labels_are_given_above_their_thresholds():
    members = np.array([[[0.6, 0.2, 0.9]], [[0.5, 0.3, 0.2]]])
    rule = plain_rule("mean", 2, LABELS)
    assert rule.several and not rule.by_argmax
    assert rule.probs(members)[0] == pytest.approx([0.55, 0.25, 0.55])
    assert rule.classes(members).tolist() == [[1, 0, 1]] and rule.classes(members).dtype == np.uint8
    thresholds = np.array([0.6, 0.2, 0.5])
    odds = np.log(thresholds / (1 - thresholds))
    fitted = dataclasses.replace(rule, temperature=2.0, biases=-odds / 2)
    assert fitted.thresholds == pytest.approx(thresholds)
    assert fitted.classes(members).tolist() == [[0, 1, 1]]
    assert (fitted.calibrated(rule.probs(members)) > 0.5).tolist() == [[False, True, True]]


def test_blends_of_labels_by_hand():
    members = np.array([[[0.8, 0.2, 0.9]], [[0.5, 0.2, 0.2]]])
    odds = np.sqrt([4 * 1, 0.25 * 0.25, 9 * 0.25])
    geometric = plain_rule("gmean", 2, LABELS).probs(members)[0]
    assert geometric == pytest.approx(odds / (1 + odds))
    three = np.concatenate([members, [[[0.4, 0.6, 0.4]]]])
    # Two of three say no to each of the last two, whatever the mean.
    assert plain_rule("vote", 3, LABELS).classes(three).tolist() == [[0, 0, 0]]
    assert plain_rule("vote", 2, LABELS).classes(members).tolist() == [[1, 0, 1]]  # by the mean


def test_the_mean_rank_is_the_order_of_ranks():
    rng = np.random.default_rng(0)
    members = rng.random((2, 50, 3))
    ranked = plain_rule("rank", 2, LABELS).probs(members)
    expected = np.argsort(np.argsort(members, axis=1), axis=1).mean(axis=0)
    assert ranked == pytest.approx((expected + 0.5) / 50)
    two = Competition(name="two", classes=("a", "b"), metric="roc_auc", answer="probability")
    pair = np.stack([1 - members[:, :, 0], members[:, :, 0]], axis=2)
    ranked = plain_rule("rank", 2, two).probs(pair)
    assert ranked[:, 1] == pytest.approx((expected[:, 0] + 0.5) / 50)
    assert ranked.sum(axis=1) == pytest.approx(1)


def test_grades_are_the_expected_class_cut():
    rule = plain_rule("mean", 1, GRADES)
    assert rule.cuts.tolist() == [0.5, 1.5] and not rule.by_argmax
    members = np.array([[[0.4, 0.2, 0.4], [0.55, 0.3, 0.15], [0.1, 0.1, 0.8]]])
    assert rule.classes(members).tolist() == [1, 1, 2]
    assert decided(members[0], GRADES).tolist() == [1, 1, 2]
    moved = dataclasses.replace(rule, cuts=np.array([0.55, 1.8]))
    assert moved.classes(members).tolist() == [1, 1, 1]


def test_clipped_probabilities_sum_to_1_again():
    probs = np.array([[0.0, 0.25, 0.75], [0.0, 0.0, 1.0]])
    given = clipped(probs, 0.1, False)
    assert given[0] == pytest.approx(np.array([0.1, 0.25, 0.75]) / 1.1)
    assert given.sum(axis=1) == pytest.approx(1)
    assert clipped(probs, 0.1, True)[1] == pytest.approx([0.1, 0.1, 0.9])
    rule = dataclasses.replace(uniform_rule("mean", 1, 3), clip=0.1)
    assert rule.calibrated(probs)[0] == pytest.approx(given[0])


def test_the_mean_decides_between_equal_votes_alone():
    rng = np.random.default_rng(0)
    members = rng.dirichlet(np.ones(3), (3, 300))
    weights = np.array([0.45, 0.35, 0.2])
    rule = Rule("vote", weights, 1.0, np.zeros(3))
    votes = np.tensordot(weights, np.eye(3)[members.argmax(axis=2)], 1)
    assert (rule.classes(members) == votes.argmax(axis=1)).all()


def test_the_geometric_mean_of_a_probability_of_0():
    members = np.array([[[0.0, 0.5, 0.5]], [[0.5, 0.25, 0.25]]], np.float32)
    roots = np.sqrt([1e-7 * 0.5, 0.125, 0.125])
    blended = Rule("gmean", np.full(2, 0.5), 1.0, np.zeros(3)).probs(members)[0]
    assert blended == pytest.approx(roots / roots.sum())
    certain = plain_rule("gmean", 2, LABELS).probs(np.array([[[0.0, 1.0, 0.5]]] * 2))[0]
    assert certain == pytest.approx([1e-7, 1 - 1e-7, 0.5], rel=1e-6)


def test_weighted_ranks_of_photos_with_equal_probabilities():
    members = np.array([[[0.3, 0.7], [0.6, 0.4], [0.3, 0.7]], [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]])
    ranked = Rule("rank", np.array([0.75, 0.25]), 1.0, np.zeros(2)).probs(members)
    second = 0.75 * np.array([2, 0.5, 2]) / 3 + 0.25 * np.array([1.5, 0.5, 2.5]) / 3
    assert ranked == pytest.approx(np.stack([1 - second, second], axis=1))


def test_temperature_and_biases_by_hand():
    probs = np.array([[0.64, 0.32, 0.04], [2.0, 1.0, 1.0]])
    halved = np.sqrt(probs)
    assert at_temperature(probs, 2.0) == pytest.approx(halved / halved.sum(axis=1)[:, None])
    assert at_temperature(probs, 1.0)[1] == pytest.approx([0.5, 0.25, 0.25])
    biases = np.log([1.0, 2.0, 4.0])
    rule = Rule("mean", np.ones(1), 2.0, biases)
    lifted = halved * [1, 2, 4]
    assert rule.calibrated(probs) == pytest.approx(lifted / lifted.sum(axis=1)[:, None])
    assert rule.gains == pytest.approx([1, 4, 16]) and rule.by_argmax
    assert dataclasses.replace(rule, temperature=1.0).calibrated(probs)[0] == pytest.approx(
        np.array([0.64, 0.64, 0.16]) / 1.44
    )
    odds = np.array([[4.0, 0.25, 1.0]])
    hot = at_temperature(odds / (1 + odds), 2.0, several=True)
    assert hot == pytest.approx(np.sqrt(odds) / (1 + np.sqrt(odds)))
    labels = Rule("mean", np.ones(1), 2.0, biases, several=True)
    shifted = np.sqrt(odds) * [1, 2, 4]
    assert labels.calibrated(odds / (1 + odds)) == pytest.approx(shifted / (1 + shifted))
    assert labels.thresholds == pytest.approx([1 / 2, 1 / 5, 1 / 17])
    raw = np.array([[0.5, 0.25, 0.75]])
    assert (at_temperature(raw, 1.0, several=True) == raw).all()  # labels need not sum to 1


def test_logarithms_and_odds_are_of_probabilities_within_bounds():
    assert log_probs(np.array([0.0, 1e-8, 0.5])) == pytest.approx(np.log([1e-7, 1e-7, 0.5]))
    found = logits(np.array([0.0, 0.25, 1.0], np.float32))
    assert found == pytest.approx([-np.log(1e7 - 1), -np.log(3), np.log(1e7 - 1)], rel=1e-6)
    assert found.dtype == np.float64


def test_copies_differ_by_less_than_a_thousandth_everywhere():
    rng = np.random.default_rng(0)
    member = rng.dirichlet(np.ones(4), 200)
    near, far, late = member + 0.0009, member + 0.0011, member.copy()
    late[150, 2] -= 0.002
    early = member.copy()
    early[3, 1] += 0.002
    assert distinct_members(np.stack([member, near, far, late, early, member])) == [0, 2, 3, 4]
    assert distinct_members(np.stack([far, member, late])) == [0, 1, 2]
    assert distinct_members(np.stack([member[:1], member[:1]])) == [0]


def test_a_weighted_sum_of_many_rows_is_that_of_all():
    members = np.random.default_rng(0).random((3, 9000, 4)).astype(np.float32)
    weights = [0.5, 0.0, 0.25]
    whole = 0.5 * members[0].astype(np.float64) + 0.25 * members[2].astype(np.float64)
    assert (weighted(members, weights) == whole).all()
    broad = np.random.default_rng(0).random((2, 3, 40_000))
    assert weighted(broad, [1, 1]) == pytest.approx(broad.sum(axis=0))
    assert weighted(members[:, :0], weights).shape == (0, 4)


def test_plain_rules():
    rule = uniform_rule("mean", 4, 3)
    assert (rule.blend, rule.temperature, rule.clip, rule.cuts) == ("mean", 1.0, 0.0, None)
    assert rule.weights.tolist() == [0.25] * 4 and rule.biases.tolist() == [0] * 3
    assert not rule.several and rule.by_argmax
    assert plain_rule("gmean", 2, MASK).cuts is None and plain_rule("gmean", 2, MASK).by_argmax
    assert plain_rule("mean", 2, LABELS).cuts is None
