"""Thresholds of several labels."""

import numpy as np
import pytest

from kit.blending.target import Target
from kit.blending.thresholds import _by_label, _by_photo, _by_score, find_cells, fit_thresholds
from kit.competition import Competition
from kit.metrics.metric import find_metric


def asked(metric, labels=6):
    return Competition(
        name="labels",
        kind="labels",
        classes=tuple(f"label{n}" for n in range(labels)),
        metric=metric,
        answer="list",
    )


def drawn(seed, n=1500, labels=6):
    """Labels (N, C), rare ones among them, and probabilities that are too low for most."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.05, 0.5, labels)
    truth = (rng.random((n, labels)) < share).astype(np.uint8)
    odds = -3 + 3.0 * truth + rng.normal(size=(n, labels))
    return truth, (1 / (1 + np.exp(-odds))).astype(np.float32)


def given(cells, number, shape):
    """The labels that so many of each give."""
    table, starts = np.zeros(shape, np.uint8), cells.starts
    for c, count in enumerate(number):
        table[cells.rows[starts[c] : starts[c] + count], c] = 1
    return table


@pytest.mark.parametrize(
    "metric", ["f1_macro", "f2_macro", "f1_micro", "f2_micro", "f1_samples", "f2_samples"]
)
def test_thresholds_pay_on_fresh_photos(metric):
    target = Target(drawn(0)[0], np.arange(1500), asked(metric))
    thresholds = fit_thresholds(drawn(0)[1], target)
    truth, probs = drawn(1)
    scores = [
        target.metric.value(truth, (probs > cut).astype(np.uint8), 6) for cut in (0.5, thresholds)
    ]
    assert scores[1] > scores[0] + 0.02
    assert ((thresholds > 0) & (thresholds < 1)).all()


def test_each_label_s_own_search_finds_about_the_best():
    truth, probs = drawn(2, n=300)
    cells, f2 = find_cells(probs, truth), find_metric("f2_macro")
    own = f2.class_sums.score(truth, given(cells, _by_label(cells, 0.3, 2.0), truth.shape), 6)
    for tried in np.linspace(0.01, 0.99, 200):
        other = f2.class_sums.score(truth, (probs > tried).astype(np.uint8), 6)
        assert (own >= other - 0.01 - 1e-9).all()


def test_the_searches_for_all_labels_are_no_worse_than_where_they_begin():
    for seed in range(5):
        truth, probs = drawn(seed, n=200)
        cells = find_cells(probs, truth)
        for name, search in (("f1_micro", _by_score), ("f1_samples", _by_photo)):
            score = find_metric(name).value
            start = score(truth, (probs > 0.3).astype(np.uint8), 6)
            found = score(truth, given(cells, search(cells, 0.3, 1.0), truth.shape), 6)
            assert found >= start - 1e-9
    # Of one label the F of all labels is its own.
    truth, probs = truth[:, 5:], probs[:, 5:]
    cells, f1 = find_cells(probs, truth), find_metric("f1_micro").value
    best = max(f1(truth, (probs > t).astype(np.uint8), 1) for t in np.unique(probs))
    assert f1(truth, given(cells, _by_score(cells, 0.3, 1.0), truth.shape), 1) == pytest.approx(
        best
    )


def test_labels_without_a_photo_keep_the_common_threshold():
    truth, probs = drawn(3)
    truth[:, 0] = 0
    thresholds = fit_thresholds(probs, Target(truth, np.arange(1500), asked("f1_macro")))
    assert np.isfinite(thresholds).all() and 0.02 <= thresholds[0] <= 0.6


def test_certain_labels_have_thresholds_of_one_half():
    truth = drawn(4)[0]
    target = Target(truth, np.arange(1500), asked("f1_samples"))
    assert (fit_thresholds(truth.astype(np.float32), target) == 0.5).all()
