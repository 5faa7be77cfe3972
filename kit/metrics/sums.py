"""Scores that are functions of sums over photos, which can be drawn again without the photos."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

# The least probability whose logarithm is taken, as on Kaggle.
LEAST: Final = 1e-15
_ROWS: Final = 64


@dataclass(frozen=True)
class Entries:
    """Numbers of photos, K each, most of them 0: `values` (n,) at `rows` and `columns` (n,).

    Without `values` each is 1, and numbers of one row and column are added up. Without `rows` and
    `columns`, `values` are all numbers, (N, K).
    """

    rows: np.ndarray | None
    columns: np.ndarray | None
    values: np.ndarray | None = None


@dataclass(frozen=True)
class Sums:
    """A score of sums over photos of `width(classes)` numbers, K.

    `of_photos(truth, answers, classes)` are the numbers, and `value(sums, whole)` scores their sums
    (..., K): a number each, or one a class. `whole` (K,) are the sums of all photos: where `sums`
    are of drawn ones, a class that was not drawn tells nothing.
    """

    width: Callable[[int], int]
    of_photos: Callable[[np.ndarray, np.ndarray, int], Entries]
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def score(self, truth: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
        """The score of photos, or one a class (C,)."""
        found = self.of_photos(truth, answers, classes)
        if found.columns is None:
            total = np.asarray(found.values).sum(axis=0, dtype=np.float64)
        else:
            width = self.width(classes)
            total = np.bincount(found.columns, weights=found.values, minlength=width)
        return self.value(total, total)


def f_beta(counts: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """The F-score of each class, (..., C), from `counts` (..., 3, C); 0 for an absent class.

    The counts are the hits, the true and the predicted photos of each class.
    """
    return f_of(counts[..., 0, :], counts[..., 1, :], counts[..., 2, :], beta)


def f_of(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray, beta: float) -> np.ndarray:
    """The F-scores of hits, true and predicted photos, of one shape; 0 where there are none."""
    weight = beta**2
    # Only a sum of 0 is below the bound, and then there are no hits.
    return (1 + weight) * hits / np.maximum(weight * true + predicted, min(1.0, weight))


def count_entries(truth: np.ndarray, answers: np.ndarray, classes: int) -> Entries:
    """Each photo's hits, true and predicted classes, of 3 x C numbers.

    `truth` and `answers` are classes (N,), or labels (N, C) of 0 and 1.
    """
    if truth.ndim == 1:
        hit, rows = np.flatnonzero(truth == answers), np.arange(len(truth))
        columns = (truth[hit], classes + truth, 2 * classes + answers)
        return Entries(np.concatenate([hit, rows, rows]), np.concatenate(columns))
    tables = (truth & answers, truth, answers)
    found = [np.divmod(np.flatnonzero(table), classes) for table in tables]
    shifted = [part * classes + column for part, (_, column) in enumerate(found)]
    return Entries(np.concatenate([row for row, _ in found]), np.concatenate(shifted))


def parts(sums: np.ndarray, number: int) -> np.ndarray:
    """Sums (..., number x C) as (..., number, C)."""
    return sums.reshape(*sums.shape[:-1], number, -1)


def drawn_f(sums: np.ndarray, whole: np.ndarray, beta: float) -> np.ndarray:
    """The F-score of each class; NaN where the draw has none of a class that there is."""
    counts = parts(sums, 3)
    return np.where(
        (counts[..., 1, :] == 0) & (parts(whole, 3)[1] > 0), np.nan, f_beta(counts, beta)
    )


def present_f(sums: np.ndarray, beta: float) -> np.ndarray:
    """The F-score of each class; NaN where it is neither true nor predicted."""
    counts = parts(sums, 3)
    absent = counts[..., 1, :] + counts[..., 2, :] == 0
    return np.where(absent, np.nan, f_beta(counts, beta))


def recall(sums: np.ndarray) -> np.ndarray:
    """The recall of each class; NaN where the class has no photo."""
    hits, true, _ = np.moveaxis(parts(sums, 3), -2, 0)
    return np.where(true == 0, np.nan, hits / np.maximum(true, 1))


def accuracy(sums: np.ndarray) -> np.ndarray:
    """The share of photos whose class is right."""
    hits, true, _ = np.moveaxis(parts(sums, 3), -2, 0)
    return np.asarray(hits.sum(axis=-1) / np.maximum(true.sum(axis=-1), 1))


def mean_of_classes(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN; 0 where all are NaN."""
    absent = np.isnan(values)
    if not absent.any():
        return np.asarray(values.mean(axis=-1))
    number = (~absent).sum(axis=-1)
    total = np.where(absent, 0, values).sum(axis=-1)
    return np.asarray(total / np.maximum(number, 1), dtype=values.dtype)


