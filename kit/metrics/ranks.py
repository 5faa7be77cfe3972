"""Scores of the order of photos by one probability, with weights: by one sort for all of them."""

from collections.abc import Callable

import numpy as np

# A score (D,) of the weights of positives and negatives at each rank, the first one first: (D, K).
Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def weighted(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, value: Curve
) -> np.ndarray:
    """A score (D,) of photos in the order of `scores` (N,), with each row of weights (D, N).

    `truth` (N,) is 1 for positives; photos of one score are taken together.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    sorted_weights, positive = weights[:, order], truth[order] > 0
    sides = (np.where(positive == side, sorted_weights, 0) for side in (True, False))
    if len(starts) < len(order):
        sides = (np.add.reduceat(side, starts, axis=1) for side in sides)
    return value(*sides)


def roc_area(positives: np.ndarray, negatives: np.ndarray, least: float = 0.0) -> np.ndarray:
    """The area (D,) under the ROC curve above a `least` true positive rate.

    `positives` and `negatives` (D, K) are the weights at each score, the highest first. Where one
    side has no weight it is that of chance.
    """
    area_of_chance = (1 - least) ** 2 / 2
    above, beside = (np.cumsum(side, axis=1, dtype=np.float64) for side in (positives, negatives))
    total, others = above[:, -1:], beside[:, -1:]
    empty = ((total == 0) | (others == 0))[:, 0]
    rate, false = above / np.where(total == 0, 1, total), beside / np.where(others == 0, 1, others)
    before, false_before = (np.pad(part, ((0, 0), (1, 0)))[:, :-1] for part in (rate, false))
    low = np.maximum(before, least)
    height, rise = np.maximum(rate - low, 0), rate - before
    share = (low - before) / np.where(rise > 0, rise, 1)
    at_low = false_before + share * (false - false_before)
    area = (height * (1 - (at_low + false) / 2)).sum(axis=1)
    return np.where(empty, area_of_chance, area)


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """The average precision (D,): the mean precision at the positives; 0 without one."""
    above, beside = (np.cumsum(side, axis=1, dtype=np.float64) for side in (positives, negatives))
    taken, total = above + beside, above[:, -1]
    precision = above / np.where(taken == 0, 1, taken)
    return (positives * precision).sum(axis=1) / np.where(total == 0, 1, total)


def columns(
    truth: np.ndarray, probs: np.ndarray, classes: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The columns that are scored, as truth (N,) of 0 and 1 and probability (N,).

    Of two classes it is that of the second one, else each. Left out are those without a positive or
    a negative.
    """
    if truth.ndim == 1 and classes == 2:
        return [(truth, probs[:, 1])]
    found = []
    for c in range(classes):
        true = truth == c if truth.ndim == 1 else truth[:, c]
        if 0 < np.count_nonzero(true) < len(true):
            found.append((true, probs[:, c]))
    return found
