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
