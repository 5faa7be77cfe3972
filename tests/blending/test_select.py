"""The blend that is used, and its score."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from draws import macro_f1, oof_of
from helpers import MASK

from kit.blending.oof_score import read_oof_score
from kit.blending.select import select_blend
from kit.competition import Competition
from kit.data.targets import as_texts
from kit.inference.oof import Oof
from kit.metrics.metric import find_metric
from kit.scoring.agreement import error_correlations
from kit.scoring.bootstrap import GroupBootstrap


@pytest.mark.parametrize("blend", ["greedy", "weights"])
def test_a_fitted_blend_is_used_where_it_pays_and_only_there(blend):
    good = select_blend(oof_of(0, 4.0), blend, "argmax")
    assert (
        good.record["used"] == [blend, "argmax"]
        and not good.kept_mean
        and good.rule.weights[0] > 0.9
    )
    asked = good.record["candidates"][-1]
    assert asked["gain_interval"][0] > 0 and good.record["score"] == pytest.approx(asked["nested"])
    alike = oof_of(0, 2.0)
    alike = Oof({"plain": np.stack([alike.views["plain"][0]] * 2)}, alike.photos, MASK)
    bad = select_blend(alike, blend, "argmax")
    assert (
        bad.kept_mean
        and bad.record["used"] == ["mean", "argmax"]
        and bad.rule.weights.tolist() == [0.5, 0.5]
    )
    forced = select_blend(alike, blend, "argmax", force=True)
    assert (
        forced.record["forced"]
        and forced.record["used"] == [blend, "argmax"]
        and not forced.kept_mean
    )


def test_the_standing_by_hand():
    oof = oof_of(1, 3.0)
    truth = oof.photos["label"].to_numpy()
    standing = select_blend(oof, "mean", "argmax")
    mean = oof.probs.mean(axis=0, dtype=np.float64).argmax(axis=1)
    assert (
        standing.record["score"]
        == pytest.approx(macro_f1(truth, mean, 18))
        == pytest.approx(standing.record["in_sample"])
    )
    assert [member.score for member in standing.score.members] == pytest.approx(
        [macro_f1(truth, m.argmax(axis=1), 18) for m in oof.probs]
    )
    low, high = standing.record["interval"]
    assert low < standing.record["score"] < high and not standing.record["forced"]
    errors = oof.probs.reshape(2, -1) - np.eye(18)[truth].ravel()
    assert error_correlations(oof.probs, truth)[0, 1] == pytest.approx(
        np.corrcoef(*errors)[0, 1], abs=1e-5
    )
    assert json.loads(json.dumps(standing.record))["groups"] == 150
    draws = GroupBootstrap(oof.photos["group"].to_numpy(), truth, 18).draws(mean)[:500]
    np.testing.assert_allclose(
        [float(draw) for draw in standing.record["draws"].split()], draws, atol=6e-6
    )


def test_no_gain_is_claimed_of_noise():
    """Over many seeds a fitted blend of equal members is used no more often than chance allows."""
    used = 0
    for seed in range(20):
        oof = oof_of(seed, 2.0, people=60)
        rng = np.random.default_rng(seed)
        logits = np.log(oof.views["plain"][0]) + 0.7 * rng.normal(
            size=(5, *oof.views["plain"][0].shape)
        )
        probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        used += not select_blend(
            Oof({"plain": probs.astype(np.float32)}, oof.photos, MASK), "greedy", "argmax"
        ).kept_mean
    assert used <= 2


@pytest.mark.parametrize("blend", ["gmean", "vote"])
def test_what_is_kept_instead_is_what_the_gain_is_over(blend):
    oof = oof_of(2, 2.0)
    standing = select_blend(oof, blend, "bias")
    tested = standing.record["tested"]
    assert tested["over"] == f"{blend} + argmax" and standing.kept_mean == (
        tested["interval"][0] <= 0
    )
    assert standing.record["used"] == [blend, "argmax" if standing.kept_mean else "bias"]


def by_metric(metric, kind="classes", classes=4, answer="class", **more):
    """A competition of some metric, and two members' out-of-fold probabilities: one of noise."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(80), 3)
    names = tuple(f"c{n}" for n in range(classes))
    competition = Competition(
        name="any", kind=kind, classes=names, metric=metric, answer=answer, **more
    )
    if kind == "labels":
        truth = (rng.random((240, classes)) < 0.3).astype(np.uint8)
        odds = rng.normal(size=(2, 240, classes)) - 1.5
        odds[0] += 2.0 * truth
        probs, label = 1 / (1 + np.exp(-odds)), as_texts(truth)
    else:
        truth = label = rng.integers(0, classes, 240)
        logits = rng.normal(size=(2, 240, classes))
        logits[0] -= 1.5 * np.abs(np.arange(classes) - truth[:, None])
        probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    fold = rng.permutation(80)[person] % 4
    photos = pd.DataFrame({"image": map(str, range(240)), "group": person, "label": label})
    photos["fold"] = fold
    return Oof({"plain": probs.astype(np.float32)}, photos, competition), truth


