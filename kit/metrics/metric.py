"""The metric of a competition: by its name, or as a function of a definition."""

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kit.metrics.kinds import AVERAGES, BETA, PLAIN, Metric, MetricName, f_metric, recall_of_classes
from kit.system.errors import KitError, did_you_mean

__all__ = [
    "Metric",
    "MetricName",
    "find_metric",
    "metric_of",
    "names",
    "of_function",
    "refusal",
    "usual_metric",
]


class Scored(Protocol):
    """What of a competition says how it is scored."""

    @property
    def metric(self) -> Any:
        """The name of a metric, or a function of the truth and the probabilities."""

    @property
    def greater(self) -> bool:
        """True if more is better, of a function."""

    @property
    def kind(self) -> str:
        """The kind of the competition."""

    @property
    def answer(self) -> str:
        """What a submission has for a photo."""


def metric_of(competition: Scored) -> Metric:
    """The metric of a competition; where its definition names none, the usual one."""
    if callable(competition.metric):
        return of_function(competition.metric, competition.greater)
    return find_metric(competition.metric or usual_metric(competition.kind, competition.answer))


def usual_metric(kind: str, answer: str) -> str:
    """The name of the metric that goes with a kind of competition and a form of answer."""
    if kind == "order" and answer in ("class", "name"):
        return "quadratic_kappa"
    if kind == "labels" and answer == "probabilities":
        return "roc_auc"
    return {"probability": "roc_auc", "probabilities": "log_loss", "list": "f1_samples"}.get(
        answer, "accuracy"
    )


@functools.cache
def find_metric(name: str) -> Metric:
    """The metric of a name; raises `KitError` with the nearest one for any other."""
    if name in PLAIN:
        return PLAIN[name]
    if found := BETA.fullmatch(name):
        beta, average = float(found[1]), found[2]
        if 0.1 <= beta <= 10:
            return f_metric(name, beta, average)
    known = names()
    hint = did_you_mean(name, known)
    raise KitError(f"metric '{name}': there is no such metric{hint}; take {', '.join(known)}")


def names() -> list[str]:
    """The names of metrics; those of F have any number for the 1."""
    return [*PLAIN, *(f"f1_{average}" for average in AVERAGES)]


def refusal(metric: Metric, kind: str, classes: int, answer: str) -> str:
    """Why a metric cannot score such answers, in words; empty if it can.

    `kind` and `answer` are those of a competition of so many classes.
    """
    name, decided = metric.name, answer in ("class", "name", "list")
    if metric.is_function:
        return ""  # a function decides by itself
    if metric.of_probs and decided:
        return f"{name} scores probabilities, and an answer is a {answer}"
    if not metric.of_probs and not decided:
        return f"{name} scores decided answers, and an answer has {answer}"
    if name in ("quadratic_kappa", "balanced_accuracy") and kind == "labels":
        return f"{name} scores one class a photo, and a photo may have several"
    if metric.average == "samples" and kind != "labels":
        return f"{name} scores several labels a photo, and a photo has one class"
    if name == "partial_auc" and kind != "labels" and classes != 2:
        return f"{name} scores two classes, and there are {classes}"
    return ""


def of_function(function: Callable[[np.ndarray, np.ndarray], float], greater: bool) -> Metric:
    """The metric of a definition's function of the truth and the probabilities."""
    name = getattr(function, "name", "") or getattr(function, "__name__", "metric")

    def value(truth: np.ndarray, probs: np.ndarray, classes: int) -> float:
        try:
            score = float(function(truth.copy(), probs.copy()))  # it may write into them
        except KitError:
            raise
        except Exception as error:  # whatever a user's function raises is theirs to mend
            what = f"{type(error).__name__}: {error}"
            raise KitError(f"the definition's metric '{name}' failed ({what}); mend it") from error
        if not math.isfinite(score):
            what = f"of {len(truth):,} photos; let it return a finite number"
            raise KitError(f"the definition's metric '{name}' is {score} {what}")
        return score

    return Metric(
        name, name.replace("_", " "), greater, value=value, of_probs=True, **recall_of_classes()
    )
