"""Weights, the temperature, and the nested score."""

import dataclasses

import numpy as np
import pytest
from draws import macro_f1, simulated, softmax
from helpers import MASK

from kit.blending.fit import convex_weights, decision_of, fit_rule, fit_temperature, nested
from kit.blending.rule import at_temperature, uniform_rule, weighted
from kit.blending.target import Target
from kit.blending.thresholds import fit_thresholds
from kit.competition import Competition
from kit.metrics.metric import find_metric
from kit.metrics.sums import log_loss


def test_convex_weights_are_at_the_optimum():
    for seed in range(10):
        members, truth, person, _ = simulated(seed, members=5)
        weights = convex_weights(members, truth)
        assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
        reached = log_loss(truth, weighted(members, weights))
        rng = np.random.default_rng(seed)
        for other in [
            *np.eye(5),
            np.full(5, 0.2),
            *rng.dirichlet(np.ones(5), 50),
            *(0.95 * weights + 0.05 * np.eye(5)),
        ]:
            assert reached <= log_loss(truth, weighted(members, other)) + 1e-7


def test_the_temperature_undoes_a_known_one():
    members, truth, _, _ = simulated(3, members=1, people=400)
    probs = members[0].astype(np.float64)
    own = fit_temperature(probs, truth)
    for factor in (0.5, 2.0, 3.0):
        assert fit_temperature(at_temperature(probs, factor), truth) * factor == pytest.approx(
            own, rel=0.02
        )
    best = log_loss(truth, at_temperature(probs, own))
    assert all(
        best <= log_loss(truth, at_temperature(probs, own * f)) + 1e-9
        for f in (0.9, 0.99, 1.01, 1.1)
    )
    assert (at_temperature(probs, 3.0).argmax(axis=1) == probs.argmax(axis=1)).all()


@pytest.mark.parametrize(
    "blend, decision", [("greedy", "argmax"), ("weights", "bias"), ("mean", "bias")]
)
def test_of_pure_noise_the_nested_score_is_chance_and_the_in_sample_one_is_above(blend, decision):
    inside, outside, chance = [], [], []
    for seed in range(8):
        members, truth, person, fold = simulated(seed, members=15, people=60)
        rng = np.random.default_rng(seed)
        members = softmax(rng.normal(size=members.shape))
        target = Target(truth, person, MASK)
        rule = fit_rule(members, target, blend, decision)
        inside.append(macro_f1(truth, rule.classes(members), 18))
        classes, _, _ = nested(
            members, target, fold, lambda *part: fit_rule(*part, blend, decision)
        )
        outside.append(macro_f1(truth, classes, 18))
        # What guessing with the same class frequencies comes to: the predictions of other photos.
        chance.append(np.mean([macro_f1(truth, rng.permutation(classes), 18) for _ in range(20)]))
    error = np.std(np.array(outside) - chance, ddof=1) / np.sqrt(8)
    assert np.mean(inside) > np.mean(chance) + (0.002 if blend == "mean" else 0.01)
    assert abs(np.mean(outside) - np.mean(chance)) < 4 * error + 0.002
    assert np.mean(outside) < np.mean(inside) - 0.002


def test_nested_never_shows_a_rule_the_people_it_decides():
    members, truth, person, fold = simulated(0)
    seen = []

    def fitting(probs, target):
        seen.append(set(target.groups.tolist()))
        return uniform_rule("mean", len(probs), 18)

    classes, _, _ = nested(members, Target(truth, person, MASK), fold, fitting)
    assert (classes == members.mean(axis=0, dtype=np.float64).argmax(axis=1)).all()
    for k, people in enumerate(seen):
        assert not people & set(person[fold == k].tolist()) and people | set(
            person[fold == k].tolist()
        ) == set(person.tolist())


def several(seed, members=3, n=400, labels=5):
    """Members (M, N, C) of several labels, and their truth (N, C)."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, labels)) < 0.3).astype(np.uint8)
    odds = rng.normal(size=(members, n, labels)) * rng.uniform(0.5, 3, (members, 1, 1))
    return 1 / (1 + np.exp(-(odds - 1 + 2.0 * truth))), truth


def test_convex_weights_of_labels_are_at_the_optimum():
    for seed in range(5):
        members, truth = several(seed)
        weights = convex_weights(members, truth)
        reached = log_loss(truth, weighted(members, weights))
        rng = np.random.default_rng(seed)
        for other in [*np.eye(3), *rng.dirichlet(np.ones(3), 40)]:
            assert reached <= log_loss(truth, weighted(members, other)) + 1e-7


def test_the_temperature_of_labels_undoes_a_known_one():
    probs, truth = several(1, members=1, n=3000)
    own = fit_temperature(probs[0], truth)
    hot = at_temperature(probs[0], 2.0, several=True)
    assert fit_temperature(hot, truth) * 2 == pytest.approx(own, rel=0.02)


def asked(metric, kind="classes"):
    answer = "list" if metric.startswith("f") else "probabilities"
    return Competition(name="any", kind=kind, classes=tuple("abcde"), metric=metric, answer=answer)


def test_what_is_fitted_to_decide_follows_from_the_metric():
    for name, of_labels, expected in (
        ("f1_macro", False, "biases"),
        ("accuracy", False, "biases"),
        ("balanced_accuracy", False, "biases"),
        ("quadratic_kappa", False, "cuts"),
        ("log_loss", False, "clip"),
        ("log_loss", True, "clip"),
        ("f2_samples", True, "thresholds"),
        ("accuracy", True, ""),
        ("roc_auc", True, ""),
        ("roc_auc", False, ""),
    ):
        assert decision_of(find_metric(name), of_labels) == expected


def test_a_rule_of_labels_has_the_thresholds_that_were_fitted():
    members, truth = several(0)
    target = Target(truth, np.arange(400), asked("f1_macro", "labels"))
    rule = fit_rule(members, target, "mean", "bias")
    assert rule.thresholds == pytest.approx(fit_thresholds(rule.probs(members), target))
    plain = fit_rule(members, target, "mean", "argmax")
    assert target.score(rule.classes(members)) > target.score(plain.classes(members))


def test_what_scores_the_order_alone_leaves_probabilities_as_they_are():
    members, truth = several(0)
    target = Target(truth, np.arange(400), asked("roc_auc", "labels"))
    rule = fit_rule(members, target, "mean", "bias")
    assert rule.temperature == 1 and not rule.biases.any()
    assert (rule.calibrated(rule.probs(members)) == rule.probs(members)).all()


def test_a_least_probability_is_fitted_where_certain_errors_cost():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 500)
    sure = np.full((500, 5), 1e-9)
    said = np.where(rng.random(500) < 0.05, (truth + 1) % 5, truth)
    sure[np.arange(500), said] = 1
    target = Target(truth, np.arange(500), asked("log_loss"))
    rule = fit_rule(sure[None], target, "mean", "bias")
    blended = rule.probs(sure[None])
    without = dataclasses.replace(rule, clip=0.0).calibrated(blended)
    assert target.score(rule.calibrated(blended)) <= target.score(without)
