"""The scores of answers by the competition's metric, and beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kit.competition import Competition
from kit.metrics.metric import Metric, MetricName, find_metric, metric_of
from kit.task import Task


@dataclass(frozen=True)
class CalibrationBin:
    """The photos whose predicted class has a probability from `low` to `high`.

    `confidence` is the mean of that probability, and `accuracy` the share that is right.
    """

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float


def calibration(
    probs: np.ndarray, truth: np.ndarray, bins: int = 15
) -> tuple[float, list[CalibrationBin]]:
    """The expected calibration error of probabilities (N, C), and the bins that it averages.

    Of several labels each label of each photo counts, as there or not. The bins have equal width.
    Guo et al., On calibration of modern neural networks (ICML 2017).
    """
    if truth.ndim == 2:
        sure, right = np.maximum(probs, 1 - probs).ravel(), ((probs > 0.5) == truth).ravel()
    else:
        sure, right = probs.max(axis=1), probs.argmax(axis=1) == truth
    confidence = sure.astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for b in range(bins):
        inside = bin_of == b
        means = (float(x[inside].mean()) if inside.any() else 0.0 for x in (confidence, right))
        table.append(CalibrationBin(b / bins, (b + 1) / bins, int(inside.sum()), *means))
    off = sum(row.photos * abs(row.accuracy - row.confidence) for row in table)
    return float(off / len(right)), table


def decided(probs: np.ndarray, competition: Competition) -> np.ndarray:
    """The answers to probabilities (N, C) by which nothing is fitted.

    It is the most probable class (N,); of several labels those above one half, uint8 (N, C); and
    for quadratic kappa the expected class, rounded, as it loses by the square of the distance.
    """
    if competition.several_labels:
        return (probs > 0.5).astype(np.uint8)
    if by_expectation(competition):
        return np.rint(expected(probs)).astype(np.int64)
    return np.asarray(probs.argmax(axis=1))


def by_expectation(competition: Competition) -> bool:
    """True if classes are decided by their expected value."""
    return metric_of(competition).name == "quadratic_kappa"


def expected(probs: np.ndarray) -> np.ndarray:
    """The expected class (N,) of probabilities (N, C): from 0 to C - 1."""
    total = probs.sum(axis=1, dtype=np.float64)
    return np.asarray(probs @ np.arange(probs.shape[1], dtype=np.float64) / total)


# The scores beside the competition's own, by name: functions of true and decided answers, and C.
METRICS: Final = {"accuracy": find_metric("accuracy").value}


@dataclass(frozen=True)
class Scores:
    """The scores of one set of predictions.

    `score` is the competition's own, `metric` what it is called, `metrics` are those of `METRICS`,
    and `tasks` has the score of each task, where there are several.
    """

    score: float
    metric: MetricName
    metrics: dict[str, float]
    tasks: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """The scores as people read them."""
        of_tasks = ", ".join(f"{name} {value:.3f}" for name, value in self.tasks.items())
        return f"{self.metric.title} {self.score:.3f}" + (f" ({of_tasks})" if of_tasks else "")

    def describe(self) -> dict[str, float]:
        """The scores by name, as JSON has them."""
        return {self.metric.key: self.score} | self.metrics | self.tasks


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    competition: Competition,
    probs: np.ndarray | None = None,
) -> Scores:
    """Score decided answers against the truth, both classes (N,) or labels (N, C).

    A metric of probabilities needs them, as `probs` (N, C).
    """
    metric, classes = metric_of(competition), competition.num_classes
    answers = of_metric(metric, predicted, probs)
    of_task = task_metric(metric)
    tasks = {
        task.name: of_task.value(true, said, len(task.classes))
        for task, true, said in task_answers(of_task, competition, truth, predicted, probs)
    }
    metrics = {name: value(truth, predicted, classes) for name, value in METRICS.items()}
    return Scores(metric.value(truth, answers, classes), metric.named, metrics, tasks)


def of_metric(metric: Metric, predicted: np.ndarray, probs: np.ndarray | None) -> np.ndarray:
    """What a metric scores of decided answers and probabilities."""
    if not metric.of_probs:
        return predicted
    if probs is None:
        raise ValueError(f"{metric.name} scores probabilities")
    return probs


def task_metric(metric: Metric) -> Metric:
    """The metric of each task: the competition's, but that a function knows no tasks."""
    return find_metric("balanced_accuracy") if metric.is_function else metric


def task_answers(
    metric: Metric,
    competition: Competition,
    truth: np.ndarray,
    predicted: np.ndarray,
    probs: np.ndarray | None,
) -> Iterator[tuple[Task, np.ndarray, np.ndarray]]:
    """Each task that is scored beside the classes, its truth (N,), and what the metric scores."""
    if not competition.parts:
        return
    answers = zip(competition.parts, competition.decode(truth), competition.decode(predicted))
    for task, true, said in answers:
        of_task = competition.task_probs(probs, task) if probs is not None else None
        yield task, true, of_metric(metric, said, of_task)
