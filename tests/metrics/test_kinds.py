"""What is known of each metric that has a name."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics as sklearn

from kit.metrics.kinds import PLAIN, f_metric
from kit.metrics.metric import find_metric, names, of_function


def test_names_keys_titles_and_directions():
    assert f_metric("f2_samples", 2, "samples").title == "sample-F2"
    assert (find_metric("f1_macro").key, find_metric("f2_macro").key) == ("f1", "f2_macro")
    assert [name for name in names() if find_metric(name).sign < 0] == ["log_loss"]
    assert find_metric("f0.5_micro").average == "micro" and find_metric("accuracy").average == ""


def test_each_metric_has_one_way_to_be_drawn_and_scores_each_class():
    for name in names():
        metric = find_metric(name)
        assert (metric.sums is None) != (metric.column is None)
        assert not metric.is_function and metric.class_title
        assert (metric.class_sums is None) == (metric.column is not None)
        assert metric.class_of_probs == metric.of_probs
    assert of_function(max, True).is_function and of_function(max, True).average == ""


def test_a_metric_is_frozen_and_its_name_is_plain():
    metric = PLAIN["log_loss"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.name = "other"
    assert dataclasses.asdict(metric.named) == {
        "name": "log_loss",
        "title": "log-loss",
        "greater": False,
        "key": "log_loss",
    }


def test_what_is_known_of_each_metric():
    known = {
        # name: title, key, the classes' title, of probabilities, averaged over classes, by counts
        "accuracy": ("accuracy", "accuracy", "recall", False, False, True),
        "balanced_accuracy": (
            "balanced accuracy",
            "balanced_accuracy",
            "recall",
            False,
            True,
            True,
        ),
        "roc_auc": ("ROC AUC", "roc_auc", "ROC AUC", True, True, False),
        "partial_auc": ("partial AUC", "partial_auc", "partial AUC", True, True, False),
        "average_precision": (
            "average precision",
            "average_precision",
            "average precision",
            True,
            True,
            False,
        ),
        "log_loss": ("log-loss", "log_loss", "log-loss", True, False, False),
        "quadratic_kappa": ("quadratic kappa", "quadratic_kappa", "recall", False, False, False),
        "f1_macro": ("macro-F1", "f1", "F1", False, True, True),
        "f1_macro_present": ("macro-F1", "f1_macro_present", "F1", False, True, True),
        "f1_micro": ("micro-F1", "f1_micro", "F1", False, False, True),
        "f1_samples": ("sample-F1", "f1_samples", "F1", False, False, False),
        "f0.5_micro": ("micro-F0.5", "f0.5_micro", "F0.5", False, False, True),
    }
    assert [*known][:-1] == names()
    for name, values in known.items():
        metric = find_metric(name)
        assert metric.name == name and metric.beta == (0.5 if name.startswith("f0.5") else 1)
        assert values == (
            metric.title,
            metric.key,
            metric.class_title,
            metric.of_probs,
            metric.averaged,
            metric.counts is not None,
        )


def test_draws_of_a_metric_by_counts_are_scored_at_once():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, (2, 90))
    parts = [np.arange(90), np.arange(0, 90, 2), np.arange(30)]
    for name in [*names(), "f2_macro", "f2_micro"]:
        metric = find_metric(name)
        if metric.counts is None:
            continue
        drawn = np.zeros((3, 12))
        for row, part in zip(drawn, parts):
            found = metric.counts.of_photos(truth[part], said[part], 4)
            row += np.bincount(found.columns, minlength=metric.counts.width(4))
        scores = [metric.value(truth[part], said[part], 4) for part in parts]
        assert metric.counts.value(drawn, drawn[0]) == pytest.approx(scores)


def test_each_class_s_own_score():
    rng = np.random.default_rng(1)
    truth, said = rng.integers(0, 3, (2, 80))
    recalls = sklearn.recall_score(truth, said, average=None)
    for name in ("accuracy", "balanced_accuracy", "quadratic_kappa"):
        assert find_metric(name).class_sums.score(truth, said, 3) == pytest.approx(recalls)
    for average in ("macro", "macro_present", "micro"):
        scores = find_metric(f"f2_{average}").class_sums.score(truth, said, 4)
        wanted = sklearn.fbeta_score(truth, said, beta=2, average=None)
        assert scores[:3] == pytest.approx(wanted)
        assert np.isnan(scores[3]) if average == "macro_present" else scores[3] == 0
    probs = rng.dirichlet(np.ones(3), 80)
    of_classes = find_metric("log_loss").class_sums
    wanted = [-np.log(probs[truth == c, c]).mean() for c in range(3)]
    assert of_classes.score(truth, probs, 3) == pytest.approx(wanted)
    labels, given = (rng.random((80, 2)) < 0.4).astype(np.uint8), rng.random((80, 2))
    wanted = [sklearn.log_loss(t, p) for t, p in zip(labels.T, given.T)]
    assert of_classes.score(labels, given, 2) == pytest.approx(wanted)
    area = find_metric("roc_auc").column(labels[:, 1], given[:, 1], np.ones((1, 80)))
    assert area == pytest.approx([sklearn.roc_auc_score(labels[:, 1], given[:, 1])])
