"""A comparison as JSON has it, by hand."""

import dataclasses
import json

from helpers import MASK

from kit.metrics.metric import metric_of
from kit.reporting.comparison import ComparedFile, Comparison, Gain, OofCounts, Pair, Truth
from kit.reporting.likeness import ClassLikeness, Flip, ProbLikeness
from kit.scoring.metrics import Scores

TASKS = {"mask": 0, "gender": 1, "age": 0}
PAIR = Pair("a", "b", 4, ClassLikeness(0.75, 0.5, 1, TASKS, [Flip(0, 3, 1)], 0))


def test_a_comparison_of_files_alone_has_neither_scores_nor_runs():
    comparison = Comparison(MASK, {"a": ComparedFile([4])}, ["a"], [PAIR], [])
    assert list(comparison.describe()) == ["files", "order", "pairs", "apart"]
    assert comparison.describe()["files"] == {"a": {"counts": [4]}}
    assert comparison.describe()["pairs"] == [
        {
            "a": "a",
            "b": "b",
            "photos": 4,
            "agreement": 0.75,
            "kappa": 0.5,
            "differ": 1,
            "mask": 0,
            "gender": 1,
            "age": 0,
            "flips": [{"from": 0, "to": 3, "photos": 1}],
            "other_flips": 0,
        }
    ]


def test_what_is_known_of_the_truth_stands_in_its_place():
    scores = Scores(0.5, metric_of(MASK).named, {"accuracy": 0.6}, {"mask": 0.7})
    file = ComparedFile([4], scores, (0.4, 0.6), OofCounts([8], 0.5, 0.5))
    pair = dataclasses.replace(PAIR, gain=Gain(0.1, None, 0.03))
    comparison = Comparison(MASK, {"a": file}, ["a"], [pair], None, Truth("people", 9, [4]), ["a"])
    result = json.loads(json.dumps(comparison.describe()))
    assert list(result) == [
        "files",
        "order",
        "pairs",
        "by",
        "effective",
        "true_counts",
        "apart",
        "chosen_on_fold",
    ]
    assert result["files"]["a"] == {
        "counts": [4],
        "scores": {"f1": 0.5, "accuracy": 0.6, "mask": 0.7},
        "interval": [0.4, 0.6],
        "oof_counts": [8],
        "oof_p": 0.5,
    }
    keys = list(result["pairs"][0])
    assert keys[-5:] == ["gain", "gain_interval", "p", "flips", "other_flips"]
    assert result["pairs"][0]["gain_interval"] is None


def test_probabilities_have_means_and_no_flips():
    pair = Pair("a", "b", 4, ProbLikeness(0.9, 0.8, 0.1))
    files = {"a": ComparedFile([4], means=[0.25])}
    result = Comparison(MASK, files, ["a"], [pair], []).describe()
    assert result["files"] == {"a": {"means": [0.25]}}
    numbers = {"correlation": 0.9, "rank_correlation": 0.8, "log_loss_between": 0.1}
    assert result["pairs"] == [{"a": "a", "b": "b", "photos": 4, **numbers}]