EVERY = [
    ("accuracy", "classes", 4, "class", "bias"),
    ("balanced_accuracy", "classes", 4, "class", "bias"),
    ("f1_micro", "classes", 4, "class", "bias"),
    ("quadratic_kappa", "order", 4, "class", "bias"),
    ("log_loss", "classes", 4, "probabilities", "bias"),
    ("roc_auc", "classes", 2, "probability", "argmax"),
    ("partial_auc", "classes", 2, "probability", "argmax"),
    ("average_precision", "classes", 4, "probabilities", "argmax"),
    ("f1_samples", "labels", 4, "list", "bias"),
    ("f2_macro", "labels", 4, "list", "bias"),
    ("log_loss", "labels", 4, "probabilities", "bias"),
    ("roc_auc", "labels", 4, "probabilities", "argmax"),
]


@pytest.mark.parametrize("metric, kind, classes, answer, decision", EVERY)
def test_a_fitted_blend_is_used_where_it_pays_by_any_metric(
    metric, kind, classes, answer, decision
):
    oof, truth = by_metric(metric, kind, classes, answer)
    selected = select_blend(oof, "greedy", decision)
    score, mean = selected.score, select_blend(oof, "mean", "argmax").score
    found = find_metric(metric)
    assert score.used == ("greedy", decision) and selected.rule.weights[0] > 0.7
    assert score.tested.gain > 0 and score.tested.interval[0] > 0
    gain = found.sign * (score.scores.score - mean.scores.score)
    assert gain == pytest.approx(score.tested.gain)
    low, high = score.interval
    assert low < score.scores.score < high and score.scores.metric.name == metric
    assert found.sign * (score.members[0].score - score.members[1].score) > 0
    answers = selected.probs
    if not found.of_probs:
        answers = decided_of(selected.probs, kind)
    if metric != "quadratic_kappa":  # whose cuts no probabilities have
        assert score.scores.score == pytest.approx(found.value(truth, answers, classes))
    assert read_oof_score(json.loads(json.dumps(score.describe()))) == score
    assert len(score.classes) == classes and set(score.folds) == {0, 1, 2, 3}
    assert sum(score.true_counts) == (truth.sum() if kind == "labels" else 240)


def decided_of(probs, kind):
    return (probs > 0.5).astype(np.uint8) if kind == "labels" else probs.argmax(axis=1)


def brier(truth, probs):
    return float(np.mean((probs[:, 1] - truth) ** 2))


def test_a_function_of_the_definition_is_selected_by():
    oof, truth = by_metric(brier, classes=2, answer="probability", greater=False)
    selected = select_blend(oof, "greedy", "argmax")
    assert selected.score.used == ("greedy", "argmax") and selected.rule.temperature == 1
    assert selected.score.scores.score == pytest.approx(brier(truth, selected.probs))
    assert selected.score.tested.gain > 0 and selected.score.class_title == "recall"


@pytest.mark.parametrize(
    "kind, classes, answer", [("labels", 3, "probabilities"), ("classes", 2, "probability")]
)
def test_ranks_are_blended_for_scores_of_order(kind, classes, answer):
    oof, truth = by_metric("roc_auc", kind, classes, answer)
    selected = select_blend(oof, "rank", "argmax")
    assert selected.rule.blend == "rank" and 0 < selected.probs.min() < selected.probs.max() < 1
    # Of one member ranks have its own order, within each fold.
    alone = Oof({"plain": oof.views["plain"][:1]}, oof.photos, oof.competition)
    ranked, plain = (select_blend(alone, blend, "argmax").score for blend in ("rank", "mean"))
    assert list(ranked.folds.values()) == pytest.approx(list(plain.folds.values()))


def test_of_several_tasks_each_is_scored_by_the_metric():
    oof = oof_of(0, 4.0)
    competition = dataclasses.replace(MASK, metric="log_loss", answer="probabilities")
    score = select_blend(Oof(oof.views, oof.photos, competition), "mean", "argmax").score
    assert set(score.tasks) == {"mask", "gender", "age"}
    assert all(
        low < task.score < high for task in score.tasks.values() for low, high in [task.interval]
    )
    assert score.scores.score > score.tasks["mask"].score > 0


def test_a_temperature_is_kept_only_where_the_nested_score_gains_by_it():
    """True probabilities need none, by chance at most; too sure ones need what undoes it."""
    competition = Competition(name="c", classes=("a", "b", "c"), metric="log_loss")
    ident, fold, kept = np.arange(300).astype(str), np.arange(300) % 5, []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        true = rng.dirichlet(np.ones(3), 300)
        label = (rng.random((300, 1)) > true.cumsum(axis=1)).sum(axis=1)
        photos = pd.DataFrame({"image": ident, "group": ident, "label": label, "fold": fold})
        sure = true**3 / (true**3).sum(axis=1, keepdims=True)
        for probs in (true, sure):
            oof = Oof({"plain": probs[None]}, photos, competition)
            selected = select_blend(oof, "mean", "argmax")
            raw = -np.log(np.maximum(probs[np.arange(300), label], 1e-7)).mean()
            assert selected.score.scores.score <= raw + 1e-9
            kept.append(selected.rule.temperature)
    assert kept[::2].count(1.0) >= 2 and all(2 < t < 4.5 for t in kept[1::2])
