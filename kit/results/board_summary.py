"""Statistics of the leaderboard log: how far the out-of-fold score can be trusted."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import pearsonr

from kit.results.leaderboard import BoardRow

_OUTSIDE: Final = 2.5  # standard deviations off the line of the other submissions


@dataclass(frozen=True)
class BoardSummary:
    """The rows of the log, best out-of-fold score first, and their statistics.

    With four submissions or more that have both scores: the `correlation` of the two, with its 95 %
    `interval` (Fisher's z); with five, `outside`, the submissions whose public score is more than
    2.5 standard deviations (studentised residuals) off the line of the others. With two public
    scores or more: `picked_from`, their number, and `best_above`, by how much the best is better
    than their mean. With paired draws: `by_chance`, by how much it would be if all were equally
    good.
    """

    rows: tuple[BoardRow, ...]
    correlation: float | None = None
    interval: tuple[float, float] | None = None
    outside: tuple[str, ...] | None = None
    picked_from: int | None = None
    best_above: float | None = None
    by_chance: float | None = None

    def describe(self) -> dict[str, Any]:
        """The summary as JSON has it, without what is not known."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["rows"] = [row.describe() for row in self.rows]
        return {name: value for name, value in values.items() if value is not None}


def summarise(
    rows: Sequence[BoardRow], draws: np.ndarray | None = None, sign: int = 1
) -> BoardSummary:
    """The statistics of the log's rows; `sign` is -1 where less is better.

    `draws` are `paired_draws` of the submissions with a public score.
    """
    ordered = sorted(rows, key=lambda row: np.inf if row.oof is None else -sign * row.oof)
    summary = BoardSummary(tuple(ordered))
    both = [row for row in ordered if row.public is not None and row.oof is not None]
    cv, site = (np.array([getattr(row, key) for row in both], float) for key in ("oof", "public"))
    if len(both) >= 4 and np.ptp(cv) > 0 and np.ptp(site) > 0:
        test = pearsonr(cv, site)
        low, high = test.confidence_interval(0.95)
        r, interval = float(test.statistic), (float(low), float(high))
        summary = dataclasses.replace(summary, correlation=r, interval=interval)
    if len(both) >= 5 and np.ptp(cv) > 0:
        off = np.abs(_residuals(cv, site)) > _OUTSIDE
        outside = tuple(row.submission for row, far in zip(both, off) if far)
        summary = dataclasses.replace(summary, outside=outside)
    public = sign * np.array([row.public for row in ordered if row.public is not None], float)
    if len(public) < 2:
        return summary
    return dataclasses.replace(
        summary,
        picked_from=len(public),
        best_above=float(public.max() - public.mean()),
        by_chance=None if draws is None else selection_bias(sign * draws),
    )


def selection_bias(draws: np.ndarray) -> float:
    """How far noise alone lifts the best of submissions above their mean, if all are equally good.

    `draws` (submissions, draws) are paired bootstrap draws of their scores, more is better, so that
    noise that all of them share counts nothing: it lifts none above another. It is the noise of the
    out-of-fold photos; a smaller public test set makes more.
    """
    noise = draws - draws.mean(axis=1, keepdims=True)
    return float((noise.max(axis=0) - noise.mean(axis=0)).mean())


def _residuals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Externally studentised residuals of the line through points.

    Each is divided by the deviation of the other points.
    """
    off = np.empty(len(x))
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        slope, level = (
            np.polyfit(x[rest], y[rest], 1) if np.ptp(x[rest]) > 0 else (0.0, y[rest].mean())
        )
        spread = np.sqrt(((y[rest] - slope * x[rest] - level) ** 2).sum() / max(rest.sum() - 2, 1))
        centre, width = x[rest].mean(), ((x[rest] - x[rest].mean()) ** 2).sum()
        error = spread * np.sqrt(
            1 + 1 / rest.sum() + ((x[i] - centre) ** 2 / width if width else 0.0)
        )
        off[i] = (y[i] - slope * x[i] - level) / max(error, 1e-12)
    return off
