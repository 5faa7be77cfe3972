"""Thresholds of several labels, fitted to an F-score."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from kit.blending.target import Target, halves
from kit.metrics.sums import f_beta
from kit.system.threads import cores

_BAGS: Final = 5
# A threshold is at least this, or more where so many labels of photos would be above it.
_LEAST: Final = 0.01
_CELLS: Final = 4_000_000
_COMMON: Final = np.arange(0.02, 0.99, 0.02)
# Gains in a label's F, and in the sum of photos' F, too small to move a threshold for.
_WORTH: Final = 0.01
_PHOTO: Final = 0.25
_SWEEPS: Final = 3


@dataclass(frozen=True)
class Cells:
    """The labels of photos that may be given, by label and from the most probable one down.

    `rows`, `columns`, `probs` and `true` are (n,); `counts` (C,) are the true photos of each label,
    `labels` (N,) the true labels of each photo.
    """

    rows: np.ndarray
    columns: np.ndarray
    probs: np.ndarray
    true: np.ndarray
    counts: np.ndarray
    labels: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Where each label's begin, and the end: (C + 1,)."""
        return np.searchsorted(self.columns, np.arange(len(self.counts) + 1))

    @property
    def last(self) -> np.ndarray:
        """Whether a label may be given down to here: the next is less probable, bool (n,)."""
        after = np.append(self.probs[1:], -1) < self.probs
        return after | (np.append(self.columns[1:], -1) != self.columns)

    def part(self, of_photos: np.ndarray, truth: np.ndarray) -> "Cells":
        """Those of some photos, bool (N,), of the `truth` (N, C)."""
        kept, chosen = of_photos[self.rows], truth[of_photos]
        return Cells(
            (np.cumsum(of_photos) - 1)[self.rows[kept]],
            self.columns[kept],
            self.probs[kept],
            self.true[kept],
            np.count_nonzero(chosen, axis=0),
            np.count_nonzero(chosen, axis=1),
        )


def fit_thresholds(probs: np.ndarray, target: Target, bags: int = _BAGS) -> np.ndarray:
    """The thresholds (C,) above which labels are given, with a high F-score of (N, C).

    First the best one for all labels; then each label's, by an exact search: for macro-F alone, for
    micro-F by turns with the score (Dinkelbach, On nonlinear fractional programming, 1967), for the
    F of photos by coordinate ascent. Fitted to halves of the groups, and averaged as logits. One
    half each where that scores as high in-sample.
    """
    cells, metric = find_cells(probs, target.truth), target.metric

    def bag(rows: np.ndarray) -> np.ndarray:
        return _fit(cells.part(rows, target.truth), metric.average, metric.beta)

    with ThreadPoolExecutor(cores()) as pool:
        fitted = list(pool.map(bag, halves(target.groups, bags)))
    thresholds = np.asarray(expit(np.mean(fitted, axis=0)))
    given = [(probs > cut).astype(np.uint8) for cut in (0.5, thresholds)]
    scores = [target.score(labels) for labels in given]
    return thresholds if scores[1] > scores[0] else np.full(len(thresholds), 0.5)


def find_cells(probs: np.ndarray, truth: np.ndarray) -> Cells:
    """The labels of photos (N, C) that may be given."""
    least = _LEAST
    while np.count_nonzero(probs > least) > _CELLS:
        least *= 1.5
    rows, columns = np.nonzero(probs > least)
    values = probs[rows, columns]
    order = np.lexsort((-values, columns))
    rows, columns, values = rows[order], columns[order], values[order]
    counts, labels = (np.count_nonzero(truth, axis=axis) for axis in (0, 1))
    return Cells(rows, columns, values, truth[rows, columns] > 0, counts, labels)


def _fit(cells: Cells, average: str, beta: float) -> np.ndarray:
    """The thresholds (C,) of one bag, as logits."""
    scores = [_score(cells, cells.probs > cut, average, beta) for cut in _COMMON]
    good = np.flatnonzero(np.array(scores) >= max(scores) - 1e-4)
    common = _COMMON[good[np.abs(_COMMON[good] - 0.5).argmin()]]
    if average == "samples":
        given = _by_photo(cells, common, beta)
    elif average == "micro":
        given = _by_score(cells, common, beta)
    else:
        given = _by_label(cells, common, beta)
    return _logits(cells, given, common)


