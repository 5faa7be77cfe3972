"""Cut points of the expected class, fitted to quadratic kappa."""

from typing import Final

import numpy as np

from kit.blending.target import halves

_BAGS: Final = 10
_SWEEPS: Final = 10
# A gain in kappa too small to move a cut for: a few photos' luck.
_WORTH: Final = 0.0005


def fit_cuts(
    values: np.ndarray, truth: np.ndarray, groups: np.ndarray, classes: int, bags: int = _BAGS
) -> np.ndarray:
    """The cut points (C - 1,) of expected classes (N,) with a high quadratic kappa, rising.

    Fitted by coordinate ascent with exact searches to halves of the groups (N,), and averaged. The
    halves between classes where they score as high in-sample.
    """
    plain = np.arange(classes - 1) + 0.5
    fitted = [_ascend(values[rows], truth[rows], plain) for rows in halves(groups, bags)]
    cuts = np.mean(fitted, axis=0)
    reached = [_kappa(values, truth, edges) for edges in (plain, cuts)]
    return cuts if reached[1] > reached[0] else plain


def _kappa(values: np.ndarray, truth: np.ndarray, cuts: np.ndarray) -> float:
    """The quadratic kappa of expected classes that are cut."""
    said = np.searchsorted(cuts, values, side="right")
    return float(_kappas(np.array([((said - truth) ** 2.0).sum()]), truth, _moments(said))[0])


def _moments(said: np.ndarray) -> tuple[float, float]:
    """The sums of classes and of their squares."""
    return float(said.sum()), float((said**2.0).sum())


def _kappas(
    apart: np.ndarray, truth: np.ndarray, moments: tuple[np.ndarray | float, np.ndarray | float]
) -> np.ndarray:
    """Kappa from the sums of squared distances and the moments of the classes that are given."""
    n, (first, second) = len(truth), moments
    # The sum over all pairs of a true and a given class, over the number of photos.
    chance = (truth**2.0).sum() + second - 2 * truth.sum() * first / n
    return np.asarray(1 - apart / np.maximum(chance, 1e-12))


def _ascend(values: np.ndarray, truth: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Cut points by coordinate ascent: each between its neighbours, at its best place."""
    cuts, order = start.copy(), np.argsort(values, kind="stable")
    values, truth = values[order], truth[order]
    reached = _kappa(values, truth, cuts)
    for _ in range(_SWEEPS):
        before = reached
        for j in range(len(cuts)):
            place, value = _best_place(values, truth, cuts, j)
            if value > reached + _WORTH:
                cuts[j], reached = place, value
        if reached == before:
            break
    return cuts


def _best_place(
    values: np.ndarray, truth: np.ndarray, cuts: np.ndarray, j: int
) -> tuple[float, float]:
    """The place of cut j, between its neighbours, with the highest kappa, and that kappa."""
    low = cuts[j - 1] if j else -0.5
    high = cuts[j + 1] if j + 1 < len(cuts) else len(cuts) + 0.5
    first, last = np.searchsorted(values, [low, high])
    said = np.searchsorted(cuts, values, side="right")
    said[first:last] = j + 1  # with the cut at its lowest place
    base, one, two = ((said - truth) ** 2.0).sum(), float(said.sum()), float((said**2.0).sum())
    within = truth[first:last]
    # Photos move from class j + 1 to class j, one by one.
    apart = base + np.append(0, np.cumsum((j - within) ** 2.0 - (j + 1 - within) ** 2.0))
    moved = np.arange(len(within) + 1)
    kappas = _kappas(apart, truth, (one - moved, two - moved * (2.0 * j + 1)))
    edges = np.concatenate([[low], values[first:last], [high]])
    kappas[np.diff(edges) <= 1e-9] = -np.inf  # photos of one value move together
    best = int(kappas.argmax())
    return float((edges[best] + edges[best + 1]) / 2), float(kappas[best])
