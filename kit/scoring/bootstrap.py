"""Intervals and paired tests of scores, of any metric, by a bootstrap over groups."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import norm, t

from kit.competition import Competition
from kit.metrics.metric import Metric, find_metric
from kit.scoring.drawn_scores import DrawnScores
from kit.scoring.metrics import task_answers, task_metric

DRAWS: Final = 2000
LEAST_GROUPS: Final = 8  # that an interval must rest on: see `interval`
Interval = tuple[float, float]


def interval(values: np.ndarray, groups: float) -> Interval | None:
    """The 95 % interval of bootstrap draws (draws,) that rest on so many groups; None below 8.

    None, too, where no draw has a score, such as ROC AUC where every draw lacks a class.

    It is by expanded percentiles. Plain ones are too narrow for few (Hesterberg, What teachers
    should know about the bootstrap, 2015, 4.6): with 57 groups of the rarest class, 92 of 100 hold
    the true macro-F1. Expanded they are rather too wide than too narrow: of simulated groups, as
    many of each class, 99 of 100 hold it at 4 effective groups, 98 at 6, 8 and 16, and 96 at 57
    (1,000 samples each, 500 of 57; plain percentiles: 93 to 96). They are .39, .29, .22, .14 and
    .07 wide: below 8 groups, too wide to decide anything.
    """
    values = values[np.isfinite(values)]
    if groups < LEAST_GROUPS or not len(values):
        return None
    tail = norm.cdf(-np.sqrt(groups / (groups - 1)) * t.ppf(0.975, groups - 1))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def show_interval(interval: Sequence[float] | None, form: str = ".3f", between: str = " ") -> str:
    """An interval as a table shows it: `0.512 0.634`, or `none`."""
    return between.join(format(end, form) for end in interval) if interval else "none"


def say_interval(
    interval: Sequence[float] | None,
    groups: float,
    form: str = ".3f",
    between: str = " ",
    of: str = "groups",
) -> str:
    """An interval in words; without one, on how few groups it would rest.

    `of` is the competition's word for groups, or `photos`.
    """
    if interval:
        return f"95 % interval {show_interval(interval, form, between)}"
    if groups >= LEAST_GROUPS:
        return f"no interval: no draw of {of} has a score"
    return (
        f"no interval: it would rest on {int(groups)} {of} of the rarest classes, and "
        f"{LEAST_GROUPS} are needed"
    )


class GroupBootstrap:
    """A bootstrap over groups: each draw takes as many groups as there are, with replacement.

    A group comes with all of its photos: they succeed and fail together, so that a bootstrap over
    photos would make an interval less than half as wide (Field and Welsh, Bootstrapping clustered
    data, 2007). `groups` (N,) are names, `truth` classes (N,) or labels (N, C), and `metric` scores
    answers as its `value` does. All that is asked of one object is scored on the same draws, so
    that differences are paired. Of what takes long there are fewer draws: see `DrawnScores`.

    `number` is the number of groups, `at` (N,) each photo's one, and `of_class` (C,) how many
    groups each class has. A score rests on `effective` groups: of one that is averaged over the
    classes it is their harmonic mean, for its variance is a sum of those of the classes.
    """

    def __init__(
        self,
        groups: np.ndarray,
        truth: np.ndarray,
        classes: int,
        metric: Metric = find_metric("f1_macro"),
        draws: int = DRAWS,
        seed: int = 0,
    ) -> None:
        names, self.at = np.unique(np.asarray(groups), return_inverse=True)
        n = self.number = len(names)
        self.truth, self.classes, self.metric = truth, classes, metric
        if truth.ndim == 1:
            pairs = np.unique(self.at * classes + truth)
        else:
            rows, columns = np.nonzero(truth)
            pairs = np.unique(self.at[rows] * classes + columns)
        self.of_class = np.bincount(pairs % classes, minlength=classes)
        present = self.of_class[self.of_class > 0]
        harmonic = float(len(present) / (1 / present).sum()) if len(present) else 0.0
        # Rounded, so that of three each it is 3, and no rounding above it.
        self.effective = round(harmonic, 6) if metric.averaged else float(n)
        self.drawn = DrawnScores(self.at, n, draws, seed)

    def draws(self, answers: np.ndarray) -> np.ndarray:
        """The score in each draw, (draws,), over the classes that the draw has groups of."""
        return self.drawn.scores(self.metric, self.truth, answers, self.classes)

    def value(self, answers: np.ndarray) -> float:
        """The score of answers."""
        return self.metric.value(self.truth, answers, self.classes)

    def paired_p(self, a: np.ndarray, b: np.ndarray) -> float:
        """The p of two sets of answers having the same score.

        It is a permutation test over groups: if neither is better, each group's photos could as
        well have been predicted the other way round. So often does swapping them, for a random half
        of the groups, make a difference at least as large.
        """
        apart, swapped = self.drawn.swapped(self.metric, self.truth, (a, b), self.classes)
        return float((1 + np.sum(np.abs(swapped) >= abs(apart) - 1e-7)) / (1 + len(swapped)))

    def interval(self, values: np.ndarray) -> Interval | None:
        """The 95 % interval of a score, or of a difference of two, by its draws (draws,).

        None of fewer than 8 effective groups.
        """
        return interval(values, self.effective)

    def by_class(
        self, decided: np.ndarray, probs: np.ndarray | None = None
    ) -> list[tuple[float, Interval | None]]:
        """The score of each of the C classes with its 95 % interval.

        It is the metric's own of a class, of the decided answers or of probabilities (N, C).
        """
        answers = probs if self.metric.class_of_probs and probs is not None else decided
        values, draws = self.drawn.class_scores(self.metric, self.truth, answers, self.classes)
        return [
            (float(value), interval(draw, groups))
            for value, draw, groups in zip(values, draws.T, self.of_class)
        ]

    def by_task(
        self, decided: np.ndarray, competition: Competition, probs: np.ndarray | None = None
    ) -> dict[str, tuple[float, Interval | None]]:
        """The score of each task with its 95 % interval; nothing where there is one task."""
        scores, metric = dict[str, tuple[float, Interval | None]](), task_metric(self.metric)
        for task, truth, said in task_answers(metric, competition, self.truth, decided, probs):
            number = len(task.classes)
            draws = self.drawn.scores(metric, truth, said, number)
            scores[task.name] = metric.value(truth, said, number), self.interval(draws)
        return scores
