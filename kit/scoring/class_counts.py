"""Whether class counts differ by more than chance, where photos come in groups."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2


@dataclass(frozen=True)
class Expected:
    """The class counts (C,) that those of a submission are compared with.

    `correction` is the `rao_scott_correction` of their chance, and `source` says whose they are.
    """

    counts: np.ndarray
    correction: tuple[float, float]
    source: str


def class_counts(answers: np.ndarray, classes: int) -> np.ndarray:
    """How many photos have each class, (C,), of classes (N,) or labels (N, C)."""
    if answers.ndim == 2:
        return np.count_nonzero(answers, axis=0)
    return np.bincount(answers, minlength=classes)


def rao_scott_correction(
    classes: np.ndarray, groups: np.ndarray, number: int
) -> tuple[float, float]:
    """The scale and the degrees of freedom of a chi-square of class counts, corrected for groups.

    `classes` and `groups` are (N,), and `number` is C; of labels (N, C) each counts. Of photos of
    different groups the scale is 1 and the degrees of freedom are the classes less one; where all
    photos of a group have one class, the scale is their number. Rao and Scott's second-order
    correction (The analysis of categorical data from complex sample surveys, 1981), from the
    groups' covariance of class shares.
    """
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    if classes.ndim == 2:
        rows, classes = np.nonzero(classes)
        of = np.unique(of[rows], return_inverse=True)[1]
    n = len(classes)
    if not n:
        return 1.0, 1.0
    many = int(of.max()) + 1
    counts = np.bincount(of * number + classes, minlength=many * number).reshape(many, number)
    share = counts.sum(axis=0) / n
    present = share > 0
    if present.sum() < 2 or many < 2:
        return 1.0, float(max(present.sum() - 1, 1))
    apart = (counts - share * counts.sum(axis=1, keepdims=True))[:, present]
    # The eigenvalues of this matrix are the design effects.
    effects = apart.T @ apart * many / (many - 1) / n / share[present]
    first, second = np.trace(effects), np.trace(effects @ effects)
    return float(second / first), float(first**2 / second)


def distribution_p(counts: np.ndarray, expected: Expected) -> float:
    """The p of a chi-square test of two samples: how likely counts at least so different are.

    It holds if both samples come from groups of one kind, by `rao_scott_correction`; classes that
    are absent from both are left out.
    """
    table = np.stack([counts, expected.counts]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    scale, freedom = expected.correction
    return float(chi2.sf(((table - fitted) ** 2 / fitted).sum() / scale, freedom))