def _score(cells: Cells, given: np.ndarray, average: str, beta: float) -> float:
    """The F-score of given labels, bool (n,)."""
    size = len(cells.labels) if average == "samples" else len(cells.counts)
    at = cells.rows if average == "samples" else cells.columns
    true = cells.labels if average == "samples" else cells.counts
    hits = np.bincount(at[given & cells.true], minlength=size)
    counts = np.stack([hits, true, np.bincount(at[given], minlength=size)])
    if average == "micro":
        counts = counts.sum(axis=1, keepdims=True)
    return float(f_beta(counts, beta).mean())


def _running(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """How many of a label are given down to each cell, and how many of them are true: (n,)."""
    start = cells.starts[cells.columns]
    hits = np.append(0, np.cumsum(cells.true))
    return np.arange(len(start)) - start + 1, hits[1:] - hits[start]


def _choose(cells: Cells, values: np.ndarray, worth: float, common: float) -> np.ndarray:
    """How many of each label to give, (C,): down to the cell with the highest of `values` (n,).

    Of those within `worth` of it, it is the one nearest to the `common` threshold. Where no value
    is above 0, which is that of giving none, a label of which nothing is true keeps that threshold,
    and any other is given to none.
    """
    starts, values = cells.starts, np.where(cells.last, values, -np.inf)
    far = np.abs(cells.probs - common)
    number = np.zeros(len(cells.counts), np.int64)
    for c in range(len(number)):
        of = slice(starts[c], starts[c + 1])
        if starts[c] == starts[c + 1] or values[of].max() <= 0:
            number[c] = 0 if cells.counts[c] else int((cells.probs[of] > common).sum())
            continue
        good = np.flatnonzero(values[of] >= values[of].max() - worth)
        number[c] = good[far[of][good].argmin()] + 1
    return number


def _by_label(cells: Cells, common: float, beta: float) -> np.ndarray:
    """How many of each label to give, (C,), for its own F."""
    given, hits = _running(cells)
    counts = np.stack([hits, cells.counts[cells.columns], given])
    return _choose(cells, f_beta(counts, beta), _WORTH, common)


def _by_score(cells: Cells, common: float, beta: float) -> np.ndarray:
    """The same for the F of all labels together."""
    given, hits = _running(cells)
    start, weight = cells.starts, 1 + beta**2
    number, reached = np.diff(start), 0.0
    score = _score(cells, cells.probs > common, "micro", beta)
    while score > reached + 1e-6:
        reached = score
        number = _choose(cells, weight * hits - reached * given, 0.0, common)
        top = start[:-1] + number - 1
        inside = number > 0
        counts = [hits[top[inside]].sum(), cells.counts.sum(), number.sum()]
        score = float(f_beta(np.array(counts)[:, None], beta)[0])
    return number


def _by_photo(cells: Cells, common: float, beta: float) -> np.ndarray:
    """The same for the mean F of photos: each label in turn, given what is given of the others."""
    given, starts, size = cells.probs > common, cells.starts, len(cells.labels)
    hits = np.bincount(cells.rows[given & cells.true], minlength=size)
    said = np.bincount(cells.rows[given], minlength=size)
    number = np.add.reduceat(np.append(given, False).astype(np.int64), starts[:-1])
    number[np.diff(starts) == 0] = 0
    last = cells.last
    for _ in range(_SWEEPS):
        moved = False
        for c in np.flatnonzero(np.diff(starts)):
            of = slice(starts[c], starts[c + 1])
            rows, true, own = cells.rows[of], cells.true[of], given[of]
            other_hits, other_said = hits[rows] - (own & true), said[rows] - own
            labels = cells.labels[rows]
            without, with_it = (
                f_beta(np.stack([h, labels, s]), beta)
                for h, s in ((other_hits, other_said), (other_hits + true, other_said + 1))
            )
            gains = np.append(0, np.cumsum(with_it - without))
            allowed = np.where(np.append(True, last[of]), gains, -np.inf)
            best = int(allowed.argmax())
            if allowed[best] > gains[number[c]] + _PHOTO:
                now = np.arange(len(rows)) < best
                hits[rows] = other_hits + (now & true)
                said[rows] = other_said + now
                given[of], number[c], moved = now, best, True
        if not moved:
            break
    return number


def _logits(cells: Cells, number: np.ndarray, common: float) -> np.ndarray:
    """The thresholds (C,) that give so many of each label, as logits."""
    starts, found = cells.starts, np.full(len(number), common)
    for c in np.flatnonzero(np.diff(starts)):
        probs = cells.probs[starts[c] : starts[c + 1]]
        above = float(probs[number[c] - 1]) if number[c] else 1.0
        below = float(probs[number[c]]) if number[c] < len(probs) else 0.0
        if not below < common < above:
            found[c] = (above + below) / 2
    return np.asarray(logit(np.clip(found, _LEAST, 1 - _LEAST)))
