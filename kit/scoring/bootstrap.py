"""Intervals and paired tests of scores, by a bootstrap over groups."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import norm, t

from kit.competition import Competition
from kit.scoring.metrics import f1_of_counts, macro_f1

DRAWS: Final = 2000
LEAST_GROUPS: Final = 8  # that an interval must rest on: see `interval`
Interval = tuple[float, float]


def interval(values: np.ndarray, groups: float) -> Interval | None:
    """The 95 % interval of bootstrap draws (draws,) that rest on so many groups; None below 8.

    It is by expanded percentiles. Plain ones are too narrow for few (Hesterberg, What teachers
    should know about the bootstrap, 2015, 4.6): with 57 groups of the rarest class, 92 of 100 hold
    the true macro-F1. Expanded they are rather too wide than too narrow: of simulated groups, as
    many of each class, 99 of 100 hold it at 4 effective groups, 98 at 6, 8 and 16, and 96 at 57
    (1,000 samples each, 500 of 57; plain percentiles: 93 to 96). They are .39, .29, .22, .14 and
    .07 wide: below 8 groups, too wide to decide anything.
    """
    if groups < LEAST_GROUPS:
        return None
    tail = norm.cdf(-np.sqrt(groups / (groups - 1)) * t.ppf(0.975, groups - 1))
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (0.0, 0.0)
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
    return (
        f"no interval: it would rest on {int(groups)} {of} of the rarest classes, and "
        f"{LEAST_GROUPS} are needed"
    )


class GroupBootstrap:
    """A bootstrap over groups: each draw takes as many groups as there are, with replacement.

    A group comes with all of its photos: they succeed and fail together, so that a bootstrap over
    photos would make an interval less than half as wide (Field and Welsh, Bootstrapping clustered
    data, 2007). `groups` and `truth` are (N,), names and true classes. All that is asked of one
    object is scored on the same draws, so that differences are paired.

    `number` is the number of groups, `at` (N,) each photo's one, and `of_class` (C,) how many
    groups each class has. Macro-F1 rests on `effective` groups, their harmonic mean over the
    classes, for its variance is a sum of those of the classes.
    """

    def __init__(
        self, groups: np.ndarray, truth: np.ndarray, classes: int, draws: int = DRAWS, seed: int = 0
    ) -> None:
        names, self.at = np.unique(np.asarray(groups), return_inverse=True)
        n = self.number = len(names)
        self.truth, self.classes = truth, classes
        pairs = np.unique(self.at * classes + truth)
        self.of_class = np.bincount(pairs % classes, minlength=classes)
        present = self.of_class[self.of_class > 0]
        # Rounded, so that of three each it is 3, and no rounding above it.
        self.effective = round(float(len(present) / (1 / present).sum()), 6)
        # How often each group is in each draw; float32, for the product with counts below.
        times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws)
        self._times = times.astype(np.float32)

    def _counts(self, predicted: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
        """Each group's hits, true and predicted photos a class: (3, groups, classes)."""
        hit = truth == predicted
        parts = [
            np.bincount(self.at[of] * classes + labels[of], minlength=self.number * classes)
            for labels, of in ((truth, hit), (truth, ...), (predicted, ...))
        ]
        return np.stack(parts).reshape(3, self.number, classes).astype(np.float32)

    def f1(
        self, predicted: np.ndarray, truth: np.ndarray | None = None, classes: int | None = None
    ) -> np.ndarray:
        """F1 of each class in each draw, (draws, classes), of predicted classes (N,).

        `truth` and `classes` are those of a task, by default of the competition's classes. NaN
        where a draw has none of a class's groups: it tells nothing of that class.
        """
        classes = classes or self.classes
        counts = self._counts(predicted, self.truth if truth is None else truth, classes)
        drawn = np.stack([self._times @ part for part in counts], axis=1)
        return np.where((drawn[:, 1] == 0) & counts[1].any(axis=0), np.nan, f1_of_counts(drawn))

    def macro(
        self, predicted: np.ndarray, truth: np.ndarray | None = None, classes: int | None = None
    ) -> np.ndarray:
        """Macro-F1 in each draw, (draws,), over the classes that the draw has groups of."""
        return np.nanmean(self.f1(predicted, truth, classes), axis=1)

    def paired_p(self, a: np.ndarray, b: np.ndarray) -> float:
        """The p of two sets of predicted classes (N,) having the same macro-F1.

        It is a permutation test over groups: if neither is better, each group's photos could as
        well have been predicted the other way round. So often does swapping them, for a random half
        of the groups, make a difference at least as large.
        """
        counts = [self._counts(predicted, self.truth, self.classes) for predicted in (a, b)]
        swap = np.random.default_rng(1).integers(0, 2, self._times.shape).astype(np.float32)
        moved = np.stack([swap @ part for part in counts[1] - counts[0]], axis=1)  # (draws, 3, C)
        one, other = (part.sum(axis=1) for part in counts)
        f1 = [f1_of_counts(part).mean(axis=-1) for part in (one + moved, other - moved)]
        observed = abs(f1_of_counts(one).mean() - f1_of_counts(other).mean())
        return float((1 + np.sum(np.abs(f1[0] - f1[1]) >= observed - 1e-7)) / (1 + len(swap)))

    def interval(self, values: np.ndarray) -> Interval | None:
        """The 95 % interval of a macro-F1, or of a difference of two, by its draws (draws,).

        None of fewer than 8 effective groups.
        """
        return interval(values, self.effective)

    def by_class(self, predicted: np.ndarray) -> list[tuple[float, Interval | None]]:
        """F1 of each of the C classes with its 95 % interval."""
        draws = self.f1(predicted)
        values = []
        for c in range(self.classes):
            said, true = predicted == c, self.truth == c
            values.append(2 * np.sum(said & true) / max(np.sum(said) + np.sum(true), 1))
        return [
            (float(value), interval(draw, groups))
            for value, draw, groups in zip(values, draws.T, self.of_class)
        ]

    def by_task(
        self, predicted: np.ndarray, competition: Competition
    ) -> dict[str, tuple[float, Interval | None]]:
        """Macro-F1 of each task with its 95 % interval; nothing where there is one task."""
        scores = {}
        answers = zip(competition.decode(self.truth), competition.decode(predicted))
        for task, (truth, said) in zip(competition.parts, answers):
            number = len(task.classes)
            draws = self.macro(said, truth, number)
            scores[task.name] = macro_f1(truth, said, number), self.interval(draws)
        return scores
