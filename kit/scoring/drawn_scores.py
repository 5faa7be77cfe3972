"""Scores of drawn groups: by sums over each group's photos, weights of photos, or their rows."""

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from kit.metrics.metric import Metric
from kit.metrics.ranks import columns as columns_of
from kit.metrics.sums import Entries, Sums

_DENSE: Final = 1 << 24  # sums, groups x numbers, above which their table is sparse
# What draws may cost: weights, draws x photos x columns, of a score by order, and products,
# draws x groups x numbers, of the scores of classes. What costs more is drawn fewer times, but at
# least `_FEWEST` times.
_WEIGHTS: Final = 100_000_000
_CLASS_SUMS: Final = 20_000_000_000
_FEWEST: Final = 100
_BLOCK: Final = 1 << 21  # weights that are held at a time
_BY_ROWS: Final = 200  # draws of a function, which is called for each


class DrawnScores:
    """The scores of draws of `number` groups; `at` (N,) is each photo's group.

    A score of sums over photos is drawn as often as asked, by sums over groups. One of the order of
    photos is drawn by weights on one sort a column, and fewer times of many photos and columns; a
    function of the definition by the drawn photos themselves, 200 times.
    """

    def __init__(self, at: np.ndarray, number: int, draws: int, seed: int) -> None:
        self.at, self.number, self.draws, self.seed = at, number, draws, seed

    @functools.cached_property
    def times(self) -> np.ndarray:
        """How often each group is in each draw, (draws, groups): float32, for products."""
        rng, shares = np.random.default_rng(self.seed), np.full(self.number, 1 / self.number)
        return self._table(lambda rows: rng.multinomial(self.number, shares, rows))

    @functools.cached_property
    def swaps(self) -> np.ndarray:
        """Whether each group is swapped in each permutation, (draws, groups): 1 or 0."""
        rng = np.random.default_rng(1)
        return self._table(lambda rows: rng.integers(0, 2, (rows, self.number)))

    def _table(self, draw: Callable[[int], np.ndarray]) -> np.ndarray:
        """Rows of random numbers as float32, drawn part by part: whole they are twice as large."""
        table = np.empty((self.draws, self.number), np.float32)
        for start in range(0, self.draws, 100):
            part = table[start : start + 100]
            part[:] = draw(len(part))
        return table

    def scores(
        self, metric: Metric, truth: np.ndarray, answers: np.ndarray, classes: int
    ) -> np.ndarray:
        """The score in each draw, (draws,); NaN in one without, such as of one class alone."""
        if metric.sums is not None:
            table = self._sums(metric.sums, truth, answers, classes)
            return metric.sums.value(_product(self.times, table), _total(table))
        if metric.column is not None:
            drawn = self._columns(metric, truth, answers, classes)
            scored = (~np.isnan(drawn)).sum(axis=1)  # none where a draw has one side alone
            return np.asarray(np.nansum(drawn, axis=1) / np.where(scored, scored, np.nan))
        values = []
        for times in self.times[:_BY_ROWS]:
            rows = np.repeat(np.arange(len(self.at)), times[self.at].astype(np.int64))
            values.append(metric.value(truth[rows], answers[rows], classes))
        return np.array(values)

    def class_scores(
        self, metric: Metric, truth: np.ndarray, answers: np.ndarray, classes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The score of each class, (C,), and in each draw, (draws, C); NaN where it has none."""
        if metric.class_sums is not None:
            table = self._sums(metric.class_sums, truth, answers, classes)
            size = self.number * max(table.shape[1], 1)
            draws = max(_FEWEST, min(self.draws, _CLASS_SUMS // size))
            total = _total(table)
            drawn = metric.class_sums.value(_product(self.times[:draws], table), total)
            value = metric.class_sums.value(total, np.zeros_like(total))
            return np.nan_to_num(value), drawn
        assert metric.column is not None
        drawn = self._columns(metric, truth, answers, classes, every=True)
        once = np.ones((1, len(self.at)))
        values = [
            metric.column(true, scores, once)[0]
            for true, scores in _each_column(truth, answers, classes, every=True)
        ]
        return np.array(values), drawn

    def swapped(
        self, metric: Metric, truth: np.ndarray, pair: tuple[np.ndarray, np.ndarray], classes: int
    ) -> tuple[Any, np.ndarray]:
        """The difference of two answers' scores, and where groups are swapped: (draws,)."""
        if metric.sums is not None:
            one, other = (self._sums(metric.sums, truth, answers, classes) for answers in pair)
            moved = _product(self.swaps, other - one)
            first, second = (_total(part).astype(np.float32) for part in (one, other))
            nothing = np.zeros_like(first)
            of = [
                metric.sums.value(part, nothing)
                for part in (first, second, first + moved, second - moved)
            ]
            return of[0] - of[1], of[2] - of[3]
        if metric.column is not None:
            return self._swapped_columns(metric, truth, pair, classes)
        return self._swapped_rows(metric, truth, pair, classes)

    def _swapped_rows(
        self, metric: Metric, truth: np.ndarray, pair: tuple[np.ndarray, np.ndarray], classes: int
    ) -> tuple[float, np.ndarray]:
        """As `swapped`, of a function: by its value of the answers themselves."""

        def apart(one: np.ndarray, other: np.ndarray) -> float:
            return metric.value(truth, one, classes) - metric.value(truth, other, classes)

        found = []
        for swap in self.swaps[:_BY_ROWS]:
            moved = swap[self.at].reshape(-1, *([1] * (pair[0].ndim - 1))) > 0
            found.append(apart(np.where(moved, pair[1], pair[0]), np.where(moved, *pair)))
        return apart(*pair), np.array(found)

    def _sums(self, sums: Sums, truth: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
        """The sums of each group's photos, (groups, K): a table, or sparse where it is large."""
        found, width = sums.of_photos(truth, answers, classes), sums.width(classes)
        return _group_sums(found, self.at, (self.number, width))

    def _blocks(self, cells: int) -> list[slice]:
        """The draws of a score by order, in parts; `cells` are the photos times the columns."""
        draws = max(min(_FEWEST, self.draws), min(self.draws, _WEIGHTS // max(cells, 1)))
        step = max(1, _BLOCK // len(self.at))
        return [slice(start, min(start + step, draws)) for start in range(0, draws, step)]

    def _columns(
        self,
        metric: Metric,
        truth: np.ndarray,
        probs: np.ndarray,
        classes: int,
        every: bool = False,
    ) -> np.ndarray:
        """The score of each column in each draw, (draws, columns); NaN where it lacks a side."""
        assert metric.column is not None
        columns = _each_column(truth, probs, classes, every)
        parts = []
        for block in self._blocks(len(self.at) * len(columns)):
            weights, of_block = self.times[block][:, self.at], []
            for true, scores in columns:
                positives = weights @ (true > 0).astype(np.float32)
                empty = (positives == 0) | (positives == weights.sum(axis=1))
                of_block.append(np.where(empty, np.nan, metric.column(true, scores, weights)))
            parts.append(np.stack(of_block, axis=1) if columns else np.zeros((len(weights), 1)))
        return np.concatenate(parts)

    def _swapped_columns(
        self, metric: Metric, truth: np.ndarray, pair: tuple[np.ndarray, np.ndarray], classes: int
    ) -> tuple[float, np.ndarray]:
        """As `swapped`: both answers of a photo are in one order, with a weight of 1 or 0 each."""
        assert metric.column is not None
        columns = [_each_column(truth, probs, classes) for probs in pair]
        parts = []
        for block in self._blocks(2 * len(self.at) * len(columns[0])):
            swap, of_block = self.swaps[block][:, self.at], list[np.ndarray]()
            for (true, a), (_, b) in zip(*columns):
                twice, scores = np.tile(true, 2), np.concatenate([a, b])
                sides = (np.hstack([1 - swap, swap]), np.hstack([swap, 1 - swap]))
                one, other = (metric.column(twice, scores, side) for side in sides)
                of_block.append(one - other)
            parts.append(np.mean(of_block, axis=0) if of_block else np.zeros(len(swap)))
        values = [metric.value(truth, answers, classes) for answers in pair]
        return values[0] - values[1], np.concatenate(parts)


def _each_column(
    truth: np.ndarray, probs: np.ndarray, classes: int, every: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The columns that are scored, or all C of them."""
    if not every:
        return columns_of(truth, probs, classes)
    tables = [truth == c if truth.ndim == 1 else truth[:, c] for c in range(classes)]
    return list(zip(tables, probs.T))


def _group_sums(found: Entries, at: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The sums of photos' numbers by their groups `at` (N,), float32."""
    if found.rows is None or found.columns is None:
        table = np.asarray(found.values, dtype=np.float32)
        ones = np.ones(len(at), np.float32)
        member = csr_matrix((ones, (at, np.arange(len(at)))), shape=(shape[0], len(at)))
        return np.asarray(member @ table)
    if shape[0] * shape[1] <= _DENSE:
        cells = at[found.rows] * shape[1] + found.columns
        counts = np.bincount(cells, weights=found.values, minlength=shape[0] * shape[1])
        return counts.reshape(shape).astype(np.float32)
    values = np.ones(len(found.rows)) if found.values is None else found.values
    return csr_matrix((values.astype(np.float32), (at[found.rows], found.columns)), shape=shape)


def _product(times: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Draws (draws, groups) times sums (groups, K): (draws, K)."""
    if isinstance(table, np.ndarray):
        return np.asarray(times @ table)
    return np.asarray((table.T.tocsr() @ np.ascontiguousarray(times.T)).T)


def _total(table: np.ndarray) -> np.ndarray:
    """The sums of all groups, (K,)."""
    return np.asarray(table.sum(axis=0, dtype=np.float64)).ravel()
