"""Scores of sums over photos."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from kit.metrics.metric import find_metric
from kit.metrics.sums import f_beta, log_loss, losses, mean_of_classes, quotient


def test_f_by_hand():
    counts = np.array([[1, 1, 0, 0], [2, 1, 1, 0], [1, 3, 0, 0]])  # hits, true, predicted
    assert f_beta(counts) == pytest.approx([2 / 3, 1 / 2, 0, 0])
    # P 1, R 1/2: 5 x 1/2 / (4 + 1/2); P 1/3, R 1: 5/3 / (4/3 + 1).
    assert f_beta(counts, 2) == pytest.approx([5 / 9, 5 / 7, 0, 0])
    assert f_beta(np.array([[1], [1], [1]]), 0.5) == pytest.approx([1])
    assert f_beta(np.array([[0], [1], [0]]), 0.5) == pytest.approx([0])


def test_sums_of_parts_score_as_the_whole():
    rng = np.random.default_rng(0)
    for name in ("f1_macro", "f2_micro", "accuracy", "balanced_accuracy", "quadratic_kappa"):
        truth, said = rng.integers(0, 3, (2, 40))
        sums = find_metric(name).sums
        total = np.zeros(sums.width(3))
        for rows in np.array_split(np.arange(40), 5):
            part = sums.of_photos(truth[rows], said[rows], 3)
            if part.columns is None:
                total += part.values.sum(axis=0)
            else:
                total += np.bincount(part.columns, weights=part.values, minlength=len(total))
        assert sums.value(total, total) == pytest.approx(find_metric(name).value(truth, said, 3))


def test_a_class_that_was_not_drawn_tells_nothing():
    f1 = find_metric("f1_macro")
    whole = np.array([1, 1, 1, 2, 1, 2], float)  # two classes
    drawn = np.array([1, 0, 1, 0, 1, 0], float)
    assert f1.class_sums.value(drawn, whole)[0] == 1 and np.isnan(
        f1.class_sums.value(drawn, whole)[1]
    )
    assert f1.sums.value(drawn, whole) == 1 and f1.sums.value(drawn, drawn) == 0.5
    assert mean_of_classes(np.array([[np.nan, 1.0], [np.nan, np.nan]])).tolist() == [1, 0]


def test_a_quotient_of_nothing_is_0_of_all_photos_and_unknown_of_a_class():
    assert quotient(np.array([3.0, 4.0]), np.zeros(2)) == 0.75
    assert quotient(np.array([[3.0, 4.0], [0.0, 0.0]]), np.zeros(2)).tolist() == [0.75, 0]
    values = quotient(np.array([6.0, 0.0, 2.0, 0.0]), np.zeros(4))  # two classes
    assert values[0] == 3 and np.isnan(values[1])


def test_the_log_loss_of_many_photos_is_sklearns():
    rng = np.random.default_rng(0)
    truth, probs = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    assert log_loss(truth, probs) == pytest.approx(sklearn.log_loss(truth, probs))
    for photos in (1, 64, 200):
        labels, given = (rng.random((photos, 3)) < 0.5).astype(np.uint8), rng.random((photos, 3))
        flat = sklearn.log_loss(labels.ravel(), given.ravel(), labels=[0, 1])
        assert log_loss(labels, given) == pytest.approx(flat)


def test_losses_of_classes_and_labels():
    assert losses(np.array([1]), np.array([[1.0, 3.0]])) == pytest.approx(-np.log([0.75]))
    table = losses(np.array([[1, 0]], np.uint8), np.array([[0.5, 0.1]], np.float32))
    assert table == pytest.approx(-np.log([[0.5, 0.9]]))
