"""Weights, the temperature, and the nested score."""

import dataclasses

import numpy as np
import pytest
from draws import macro_f1, simulated, softmax
from helpers import MASK

import kit.blending.fit as fit_module
from kit.blending.biases import fit_biases
from kit.blending.cuts import fit_cuts
from kit.blending.fit import (
    convex_weights,
    decision_of,
    fit_rule,
    fit_rules,
    fit_temperature,
    has_temperature,
    nested,
    nested_each,
    tempers,
)
from kit.blending.greedy import greedy
from kit.blending.rule import Rule, at_temperature, clipped, log_probs, uniform_rule, weighted
from kit.blending.target import Target
from kit.blending.thresholds import fit_thresholds
from kit.competition import Competition
from kit.metrics.metric import find_metric, of_function
from kit.metrics.sums import log_loss
from kit.scoring.metrics import expected


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
    decided = "list" if kind == "labels" else "class"
    answer = decided if metric.startswith("f") else "probabilities"
    return Competition(name="any", kind=kind, classes=tuple("abcde"), metric=metric, answer=answer)


def test_what_is_fitted_to_decide_follows_from_the_metric():
    for name, of_labels, wanted in (
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
        assert decision_of(find_metric(name), of_labels) == wanted


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


def test_what_a_temperature_changes():
    for name, kind, has, changes in (
        ("f1_macro", "classes", True, False),
        ("accuracy", "classes", True, False),
        ("log_loss", "classes", True, True),
        ("log_loss", "labels", True, True),
        ("quadratic_kappa", "order", True, True),
        ("roc_auc", "labels", False, False),
        ("average_precision", "classes", False, False),
    ):
        target = Target(np.zeros(1), np.zeros(1), asked(name, kind))
        assert (has_temperature(target.metric), tempers(target)) == (has, changes), name
    assert not has_temperature(of_function(max, True))


def classes_of(seed, members=3, n=300):
    """Members (M, N, 5) that are too sure, and true classes (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(5, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    logs = rng.normal(size=(members, n, 5)) * 3
    logs[:, np.arange(n), truth] += 4
    logs[..., 4] -= 2
    return softmax(logs), truth


def test_a_rule_has_the_weights_of_its_blend_and_what_its_metric_is_decided_by():
    members, truth = classes_of(0)
    groups = np.arange(300) // 2
    for name in ("f1_macro", "log_loss"):
        target = Target(truth, groups, asked(name))
        for blend, weights in (
            ("mean", np.full(3, 1 / 3)),
            ("greedy", greedy(members, target)),
            ("weights", convex_weights(members, truth)),
        ):
            rules = fit_rules(members, target, blend, "bias")
            rule = fit_rule(members, target, blend, "bias")
            blended = weighted(members, weights)
            assert rule.weights == pytest.approx(weights) and rule.blend == blend
            assert rule.temperature == fit_temperature(blended, truth) != 1
            assert len(rules) == (2 if name == "log_loss" else 1)
            assert rules[-1].temperature == (1 if name == "log_loss" else rule.temperature)
            plain = fit_rule(members, target, blend, "argmax")
            assert not plain.biases.any() and plain.clip == 0 and plain.cuts is None
            if name == "f1_macro":
                wanted = fit_biases(log_probs(blended) / rule.temperature, target)
                assert rule.biases == pytest.approx(wanted) and rule.biases.any()
            else:
                assert not rule.biases.any()


def test_the_least_probability_that_is_given_is_the_best_of_those_tried():
    members, truth = classes_of(1, members=1)
    members[0, :5] = np.eye(5)[(truth[:5] + 1) % 5]  # certain errors
    target = Target(truth, np.arange(300), asked("log_loss"))
    for rule in fit_rules(members, target, "mean", "bias"):
        probs = dataclasses.replace(rule, clip=0.0).calibrated(rule.probs(members))
        tried = [0.0, *(10.0 ** -np.arange(6, 0.99, -0.25))]
        losses = [log_loss(truth, clipped(probs, clip, False)) for clip in tried]
        assert rule.clip == pytest.approx(tried[int(np.argmin(losses))]) and rule.clip > 0


def test_grades_have_the_cuts_that_were_fitted_at_each_temperature():
    members, truth = classes_of(2)
    target = Target(truth, np.arange(300), asked("quadratic_kappa", "order"))
    rules = fit_rules(members, target, "mean", "bias")
    assert len(rules) == 2 and rules[0].temperature != 1
    for rule in rules:
        values = expected(at_temperature(rule.probs(members), rule.temperature))
        assert rule.cuts == pytest.approx(fit_cuts(values, truth, np.arange(300), 5))


def test_labels_are_given_by_thresholds_at_a_temperature():
    members, truth = several(3)
    target = Target(truth, np.arange(400), asked("f1_micro", "labels"))
    rule = fit_rule(members, target, "mean", "bias")
    assert rule.temperature != 1 and rule.several
    said = rule.probs(members) > fit_thresholds(rule.probs(members), target)
    assert (rule.classes(members) == said).all()


def test_the_outcomes_of_folds_by_hand():
    rng = np.random.default_rng(0)
    members, fold = rng.dirichlet(np.ones(3), (2, 30)), np.arange(30) % 3
    truth = rng.integers(0, 3, 30)
    competition = Competition(name="x", classes=("a", "b", "c"), metric="log_loss")
    weights = {k: np.array([k + 1, 4 - k]) / 5 for k in range(3)}
    biases, seen = {0: 0.0, 1: 0.7, 2: 0.0}, []

    def fitting(part, target):
        (k,) = {0, 1, 2} - set(target.groups.tolist())
        seen.append(k)
        assert (part == members[:, fold != k]).all() and (target.truth == truth[fold != k]).all()
        rule = Rule("mean", weights[k], 2.0, np.array([biases[k], 0.0, -biases[k]]))
        return rule, dataclasses.replace(rule, temperature=1.0, biases=np.zeros(3), clip=0.2)

    first, second = nested_each(members, Target(truth, fold, competition), fold, fitting)
    assert seen == [0, 1, 2]
    blended = np.stack([weights[k][0] * a + weights[k][1] * b for k, a, b in zip(fold, *members)])
    hot = np.sqrt(blended) / np.sqrt(blended).sum(axis=1, keepdims=True)
    shift = np.array([biases[k] for k in fold])[:, None] * [1, 0, -1]
    moved = hot * np.exp(shift)
    assert first[1] == pytest.approx(hot)
    assert first[2] == pytest.approx(moved / moved.sum(axis=1, keepdims=True))
    assert (first[0] == moved.argmax(axis=1)).all() and first[0].dtype == np.int64
    assert second[1] == pytest.approx(blended)
    assert second[2] == pytest.approx(clipped(blended, 0.2, False))
    alone = nested(members, Target(truth, fold, competition), fold, lambda *part: fitting(*part)[0])
    assert all((a == b).all() for a, b in zip(alone, first))
    plain = nested(
        members, Target(truth, fold, competition), fold, lambda *_: uniform_rule("mean", 2, 3)
    )
    assert plain[2] is plain[1]


def test_nested_answers_of_labels_are_tables():
    members, truth = several(1, n=60)
    target = Target(truth, np.arange(60), asked("f1_micro", "labels"))
    fold = np.arange(60) % 2
    said, probs, given = nested(members, target, fold, lambda *p: fit_rule(*p, "mean", "bias"))
    assert said.dtype == np.uint8 and said.shape == (60, 5)
    assert (said == (given > 0.5)).all() and not np.array_equal(said, probs > 0.5)


def test_temperatures_are_between_an_eighth_and_eight():
    truth = np.array([0, 1] * 20)
    shy, wrong = np.full((40, 2), 0.45), np.full((40, 2), 0.9)
    shy[np.arange(40), truth], wrong[np.arange(40), truth] = 0.55, 0.1
    assert fit_temperature(shy, truth) == pytest.approx(1 / 8, rel=0.01)
    assert fit_temperature(wrong, truth) == pytest.approx(8, rel=0.01)
    labels = np.eye(2, dtype=np.uint8)[truth]
    assert fit_temperature(shy, labels) == pytest.approx(1 / 8, rel=0.01)
    assert fit_temperature(wrong, labels) == pytest.approx(8, rel=0.01)
    # Three of four are right: they should be as sure as that.
    sure = np.full((40, 2), 0.1)
    sure[np.arange(40), np.where(np.arange(40) % 8 < 2, 1 - truth, truth)] = 0.9
    wanted = np.log(9) / np.log(3)
    assert fit_temperature(sure, truth) == pytest.approx(wanted, rel=2e-3)
    assert fit_temperature(sure, labels) == pytest.approx(wanted, rel=2e-3)


def test_weights_of_very_many_labels_are_fitted_to_drawn_ones(monkeypatch):
    members, truth = several(0)
    whole = convex_weights(members, truth)
    monkeypatch.setattr(fit_module, "_MOST", 2000)  # as many as there are
    assert (convex_weights(members, truth) == whole).all()
    monkeypatch.setattr(fit_module, "_MOST", 1500)
    some = convex_weights(members, truth)
    assert (some != whole).any() and some == pytest.approx(whole, abs=0.1)
    assert some.sum() == pytest.approx(1) and (some >= 0).all()
    cells = np.random.default_rng(0).integers(0, 2000, 1500)
    flat = members.reshape(3, -1)[:, cells], truth.ravel()[cells]
    again = convex_weights(flat[0][..., None], flat[1][:, None])
    assert some == pytest.approx(again, abs=1e-3)
