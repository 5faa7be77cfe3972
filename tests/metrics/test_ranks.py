"""Scores of the order of photos, with weights."""

import functools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from kit.metrics.ranks import average_precision, columns, roc_area, weighted


@pytest.mark.parametrize("seed", range(20))
def test_weights_are_repeated_photos(seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 2, 30), np.round(rng.random(30), 1 + seed % 2)
    weights = rng.integers(0, 3, (6, 30)).astype(np.float32)
    areas = weighted(truth, scores, weights, roc_area)
    precisions = weighted(truth, scores, weights, average_precision)
    parts = weighted(truth, scores, weights, functools.partial(roc_area, least=0.8))
    once = np.ones((1, 30), np.float32)
    for row, times in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(30), times)
        assert areas[row] == pytest.approx(roc_auc_score(truth[rows], scores[rows]))
        assert precisions[row] == pytest.approx(average_precision_score(truth[rows], scores[rows]))
        again = once[:, :1].repeat(len(rows), axis=1)
        value = weighted(truth[rows], scores[rows], again, functools.partial(roc_area, least=0.8))
        assert parts[row] == pytest.approx(value[0])


def test_the_partial_area_of_a_perfect_order_is_a_fifth():
    truth, once = np.array([0, 0, 1, 1]), np.ones((1, 4))
    area = functools.partial(roc_area, least=0.8)
    assert weighted(truth, truth, once, area) == pytest.approx([0.2])
    assert weighted(truth, np.zeros(4), once, area) == pytest.approx([0.02])
    assert weighted(truth, 1 - truth, once, area) == pytest.approx([0])


def test_without_weight_on_a_side_it_is_the_score_of_chance():
    sides = np.array([[[0, 2], [0, 0], [1, 0], [0, 0]], [[0, 0], [0, 1], [0, 1], [0, 0]]], float)
    assert roc_area(*sides).tolist() == [0.5, 0.5, 1, 0.5]
    assert roc_area(*sides, least=0.6) == pytest.approx([0.08, 0.08, 0.4, 0.08])
    assert average_precision(*sides).tolist() == [1, 0, 1, 0]


def test_columns_without_both_sides_are_left_out():
    truth = np.array([[1, 0, 1], [1, 0, 0]], np.uint8)
    assert len(columns(truth, np.zeros((2, 3)), 3)) == 1
    ((true, scores),) = columns(np.array([0, 1]), np.array([[0.7, 0.3], [0.4, 0.6]]), 2)
    assert true.tolist() == [0, 1] and scores.tolist() == [0.3, 0.6]
    assert len(columns(np.array([0, 1]), np.zeros((2, 3)), 3)) == 2