def micro_f(sums: np.ndarray, beta: float) -> np.ndarray:
    """The F-score of all classes' counts together."""
    return f_beta(parts(sums, 3).sum(axis=-1, keepdims=True), beta)[..., 0]


def mean_entries(of_photos: np.ndarray) -> Entries:
    """The entries of a mean over photos (N,): the value, and 1."""
    return Entries(None, None, np.stack([of_photos, np.ones(len(of_photos))], axis=1))


def quotient(sums: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The first half of the sums over the second; 0 where that is 0, NaN in draws of classes."""
    top, bottom = np.moveaxis(parts(sums, 2), -2, 0)
    empty = 0.0 if top.shape[-1] == 1 else np.nan
    values = np.where(bottom == 0, empty, top / np.where(bottom == 0, 1, bottom))
    return values[..., 0] if top.shape[-1] == 1 else values


def right(truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """1.0 where an answer (N,), or a whole row of labels (N, C), is right, else 0.0."""
    same = truth == answers
    return (same if truth.ndim == 1 else same.all(axis=1)).astype(np.float64)


def f_of_photos(truth: np.ndarray, answers: np.ndarray, beta: float) -> np.ndarray:
    """The F-score of each photo's labels, (N,); 0 where it has none and is given none."""
    tables = (truth & answers, truth, answers)
    return f_beta(np.stack([np.count_nonzero(table, axis=1) for table in tables]), beta)


def losses(truth: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """The log-loss of each photo, (N,); of labels (N, C) that of each label of each photo.

    Rows of probabilities are scaled to sum to 1, but for those of labels.
    """
    if truth.ndim == 1:
        at = np.arange(len(truth))
        of_truth = probs[at, truth] / probs.sum(axis=1, dtype=np.float64)
        return -np.log(np.maximum(of_truth, LEAST))
    chances = np.where(truth > 0, probs, 1 - probs.astype(np.float64))
    return -np.log(np.maximum(chances, LEAST, out=chances), out=chances)


def log_loss(truth: np.ndarray, probs: np.ndarray) -> float:
    """The mean log-loss of probabilities (N, C); of labels over labels, too."""
    if truth.ndim == 1:
        return float(losses(truth, probs).mean())
    parts = range(0, len(truth), _ROWS)  # of few photos, whose losses stay in the processor's cache
    return sum(float(losses(truth[p : p + _ROWS], probs[p : p + _ROWS]).sum()) for p in parts) / (
        truth.size
    )


def loss_entries(truth: np.ndarray, probs: np.ndarray, classes: int) -> Entries:
    """The entries of the mean log-loss of all photos."""
    values = losses(truth, probs)
    return mean_entries(values if truth.ndim == 1 else values.mean(axis=1))


def class_loss_entries(truth: np.ndarray, probs: np.ndarray, classes: int) -> Entries:
    """The entries of the mean log-loss of each class's photos, or of each label over all photos."""
    values, n = losses(truth, probs), len(truth)
    if truth.ndim == 1:
        columns = np.concatenate([truth, classes + truth])
        return Entries(np.tile(np.arange(n), 2), columns, np.concatenate([values, np.ones(n)]))
    table = np.ones((n, 2 * classes), np.float32)
    table[:, :classes] = values
    return Entries(None, None, table)


def confusion_entries(truth: np.ndarray, answers: np.ndarray, classes: int) -> Entries:
    """The entries of the counts of true and predicted classes, C x C."""
    return Entries(np.arange(len(truth)), truth * classes + answers)


def quadratic_kappa(sums: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Cohen's kappa with quadratic weights from counts (..., C x C); 1 where nothing can differ."""
    classes = round(sums.shape[-1] ** 0.5)
    table = sums.reshape(*sums.shape[:-1], classes, classes).astype(np.float64)
    apart = (np.arange(classes)[:, None] - np.arange(classes)) ** 2.0
    observed = (table * apart).sum(axis=(-2, -1)) * table.sum(axis=(-2, -1))
    chance = np.einsum("...i,ij,...j->...", table.sum(axis=-1), apart, table.sum(axis=-2))
    # Without a chance to differ nothing does, and `observed` is 0, too.
    return np.asarray(1 - observed / np.where(chance == 0, 1, chance))
