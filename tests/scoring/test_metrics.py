"""The scores of answers, and the calibration of probabilities, by hand."""

import dataclasses

import numpy as np
import pytest
from answer_forms import form
from draws import macro_f1
from helpers import MASK, NUM_CLASSES
from sklearn.metrics import balanced_accuracy_score, log_loss

from kit.metrics.metric import find_metric, of_function
from kit.scoring.metrics import (
    CalibrationBin,
    by_expectation,
    calibration,
    decided,
    expected,
    of_metric,
    score,
    task_metric,
)


def test_macro_f1_by_hand():
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    # class 0: P 1, R 1/2 -> 2/3; class 1: P 1/3, R 1 -> 1/2; class 2: 0; the other 15 are absent
    # and count 0.
    assert macro_f1(truth, predicted, 3) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert macro_f1(truth, predicted, 18) == pytest.approx((2 / 3 + 1 / 2) / 18)
    assert score(np.arange(18), np.arange(18), MASK) == dataclasses.replace(
        score(np.arange(18), np.arange(18), MASK), score=1, tasks={"mask": 1, "gender": 1, "age": 1}
    )
    wrong_age = score(np.arange(18), np.arange(18) // 3 * 3, MASK)
    assert (wrong_age.tasks["mask"], wrong_age.tasks["gender"]) == (1, 1)
    assert wrong_age.metrics["accuracy"] == pytest.approx(1 / 3)
    # Of each three photos one is right: F1 is 1/2 of a third of the classes, else 0.
    assert wrong_age.line() == "macro-F1 0.167 (mask 1.000, gender 1.000, age 0.167)"
    described = {"f1": 1 / 6, "accuracy": 1 / 3, "mask": 1, "gender": 1, "age": 1 / 6}
    assert wrong_age.describe() == pytest.approx(described)
    assert score(np.array([0]), np.array([0]), form("class")).line() == "accuracy 1.000"


def test_a_metric_of_probabilities_scores_them_and_those_of_each_task():
    rng = np.random.default_rng(0)
    heads = form("tasks", answer="probabilities", answer_column="", metric="log_loss")
    truth, probs = rng.integers(0, 6, 40), rng.dirichlet(np.ones(6), 40)
    scores = score(truth, probs.argmax(axis=1), heads, probs)
    assert scores.score == pytest.approx(log_loss(truth, probs))
    pairs = probs.reshape(-1, 3, 2)
    assert scores.tasks == pytest.approx(
        {
            "root": log_loss(truth // 2, pairs.sum(axis=2)),
            "vowel": log_loss(truth % 2, pairs.sum(axis=1)),
        }
    )
    with pytest.raises(ValueError, match="log_loss scores probabilities"):
        score(truth, truth, heads)
    assert of_metric(find_metric("accuracy"), truth, probs) is truth


def test_a_function_knows_no_tasks_whose_recall_is_scored_then():
    metric = of_function(lambda truth, probs: 0.25, True)
    assert task_metric(metric).name == "balanced_accuracy"
    assert task_metric(find_metric("f2_micro")).name == "f2_micro"
    heads = form("tasks", metric=lambda truth, probs: 0.25)
    truth, said = np.array([0, 1, 2, 3, 4, 5, 0]), np.array([0, 1, 2, 2, 5, 5, 1])
    scores = score(truth, said, heads, np.full((7, 6), 1 / 6))
    assert scores.score == 0.25
    assert scores.tasks == pytest.approx(
        {
            "root": balanced_accuracy_score(truth // 2, said // 2),
            "vowel": balanced_accuracy_score(truth % 2, said % 2),
        }
    )


def test_answers_are_decided_as_the_metric_wants():
    probs = np.array([[0.5, 0.25, 0.0, 0.25], [0.25, 0.0, 0.0, 0.75], [0.1, 0.1, 0.1, 0.1]])
    graded = form("order", metric="quadratic_kappa")
    assert by_expectation(graded) and not by_expectation(form("order", metric="accuracy"))
    assert expected(probs).tolist() == pytest.approx([1, 2.25, 1.5])
    assert decided(probs, graded).tolist() == [1, 2, 2]
    assert decided(probs, graded).dtype == np.int64
    assert decided(probs, form("order", metric="accuracy")).tolist() == [0, 3, 0]
    labels = decided(np.array([[0.5, 0.51, 1.0, 0.0]]), form("labels"))
    assert labels.tolist() == [[0, 1, 1, 0]] and labels.dtype == np.uint8


def test_calibration_by_hand():
    probs = np.zeros((4, NUM_CLASSES))
    probs[:, 0] = [0.9, 0.9, 0.55, 0.3]
    probs[:, 1] = 1 - probs[:, 0]
    # Two in the bin of .9, of which one is right (.4 off), one of .55 that is wrong, one of .7
    # (class 1) that is right.
    error, bins = calibration(probs, np.array([0, 1, 1, 1]), bins=10)
    assert error == pytest.approx((2 * 0.4 + 0.55 + 0.3) / 4)
    # .7 and .9 are upper ends, as 1 - .3 rounds
    assert [row.photos for row in bins] == [0, 0, 0, 0, 0, 1, 1, 0, 2, 0]
    assert bins[8] == CalibrationBin(0.8, 0.9, 2, 0.9, 0.5)
    assert bins[9] == CalibrationBin(0.9, 1, 0, 0, 0)
    sure, bins = calibration(np.eye(NUM_CLASSES)[[3, 5]], np.array([3, 5]))
    assert sure == 0 and len(bins) == 15 and bins[-1].photos == 2
    assert calibration(np.zeros((2, 3)), np.array([0, 1]), 2)[1][0].photos == 2


def test_each_label_of_each_photo_is_calibrated():
    probs = np.array([[0.9, 0.2], [0.4, 0.5]])
    # As sure as .9 (there), .8 (not), .6 (not) and .5 (not): all right but the third.
    error, bins = calibration(probs, np.array([[1, 0], [1, 0]], np.uint8), bins=2)
    assert [row.photos for row in bins] == [1, 3]
    assert error == pytest.approx((0.5 + 3 * (2.3 / 3 - 2 / 3)) / 4)
