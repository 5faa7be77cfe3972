"""Whether class counts differ by more than chance, where photos come in groups."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from kit.competitions.mask import NUM_CLASSES


@dataclass(frozen=True)
class Expected:
    """The class counts (18,) that a submission's are held against, whose they are, and the
    `rao_scott_correction` of their chance.
    """

    counts: np.ndarray
    rao_scott_correction: tuple[float, float]
    source: str


def rao_scott_correction(classes: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """What photos of one person do to a chi-square of class counts: the scale and the degrees of
    freedom of its distribution.

    `classes` and `person` are (N,). Of photos of different people they are 1 and the classes less
    one; where all of a person's photos have one class, the scale is their number. Rao and Scott's
    second-order correction (The analysis of categorical data from complex sample surveys, 1981),
    from the people's covariance of class shares.
    """
    n = len(classes)
    of = np.unique(np.asarray(person), return_inverse=True)[1]
    people = int(of.max()) + 1
    counts = np.bincount(of * NUM_CLASSES + classes, minlength=people * NUM_CLASSES).reshape(
        people, NUM_CLASSES
    )
    share = counts.sum(axis=0) / n
    there = share > 0
    if there.sum() < 2 or people < 2:
        return 1.0, float(max(there.sum() - 1, 1))
    apart = (counts - share * counts.sum(axis=1, keepdims=True))[:, there]
    effects = (
        apart.T @ apart * people / (people - 1) / n / share[there]
    )  # its eigenvalues are the design effects
    first, second = np.trace(effects), np.trace(effects @ effects)
    return float(second / first), float(first**2 / second)


def distribution_p(counts: np.ndarray, expected: Expected) -> float:
    """How likely class counts at least so different are, if both come from people of one kind: p of
    a chi-square test.

    Of two samples, by `rao_scott_correction`; classes absent from both are left out.
    """
    table = np.stack([counts, expected.counts]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    scale, freedom = expected.rao_scott_correction
    return float(chi2.sf(((table - fitted) ** 2 / fitted).sum() / scale, freedom))
