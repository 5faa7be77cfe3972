"""A report's numbers are those of scikit-learn, and by hand."""

import numpy as np
import pandas as pd
import pytest
from helpers import CLASS_NAMES, MASK, NUM_CLASSES, tables_of

from kit.competition import Competition
from kit.inference.oof import Oof
from kit.reporting import figures as figures
from kit.reporting.numbers import measure, worst_errors
from kit.results.probs import read_probs


def test_the_numbers_are_those_of_scikit_learn(world, page):
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import (
        accuracy_score,
        classification_report,
        confusion_matrix,
        f1_score,
        log_loss,
    )

    out, numbers = page
    tables = [read_probs(world.runs / "small" / f"fold{k}" / "oof.npz") for k in range(3)]
    label = dict(zip(world.plan.photos["image"], world.plan.photos["label"]))
    ids, probs = (
        np.concatenate([t.ids for t in tables]),
        np.concatenate([t.probs for t in tables]).astype(np.float64),
    )
    truth, predicted = np.array([label[i] for i in ids]), probs.argmax(axis=1)
    assert numbers.score.scores.score == pytest.approx(
        f1_score(truth, predicted, labels=range(18), average="macro", zero_division=0)
    )
    assert numbers.score.scores.metrics["accuracy"] == pytest.approx(
        accuracy_score(truth, predicted)
    )
    summed = probs / probs.sum(axis=1, keepdims=True)
    assert numbers.log_loss == pytest.approx(log_loss(truth, summed, labels=range(18)), abs=1e-5)
    assert (
        numbers.confusion.tolist() == confusion_matrix(truth, predicted, labels=range(18)).tolist()
    )
    for task, parts in (
        ("mask", (truth // 6, predicted // 6)),
        ("gender", (truth // 3 % 2, predicted // 3 % 2)),
        ("age", (truth % 3, predicted % 3)),
    ):
        assert (
            numbers.by_task[task].tolist()
            == confusion_matrix(*parts, labels=range(2 if task == "gender" else 3)).tolist()
        )
        assert numbers.score.tasks[task].score == pytest.approx(
            f1_score(*parts, average="macro", zero_division=0)
        )
    by_class = classification_report(
        truth, predicted, labels=range(18), output_dict=True, zero_division=0
    )
    shown = tables_of(out.read_text(encoding="utf-8"))["Classes"]
    assert len(shown) == 19
    for c, row in enumerate(shown[1:]):
        own = by_class[str(c)]
        assert row[0] == f"{c} {CLASS_NAMES[c]}" and int(row[2]) == own["support"]
        assert row[4:7] == [f"{own[key]:.3f}" for key in ("precision", "recall", "f1-score")]
        assert row[1] == "3" and row[7] == "none"
    right = (truth == predicted).astype(int)
    accuracy, confidence = calibration_curve(right, probs.max(axis=1), n_bins=15)
    there = [row for row in numbers.bins if row.photos]
    assert [row.accuracy for row in there] == pytest.approx(accuracy.tolist())
    assert [row.confidence for row in there] == pytest.approx(confidence.tolist())
    folds = tables_of(out.read_text(encoding="utf-8"))["Folds"]
    for k, table in enumerate(tables):
        own = np.array([label[i] for i in table.ids])
        f1 = f1_score(
            own, table.probs.argmax(1), labels=range(18), average="macro", zero_division=0
        )
        assert folds[k + 1][:2] == [str(k), f"{f1:.3f}"] and folds[k + 1][4] == str(len(own))


def test_worst_errors_are_the_least_probable_one_a_person(world):
    photos = world.plan.photos
    truth = photos["label"].to_numpy()
    probs = np.full((len(photos), NUM_CLASSES), 0.01)
    probs[np.arange(len(photos)), truth] = 0.83
    for rank, i in enumerate((0, 1, 30, 60)):  # 0 and 1 are of one person
        probs[i] = 0.01
        probs[i, (truth[i] + 1) % NUM_CLASSES], probs[i, truth[i]] = (
            0.8 - rank / 100,
            0.03 + rank / 100,
        )
    found = worst_errors(photos, probs, MASK)
    assert [error.image for error in found] == photos["image"].iloc[[0, 30, 60]].tolist()
    assert found[0].true == CLASS_NAMES[truth[0]] and found[0].true_prob == pytest.approx(0.03)
    assert len(worst_errors(photos, probs, MASK, 2)) == 2


def test_each_fold_s_interval_is_of_the_probabilities_that_its_score_is_of():
    """Too unsure probabilities are scored at a temperature: raw ones would lie far from that."""
    rng, n = np.random.default_rng(0), 400
    competition = Competition(name="c", classes=("a", "b", "c"), metric="log_loss")
    label, ident = rng.integers(0, 3, n), np.arange(n).astype(str)
    logits = rng.normal(size=(n, 3)) + 4.0 * np.eye(3)[label]
    probs = np.exp(logits / 3) / np.exp(logits / 3).sum(axis=1, keepdims=True)
    photos = pd.DataFrame(
        {"image": ident, "group": ident, "label": label, "fold": np.arange(n) % 4}
    )
    numbers = measure(Oof({"plain": probs[None]}, photos, competition))
    assert numbers.log_loss > 2 * numbers.score.scores.score
    for fold in numbers.folds.values():
        assert fold.interval[0] < fold.score < fold.interval[1]
