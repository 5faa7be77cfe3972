"""What is known of each metric that has a name."""

import dataclasses

import pytest

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
