"""Whether class counts differ by more than chance, where photos come in groups."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2


@dataclass(frozen=True)
class Expected:
    """The class counts (C,) that those of a submission are compared with.

    `correction` is the `rao_scott_correction` of their chance, and `source` says whose they are. Of
    several labels a photo, `photos` is the number of photos that are counted.
    """

    counts: np.ndarray
    correction: tuple[float, float]
    source: str
    photos: int = 0


def class_counts(answers: np.ndarray, classes: int) -> np.ndarray:
    """How many photos have each class, (C,), of classes (N,) or labels (N, C)."""
    if answers.ndim == 2:
        return np.count_nonzero(answers, axis=0)
    return np.bincount(answers, minlength=classes)


def rao_scott_correction(
    classes: np.ndarray, groups: np.ndarray, number: int
) -> tuple[float, float]:
    """The scale and the degrees of freedom of a chi-square of class counts, corrected for groups.

    `classes` and `groups` are (N,), and `number` is C. Of photos of different groups the scale is 1
    and the degrees of freedom are the classes less one; where all photos of a group have one class,
    the scale is their number. Rao and Scott's second-order correction (The analysis of categorical
    data from complex sample surveys, 1981), from the groups' covariance of class shares. Of several
    labels a photo, `classes` (N, C), the scale is the labels' mean design effect, at least 1, and
    each label has one degree of freedom.
    """
    n = len(classes)
    if classes.ndim == 2:
        return _design_effect(classes, groups), 1.0
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
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
    if first <= 0:  # all groups have the same classes, as often each: nothing varies
        return 1.0, float(present.sum() - 1)
    return float(second / first), float(first**2 / second)


def _design_effect(labels: np.ndarray, groups: np.ndarray) -> float:
    """How many times as large groups make the variance of shares of labels (N, C), at least 1."""
    n, share = len(labels), labels.mean(axis=0)
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    many = int(of.max()) + 1
    sums = np.zeros((many, labels.shape[1]))
    np.add.at(sums, of, labels)
    apart = sums - share * np.bincount(of)[:, None]
    independent = n * float((share * (1 - share)).sum())
    grouped = float((apart**2).sum()) * many / max(many - 1, 1)
    return max(1.0, grouped / independent) if independent else 1.0


def distribution_p(counts: np.ndarray, expected: Expected, photos: int = 0) -> float:
    """The p of a chi-square test of two samples: how likely counts at least so different are.

    It holds if both samples come from groups of one kind, by `rao_scott_correction`; classes that
    are absent from both are left out. Of several labels, of so many `photos`, it is the least p of
    a label's two shares, times the number of labels (Bonferroni), at most 1.
    """
    table = np.stack([counts, expected.counts]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    scale, freedom = expected.correction
    if not expected.photos:
        fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        return float(chi2.sf(((table - fitted) ** 2 / fitted).sum() / scale, freedom))
    number = np.array([[photos], [expected.photos]])
    share = table.sum(axis=0) / number.sum()
    fitted = number * share
    off = ((table - fitted) ** 2 / np.maximum(fitted * (1 - share), 1e-12)).sum(axis=0)
    return min(1.0, float(max(len(share), 1) * chi2.sf(off / scale, 1).min(initial=1)))
