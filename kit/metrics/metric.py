"""A competition's score: a `Metric`, by its name or as a function of a definition."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from kit.metrics import ranks, sums
from kit.metrics.sums import Sums
from kit.system.errors import KitError, did_you_mean

_BETA: Final = re.compile(r"f([0-9]+(?:\.[0-9]+)?)_(macro|macro_present|micro|samples)")
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
    class_title: str = ""
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
        found = _BETA.fullmatch(self.name)
        return found[2] if found and not self.is_function else ""

    @property
    def named(self) -> MetricName:
        """Its name alone."""
        return MetricName(self.name, self.title, self.greater, self.key)


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
    return {"probability": "roc_auc", "probabilities": "log_loss", "list": "f1_samples"}.get(
        answer, "accuracy"
    )


@functools.cache
def find_metric(name: str) -> Metric:
    """The metric of a name; raises `KitError` with the nearest one for any other."""
    if name in _PLAIN:
        return _PLAIN[name]
    if found := _BETA.fullmatch(name):
        beta, average = float(found[1]), found[2]
        if 0.1 <= beta <= 10:
            return _f_metric(name, beta, average)
    known = names()
    raise KitError(f"metric '{name}': is none of {', '.join(known)}{did_you_mean(name, known)}")


def names() -> list[str]:
    """The names of metrics; those of F have any number for the 1."""
    return [*_PLAIN, *(f"f1_{average}" for average in _AVERAGES)]


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
            return float(function(truth, probs))
        except KitError:
            raise
        except Exception as error:  # whatever a user's function raises is theirs to mend
            what = f"{type(error).__name__}: {error}"
            raise KitError(f"the definition's metric '{name}' failed ({what})") from error

    return Metric(
        name, name.replace("_", " "), greater, value=value, of_probs=True, **_recall_of_classes()
    )


def _recall_of_classes() -> dict[str, Any]:
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


def _f_metric(name: str, beta: float, average: str) -> Metric:
    """An F-score: of each class, of all counts together, or of each photo's labels."""
    one = {
        "macro": _counted(lambda s, whole: sums.drawn_f(s, whole, beta)),
        "macro_present": _counted(lambda s, _: sums.present_f(s, beta)),
    }.get(average, _counted(lambda s, whole: sums.drawn_f(s, whole, beta)))
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
        **_recall_of_classes(),
    )
    balanced = _counted(lambda s, _: sums.mean_of_classes(sums.recall(s)))
    yield Metric(
        "balanced_accuracy",
        "balanced accuracy",
        value=_of_sums(balanced),
        sums=balanced,
        counts=balanced,
        averaged=True,
        **_recall_of_classes(),
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
        **_recall_of_classes(),
    )


_AVERAGES: Final = ("macro", "macro_present", "micro", "samples")
_PLAIN: Final = {metric.name: metric for metric in _plain_metrics()}
