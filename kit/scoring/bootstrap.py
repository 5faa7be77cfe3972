"""What chance does to scores: intervals and paired tests, by a bootstrap over groups."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import norm, t

from kit.competitions.mask import NUM_CLASSES, TASK_NAMES, decode
from kit.scoring.metrics import f1_of_counts, macro_f1

DRAWS = 2000


Interval = tuple[float, float]


LEAST_PEOPLE: Final = 8  # that an interval must rest on: see `interval`


def interval(values: np.ndarray, people: float) -> Interval | None:
    """The 95 % interval of bootstrap draws (draws,) that rest on so many people, by expanded
    percentiles; None below 8 people.

    Plain percentiles are too narrow for few (Hesterberg, What teachers should know about the
    bootstrap, 2015, 4.6): with 57 people of the oldest class, 92 of 100 hold the true macro-F1.
    Expanded they are rather too wide than too narrow: of simulated people, as many of each class,
    99 of 100 hold it at 4 effective people, 98 at 6, 8 and 16, and 96 at 57 (1,000 samples each,
    500 of 57; plain percentiles: 93 to 96). They are .39, .29, .22, .14 and .07 wide: below 8, too
    wide to decide anything.
    """
    if people < LEAST_PEOPLE:
        return None
    tail = norm.cdf(-np.sqrt(people / (people - 1)) * t.ppf(0.975, people - 1))
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (0.0, 0.0)
    return float(low), float(high)


def show_interval(interval: Sequence[float] | None, form: str = ".3f", between: str = " ") -> str:
    """An interval as a table shows it: `0.512 0.634`, or `none`."""
    return between.join(format(end, form) for end in interval) if interval else "none"


def say_interval(
    interval: Sequence[float] | None,
    people: float,
    form: str = ".3f",
    between: str = " ",
    of: str = "people",
) -> str:
    """An interval as a sentence says it, and if there is none, why: on how many people (or photos)
    it would rest.
    """
    if interval:
        return f"95 % interval {show_interval(interval, form, between)}"
    return (
        f"no interval: it would rest on {int(people)} {of} of the rarest classes, and "
        f"{LEAST_PEOPLE} are needed"
    )


class GroupBootstrap:
    """A bootstrap over people: each draw takes as many people as there are, with replacement, with
    all of their photos.

    Photos of one person succeed and fail together, so that a bootstrap over photos would make an
    interval less than half as wide (Field and Welsh, Bootstrapping clustered data, 2007). `person`
    and `truth` are (N,), labels and true classes; all that is asked of one object is scored on the
    same draws, so that differences are paired.
    """

    def __init__(
        self, person: np.ndarray, truth: np.ndarray, draws: int = DRAWS, seed: int = 0
    ) -> None:
        names, self.at = np.unique(np.asarray(person), return_inverse=True)
        n = self.number = len(names)
        self.truth = truth
        pairs = np.unique(self.at * NUM_CLASSES + truth)
        # How many people each class has; macro-F1 rests on their harmonic mean, for its variance is
        # a sum of the classes' own.
        self.of_class = np.bincount(pairs % NUM_CLASSES, minlength=NUM_CLASSES)
        there = self.of_class[self.of_class > 0]
        self.effective = round(
            float(len(there) / (1 / there).sum()), 6
        )  # of three each, 3 and no rounding above it
        # How often each person is in each draw; float32, for the product with counts below.
        self._times = (
            np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws).astype(np.float32)
        )

    def _counts(self, predicted: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
        """Each person's hits, true and predicted photos a class: (3, people, classes)."""
        hit = truth == predicted
        parts = [
            np.bincount(self.at[of] * classes + labels[of], minlength=self.number * classes)
            for labels, of in ((truth, hit), (truth, ...), (predicted, ...))
        ]
        return np.stack(parts).reshape(3, self.number, classes).astype(np.float32)

    def f1(
        self, predicted: np.ndarray, truth: np.ndarray | None = None, classes: int = NUM_CLASSES
    ) -> np.ndarray:
        """F1 of each class in each draw, (draws, classes), of (N,) predicted classes; `truth` is
        another than the 18 classes.

        NaN where a draw has none of a class's people, which it then tells nothing of.
        """
        counts = self._counts(predicted, self.truth if truth is None else truth, classes)
        drawn = np.stack([self._times @ part for part in counts], axis=1)
        return np.where((drawn[:, 1] == 0) & counts[1].any(axis=0), np.nan, f1_of_counts(drawn))

    def macro(
        self, predicted: np.ndarray, truth: np.ndarray | None = None, classes: int = NUM_CLASSES
    ) -> np.ndarray:
        """Macro-F1 in each draw, (draws,), over the classes that it has people of."""
        return np.nanmean(self.f1(predicted, truth, classes), axis=1)

    def paired_p(self, a: np.ndarray, b: np.ndarray) -> float:
        """The p of two sets of predicted classes (N,) having the same macro-F1: by a permutation
        test over people.

        If neither is better, each person's photos could as well have been predicted the other way
        round: so often does swapping them, for a random half of the people, make a difference at
        least as large.
        """
        counts = [self._counts(predicted, self.truth, NUM_CLASSES) for predicted in (a, b)]
        swap = np.random.default_rng(1).integers(0, 2, self._times.shape).astype(np.float32)
        moved = np.stack([swap @ part for part in counts[1] - counts[0]], axis=1)  # (draws, 3, 18)
        one, other = (own.sum(axis=1) for own in counts)
        f1 = [f1_of_counts(own).mean(axis=-1) for own in (one + moved, other - moved)]
        observed = abs(f1_of_counts(one).mean() - f1_of_counts(other).mean())
        return float((1 + np.sum(np.abs(f1[0] - f1[1]) >= observed - 1e-7)) / (1 + len(swap)))

    def interval(self, values: np.ndarray) -> Interval | None:
        """The 95 % interval of a macro-F1, or of a difference of two, by its draws (draws,); None
        of fewer than 8 people.
        """
        return interval(values, self.effective)

    def by_class(self, predicted: np.ndarray) -> list[tuple[float, Interval | None]]:
        """F1 of each of the 18 classes with its 95 % interval."""
        draws = self.f1(predicted)
        own = [predicted == c for c in range(NUM_CLASSES)]
        values = [
            2 * np.sum(mine & (self.truth == c)) / max(np.sum(mine) + np.sum(self.truth == c), 1)
            for c, mine in enumerate(own)
        ]
        return [
            (float(value), interval(draw, people))
            for value, draw, people in zip(values, draws.T, self.of_class)
        ]

    def by_task(self, predicted: np.ndarray) -> dict[str, tuple[float, Interval | None]]:
        """Macro-F1 of `mask`, `gender` and `age` with its 95 % interval."""
        return {
            task: (macro_f1(t, p, len(names)), self.interval(self.macro(p, t, len(names))))
            for (task, names), t, p in zip(
                TASK_NAMES.items(), decode(self.truth), decode(predicted)
            )
        }
