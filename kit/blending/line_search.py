"""Exact line searches: the best shift of some classes' scores, by running counts."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from kit.metrics.metric import Metric
from kit.metrics.sums import f_of

# A gain in the score too small to move a bias for: a few photos' luck.
WORTH: Final = 0.001


@dataclass(frozen=True)
class Terms:
    """A score as the sum of `of(hits, true, predicted)`, the term of each class, over `divisor`."""

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    divisor: float


def terms_of(metric: Metric, truth: np.ndarray, classes: int) -> Terms:
    """A metric of the hits, true and predicted photos of each class as a sum of terms.

    A mean over the classes that are present is one over those of the truth (N,).
    """
    present = int(np.count_nonzero(np.bincount(truth, minlength=classes)))
    if metric.average in ("macro", "macro_present"):
        divisor = classes if metric.average == "macro" else present
        return Terms(functools.partial(f_of, beta=metric.beta), divisor)
    if metric.name == "balanced_accuracy":
        return Terms(lambda hits, true, _: hits / np.maximum(true, 1), present)
    return Terms(lambda hits, _true, _predicted: hits.astype(np.float64), len(truth))


def line_search(
    logs: np.ndarray, truth: np.ndarray, group: np.ndarray, terms: Terms
) -> tuple[float, float]:
    """The least good shift of a group of classes (C,) bool, and its score.

    Good is within 0.001 of the highest score of all shifts. As the shift grows, photos move from
    their best class outside the group to their best within it, one by one, each at its own
    threshold: the score between any two thresholds follows from running counts.
    """
    n, classes = logs.shape
    inside, outside = np.where(group, logs, -np.inf), np.where(group, -np.inf, logs)
    to, off = inside.argmax(axis=1), outside.argmax(axis=1)
    threshold = outside[np.arange(n), off] - inside[np.arange(n), to]
    resting = np.zeros((3, classes), np.int64)
    return _best_shift(threshold, (off, to, truth), resting, terms)


def column_search(
    threshold: np.ndarray, other: np.ndarray, truth: np.ndarray, c: int, terms: Terms, limit: float
) -> tuple[float, float]:
    """The same for one class, c, of shifts up to `limit` either way.

    A photo is of class c above its `threshold` (N,), and below it of its best `other` class (N,).
    """
    number = int(max(truth.max(), other.max(), c)) + 1
    near = np.abs(threshold) <= limit
    said = np.where(threshold < 0, c, other)[~near]
    resting = np.stack(
        [
            np.bincount(labels, minlength=number)
            for labels in (said[said == truth[~near]], truth[~near], said)
        ]
    )
    if not near.any():
        return 0.0, -np.inf
    to = np.full(int(near.sum()), c)
    return _best_shift(threshold[near], (other[near], to, truth[near]), resting, terms)


def _best_shift(
    threshold: np.ndarray,
    moving: tuple[np.ndarray, np.ndarray, np.ndarray],
    resting: np.ndarray,
    terms: Terms,
) -> tuple[float, float]:
    """The least good shift where photos move at a threshold (n,), and its score.

    `moving` are the class that each leaves, the one it moves to, and its true one, and `resting`
    (3, C) the hits, true and predicted photos of all others.
    """
    order = np.argsort(threshold, kind="stable")
    off, to, truth = (part[order] for part in moving)
    threshold = threshold[order]
    true_counts = resting[1] + np.bincount(truth, minlength=resting.shape[1])
    counts = np.stack([resting[0], true_counts, resting[2]])
    start, leaving = _changes(off, truth, counts, -1, terms)
    _, entering = _changes(to, truth, counts, 1, terms)
    scores = np.concatenate([[start], start + np.cumsum(leaving + entering)]) / terms.divisor
    edges = np.concatenate([[threshold[0] - 1], threshold, [threshold[-1] + 1]])
    scores[np.diff(edges) <= 1e-9] = -1  # photos of one threshold move together
    middles = (edges[:-1] + edges[1:]) / 2
    good = np.flatnonzero(scores >= scores.max() - WORTH)
    best = good[np.abs(middles[good]).argmin()]
    return float(middles[best]), float(scores[best])


def _changes(
    moving: np.ndarray, truth: np.ndarray, resting: np.ndarray, sign: int, terms: Terms
) -> tuple[float, np.ndarray]:
    """The sum of all classes' terms before any photo moves, and how each photo (n,) changes it.

    Photos leave (-1) or enter (1) their classes `moving` (n,) one by one, in order.
    """
    n, classes, hit = len(moving), resting.shape[1], moving == truth
    counts = np.bincount(moving, minlength=classes)
    hits = np.bincount(moving[hit], minlength=classes)
    grouping = np.argsort(moving, kind="stable")
    grouped = moving[grouping]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[grouped]
    moved = np.arange(n) - starts + 1  # of the class's photos, up to and with this one
    moved_hits = np.concatenate([[0], np.cumsum(hit[grouping])])
    moved_hits = moved_hits[1:] - moved_hits[starts]
    after_counts, after_hits = moved, moved_hits
    if sign < 0:
        after_counts, after_hits = counts[grouped] - moved, hits[grouped] - moved_hits
    after_hits, after_counts = resting[0][grouped] + after_hits, resting[2][grouped] + after_counts
    true = resting[1][grouped]
    after = terms.of(after_hits, true, after_counts)
    before = terms.of(after_hits - sign * hit[grouping], true, after_counts - sign)
    change = np.empty(n)
    change[grouping] = after - before
    whole = terms.of(resting[0] + hits, resting[1], resting[2] + counts)
    return float(whole.sum()), change
