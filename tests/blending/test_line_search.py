"""Line searches of class scores."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, fbeta_score

from kit.blending.line_search import column_search, line_search, terms_of
from kit.metrics.metric import find_metric

METRICS = ("f1_macro", "f2_macro", "f0.5_macro", "accuracy", "balanced_accuracy", "f1_micro")


def drawn(seed, classes=6, n=150):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    truth[:classes] = np.arange(classes)
    logs = rng.normal(size=(n, classes))
    logs[np.arange(n), truth] += 1
    return logs, truth


@pytest.mark.parametrize("name", METRICS)
def test_the_line_search_finds_the_best_of_all_shifts_by_any_metric(name):
    metric = find_metric(name)
    for seed in range(10):
        logs, truth = drawn(seed)
        group = np.arange(6) == seed % 6
        shift, score = line_search(logs, truth, group, terms_of(metric, truth, 6))
        assert metric.value(truth, (logs + shift * group).argmax(axis=1), 6) == pytest.approx(score)
        tried = np.linspace(-5, 5, 200)
        scores = [metric.value(truth, (logs + s * group).argmax(axis=1), 6) for s in tried]
        assert score >= max(scores) - 0.001 - 1e-9


@pytest.mark.parametrize("name", METRICS)
def test_one_class_s_search_looks_at_the_photos_near_it_alone(name):
    metric = find_metric(name)
    for seed in range(10):
        logs, truth = drawn(seed)
        c, rows = 1 + seed % 5, np.arange(len(logs))
        others = logs.copy()
        others[:, c] = -np.inf
        other = others.argmax(axis=1)
        threshold = logs[rows, other] - logs[:, c]
        terms = terms_of(metric, truth, 6)
        shift, score = column_search(threshold, other, truth, c, terms, 2.0)
        moved = logs + shift * (np.arange(6) == c)
        assert metric.value(truth, moved.argmax(axis=1), 6) == pytest.approx(score)
        assert abs(shift) <= 3.0
        tried = np.linspace(-2, 2, 100)
        of = [
            metric.value(truth, (logs + s * (np.arange(6) == c)).argmax(axis=1), 6) for s in tried
        ]
        assert score >= max(of) - 0.001 - 1e-9


def test_terms_are_sklearns():
    logs, truth = drawn(0)
    said = logs.argmax(axis=1)
    hits, true, predicted = (
        np.bincount(part, minlength=6) for part in (truth[truth == said], truth, said)
    )
    for name, expected in (
        ("f2_macro", fbeta_score(truth, said, beta=2, average="macro")),
        ("balanced_accuracy", balanced_accuracy_score(truth, said)),
        ("accuracy", np.mean(truth == said)),
    ):
        terms = terms_of(find_metric(name), truth, 6)
        assert terms.of(hits, true, predicted).sum() / terms.divisor == pytest.approx(expected)


def least_good(thresholds, score):
    """The shift nearest to 0 of those within .001 of the best, and its score, of all that differ.

    `score(shift)` is tried between any two thresholds, and 1/2 beyond the outer ones.
    """
    edges = np.unique(thresholds)
    edges = np.concatenate([[edges[0] - 1], edges, [edges[-1] + 1]])
    middles = (edges[1:] + edges[:-1]) / 2
    scores = np.array([score(middle) for middle in middles])
    good = np.flatnonzero(scores >= scores.max() - 0.001)
    best = good[np.abs(middles[good]).argmin()]
    return pytest.approx((middles[best], scores[best]))


@pytest.mark.parametrize("name", METRICS)
def test_the_least_good_shift_of_all_where_photos_move_together(name):
    metric = find_metric(name)
    for seed in range(4):
        logs, truth = drawn(seed, n=60)
        logs = np.round(logs, 1) + np.arange(6) / 7  # many have one threshold
        for group in (np.arange(6) < 3, np.arange(6) == seed):
            inside, outside = logs[:, group].max(axis=1), logs[:, ~group].max(axis=1)
            thresholds = np.round(outside - inside, 9)

            def score(shift, logs=logs, truth=truth, group=group):
                return metric.value(truth, (logs + shift * group).argmax(axis=1), 6)

            found = line_search(logs, truth, group, terms_of(metric, truth, 6))
            assert found == least_good(thresholds, score)


@pytest.mark.parametrize("name", METRICS)
def test_one_class_s_search_within_limits(name):
    metric = find_metric(name)
    for seed, limit in ((0, 2.0), (1, 0.5), (2, 0.2)):
        logs, truth = drawn(seed, n=60)
        logs, rows = np.round(logs, 1) + np.arange(6) / 7, np.arange(60)
        c = seed
        others = np.where(np.arange(6) == c, -np.inf, logs)
        other = others.argmax(axis=1)
        threshold = np.round(others[rows, other] - logs[:, c], 9)

        near = np.abs(threshold) <= limit
        assert limit == 2.0 or not near.all()

        def score(shift, near=near, threshold=threshold, other=other, truth=truth, c=c):
            moved = np.where(near, threshold < shift, threshold < 0)
            return metric.value(truth, np.where(moved, c, other), 6)

        found = column_search(threshold, other, truth, c, terms_of(metric, truth, 6), limit)
        assert found == least_good(threshold[near], score)


def test_a_class_that_no_photo_is_near_stays():
    terms = terms_of(find_metric("accuracy"), np.array([0, 1]), 3)
    far, other = np.array([2.0, -3.0]), np.array([0, 0])
    assert column_search(far, other, np.array([0, 1]), 2, terms, 1.0) == (0.0, -np.inf)
    assert column_search(far, other, np.array([0, 1]), 2, terms, 2.0)[1] == 0.5  # at the limit


def test_a_mean_over_present_classes_is_one_over_those_of_the_truth():
    truth = np.array([0, 0, 2])
    for name, divisor in (("f1_macro", 4), ("f1_macro_present", 2), ("balanced_accuracy", 2)):
        assert terms_of(find_metric(name), truth, 4).divisor == divisor
    assert terms_of(find_metric("accuracy"), truth, 4).divisor == 3
