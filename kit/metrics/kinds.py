"""A competition's score, a `Metric`, and all that have a name."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.metrics import ranks, sums
from kit.metrics.sums import Sums

BETA: Final = re.compile(r"f([0-9]+(?:\.[0-9]+)?)_(macro|macro_present|micro|samples)")
AVERAGES: Final = ("macro", "macro_present", "micro", "samples")
_AREA: Final = 0.8  # the least true positive rate of ISIC 2024's partial area


@dataclass(frozen=True)
class MetricName:
    """What a score is called: `title` in a sentence, `key` in JSON.

    More is better where `greater` is True.
    """

    name: str
    title: str
    greater: bool = True
    key: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)

    @property
    def sign(self) -> int:
        """1 where more is better, else -1: a difference times it is a gain."""
        return 1 if self.greater else -1

    @property
    def named(self) -> "MetricName":
        """Its name alone."""
        return MetricName(self.name, self.title, self.greater, self.key)


@dataclass(frozen=True, kw_only=True)
class Metric(MetricName):
    """A score. `value(truth, answers, classes)` is that of `answers`.

    They are probabilities (N, C) where `of_probs` is True; else the decided classes int64 (N,), or
    labels uint8 (N, C). `truth` is shaped as the latter.

    A score of sums over photos has them as `sums`; one of the order of photos has `column(truth,
    scores, weights)`, its value (D,) in one column of probabilities with each row of weights
    (D, N). Each class's own score is called `class_title`: it is that of `column`, or has
    `class_sums`, of probabilities where `class_of_probs` is True. Where `averaged`, the score rests
    on the classes with the fewest groups. Of one class a photo, `counts` scores the hits, true and
    predicted photos of each class, if the score is one of them. `beta` is that of an F-score.
    """

    value: Callable[[np.ndarray, np.ndarray, int], float]
    of_probs: bool = False
    sums: Sums | None = None
    column: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    class_sums: Sums | None = None
    class_title: str
    class_of_probs: bool = False
    averaged: bool = False
    counts: Sums | None = None
    beta: float = 1.0

    @property
    def is_function(self) -> bool:
        """True for a function of the definition, of which nothing else is known."""
        return self.sums is None and self.column is None

    @property
    def average(self) -> str:
        """How an F-score is averaged: `macro`, `macro_present`, `micro`, `samples`; else empty."""
        found = BETA.fullmatch(self.name)
        return found[2] if found and not self.is_function else ""


def recall_of_classes() -> dict[str, Any]:
    """The fields of a metric whose classes are scored by their recall."""
    return {"class_sums": _counted(lambda s, _: sums.recall(s)), "class_title": "recall"}


def _counted(value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sums:
    """A score of the hits, true and predicted photos of each class."""
    return Sums(lambda classes: 3 * classes, sums.count_entries, value)


def _mean(entries: Callable[[np.ndarray, np.ndarray, int], sums.Entries]) -> Sums:
    """A mean over photos."""
    return Sums(lambda _: 2, entries, sums.quotient)


def _of_sums(score: Sums) -> Callable[[np.ndarray, np.ndarray, int], float]:
    """The value of a metric by its sums."""
    return lambda truth, answers, classes: float(score.score(truth, answers, classes))


def f_metric(name: str, beta: float, average: str) -> Metric:
    """An F-score: of each class, of all counts together, or of each photo's labels."""
    one = _counted(lambda s, whole: sums.drawn_f(s, whole, beta))
    if average == "macro_present":
        one = _counted(lambda s, _: sums.present_f(s, beta))
    if average == "micro":
        total = _counted(lambda s, _: sums.micro_f(s, beta))
    elif average == "samples":
        total = _mean(
            lambda truth, answers, _: sums.mean_entries(sums.f_of_photos(truth, answers, beta))
        )
    else:
        total = _counted(lambda s, whole: sums.mean_of_classes(one.value(s, whole)))
    title = {"macro_present": "macro", "samples": "sample"}.get(average, average)
    return Metric(
        name,
        f"{title}-F{beta:g}",
        value=_of_sums(total),
        key="f1" if name == "f1_macro" else "",
        sums=total,
        class_sums=one,
        class_title=f"F{beta:g}",
        averaged=average.startswith("macro"),
        counts=total if average != "samples" else None,
        beta=beta,
    )


def _rank_metric(name: str, title: str, value: ranks.Curve) -> Metric:
    """A score of the order of photos: of the second of two classes, or the mean over classes."""

    def column(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return ranks.weighted(truth, scores, weights, value)

    def mean(truth: np.ndarray, probs: np.ndarray, classes: int) -> float:
        found, once = ranks.columns(truth, probs, classes), np.ones((1, len(truth)))
        # Without a column all are alike: the score of chance.
        of = [column(true, scores, once)[0] for true, scores in found] or value(
            np.ones((1, 1)), np.ones((1, 1))
        )
        return float(np.mean(of))

    return Metric(
        name,
        title,
        value=mean,
        of_probs=True,
        column=column,
        class_title=title,
        class_of_probs=True,
        averaged=True,
    )


def _plain_metrics() -> Iterator[Metric]:
    """The metrics that have no beta."""
    whole = _mean(lambda truth, answers, _: sums.mean_entries(sums.right(truth, answers)))
    hits = _counted(lambda s, _: sums.accuracy(s))
    yield Metric(
        "accuracy",
        "accuracy",
        value=_of_sums(whole),
        sums=whole,
        counts=hits,
        **recall_of_classes(),
    )
    balanced = _counted(lambda s, _: sums.mean_of_classes(sums.recall(s)))
    yield Metric(
        "balanced_accuracy",
        "balanced accuracy",
        value=_of_sums(balanced),
        sums=balanced,
        counts=balanced,
        averaged=True,
        **recall_of_classes(),
    )
    yield _rank_metric("roc_auc", "ROC AUC", ranks.roc_area)
    yield _rank_metric("partial_auc", "partial AUC", functools.partial(ranks.roc_area, least=_AREA))
    yield _rank_metric("average_precision", "average precision", ranks.average_precision)
    loss = _mean(sums.loss_entries)
    yield Metric(
        "log_loss",
        "log-loss",
        greater=False,
        value=_of_sums(loss),
        of_probs=True,
        sums=loss,
        class_sums=Sums(lambda classes: 2 * classes, sums.class_loss_entries, sums.quotient),
        class_title="log-loss",
        class_of_probs=True,
    )
    kappa = Sums(lambda classes: classes**2, sums.confusion_entries, sums.quadratic_kappa)
    yield Metric(
        "quadratic_kappa",
        "quadratic kappa",
        value=_of_sums(kappa),
        sums=kappa,
        **recall_of_classes(),
    )


PLAIN: Final = {metric.name: metric for metric in _plain_metrics()}
