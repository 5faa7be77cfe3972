"""Pruning: a trial ends early if it is worse than most trials were at the same epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kit.training.history import Row
from kit.tuning.study import DONE, Trial

LEAST_TRIALS: Final = 5  # with a whole curve, before any trial is pruned
_UNTOUCHED: Final = 1 / 3  # of the epochs, and the first one: early ones say little of the last


class Pruned(Exception):
    """Ends the training of a trial that is worse than the median; `rows` are its epochs so far."""

    def __init__(self, rows: Sequence[Row], median: float) -> None:
        super().__init__(f"epoch {len(rows)}: worse than the median, {median:.4f}")
        self.rows = rows


@dataclass(frozen=True)
class MedianRule:
    """What a training watches: it raises `Pruned` if the best epoch so far is below the median.

    `medians` are those of other trials at each epoch, as `medians` makes them, in a `column` of
    `metrics.csv`; more is better of its values times `sign`. The rule is that of Optuna's
    MedianPruner (Golovin et al., Google Vizier, 2017).
    """

    column: str
    sign: int
    medians: tuple[float, ...]
    epochs: int

    def __call__(self, rows: Sequence[Row]) -> None:
        """Raise `Pruned` after an epoch that the rule ends a training at."""
        epoch = len(rows)
        if not max(2, math.ceil(self.epochs * _UNTOUCHED)) <= epoch <= len(self.medians):
            return
        median = self.medians[epoch - 1]
        # One after the other epoch: a training that goes on was not pruned at those before.
        if max(self.sign * row[self.column] for row in rows) < self.sign * median:
            raise Pruned(list(rows), median)


def medians(trials: Sequence[Trial], part: int) -> tuple[float, ...]:
    """The median over finished trials of the score at each epoch on one of the search folds.

    Empty where too few have finished. Of trials of different lengths those count that reached it.
    """
    curves = [trial.curves[part] for trial in trials if trial.state == DONE]
    if len(curves) < LEAST_TRIALS:
        return ()
    longest = max(map(len, curves))
    by_epoch = ([curve[n] for curve in curves if n < len(curve)] for n in range(longest))
    kept = []
    for values in by_epoch:
        if len(values) < LEAST_TRIALS:
            break
        kept.append(float(np.median(values)))
    return tuple(kept)
