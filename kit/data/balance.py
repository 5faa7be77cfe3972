"""Clusters of photos dealt to folds so that every label is balanced, whatever labels they hold.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011), with whole clusters in
the place of photos: the rarest label is dealt first, largest clusters first. A cluster goes to the
fold where all its labels are scarcest, by Pearson's chi-square; then clusters are moved and swapped
as long as that makes the folds more alike, where there are few.
"""

from typing import Final

import numpy as np
from scipy.sparse import csr_array

_SCALE: Final = 2**30  # weights are whole numbers, so that sums are exact on any machine
_COMPARED: Final = 50_000_000  # pairs of clusters x labels up to which clusters are moved
_ROUNDS: Final = 20


def balanced_folds(counts: csr_array, folds: int, order: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """The fold (0..folds-1) of each cluster: int64 (G,).

    `counts` (G, L) are photos of each label in each cluster; its last label stands for all photos.
    `order` (G,) decides between clusters that are alike, and `tie` (folds,) between such folds.
    """
    total = counts.sum(axis=0).astype(np.int64)
    weight = _SCALE // np.maximum(total, 1)
    fold = np.full(counts.shape[0], -1)
    have = np.zeros((folds, len(total)), dtype=np.int64)
    size, by_label, left = counts[:, [-1]].toarray()[:, 0], counts.tocsc(), total.copy()
    while left.any():
        label = int(np.where(left > 0, left, left.max() + 1).argmin())
        holders = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]]
        holders = holders[fold[holders] < 0]
        for i in holders[np.lexsort((order[holders], -size[holders]))].tolist():
            part = slice(counts.indptr[i], counts.indptr[i + 1])
            labels, number = counts.indices[part], counts.data[part]
            cost = have[:, labels] @ (weight[labels] * number)
            choice = int(np.lexsort((tie, cost))[0])
            fold[i] = choice
            have[choice, labels] += number
            left[labels] -= number
    if counts.shape[0] ** 2 * counts.shape[1] <= _COMPARED:
        by_order = np.argsort(order)
        dense = counts.toarray()[by_order].astype(np.int64)
        fold[by_order] = _improved(dense, fold[by_order], have, weight)
    return fold


def _improved(
    counts: np.ndarray, fold: np.ndarray, have: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """The folds (G,) after moves and swaps, each of which makes the folds more alike."""
    fold = fold.copy()
    for _ in range(_ROUNDS):
        changed = False
        for i in range(len(counts)):
            held = np.bincount(fold, minlength=len(have))
            best = _best_move(counts, fold, have, weight, i) if held[fold[i]] > 1 else (0, -1, -1)
            gain, other, target = min(best, _best_swap(counts, fold, have, weight, i))
            if gain < 0:
                for member, goes in ((i, target), (other, int(fold[i]))):
                    if member >= 0:
                        have[fold[member]] -= counts[member]
                        have[goes] += counts[member]
                        fold[member] = goes
                changed = True
        if not changed:
            break
    return fold


def _best_move(
    counts: np.ndarray, fold: np.ndarray, have: np.ndarray, weight: np.ndarray, i: int
) -> tuple[int, int, int]:
    """The best fold for cluster `i`: the change of half the weighted squares, -1, the fold."""
    own = counts[i]
    change = (have - have[fold[i]] + own) @ (weight * own)
    change[fold[i]] = 0
    return int(change.min()), -1, int(change.argmin())


def _best_swap(
    counts: np.ndarray, fold: np.ndarray, have: np.ndarray, weight: np.ndarray, i: int
) -> tuple[int, int, int]:
    """The best cluster to swap with `i`: the change, the cluster, and the fold that it leaves."""
    more = counts[i] - counts
    change = ((have[fold] - have[fold[i]] + more) * more) @ weight
    change[fold == fold[i]] = 0
    j = int(change.argmin())
    return int(change[j]), j, int(fold[j])
