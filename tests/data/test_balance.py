"""Clusters dealt to folds by all their labels."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from kit.data.balance import balanced_folds


def dealt(counts: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """The folds of clusters with counts (G, L) of labels, and their sizes as the last column."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(counts)).astype(np.uint64)
    return balanced_folds(csr_array(counts), folds, order, np.arange(folds))


def spread(counts: np.ndarray, fold: np.ndarray, folds: int) -> np.ndarray:
    """The largest difference between folds of each label (L,)."""
    have = np.stack([counts[fold == f].sum(axis=0) for f in range(folds)])
    return np.ptp(have, axis=0)


@pytest.mark.parametrize("seed", range(20))
def test_single_photos_with_several_labels_are_balanced(seed):
    rng = np.random.default_rng(seed)
    flags = (rng.random((300, 8)) < rng.uniform(0.01, 0.5, 8)).astype(np.int64)
    counts = np.concatenate([flags, np.ones((300, 1), np.int64)], axis=1)
    fold = dealt(counts, 5, seed)
    assert spread(counts, fold, 5).max() <= 2 and spread(counts, fold, 5)[-1] <= 1


@pytest.mark.parametrize("seed", range(20))
def test_few_groups_of_many_classes_are_balanced_and_no_fold_is_empty(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(10, 40, (26, 10))
    counts = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)
    fold = dealt(counts, 5, seed)
    naive = spread(counts, np.arange(26) % 5, 5)
    assert (spread(counts, fold, 5) <= naive.max()).all()
    assert spread(counts, fold, 5).mean() < 0.6 * naive.mean() and set(fold) == set(range(5))


def test_rare_labels_are_dealt_first_and_hand_computed_cases_are_even():
    counts = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]])
    assert spread(counts, dealt(counts, 2), 2).tolist() == [0, 0, 0]
    whole = np.array([[9, 9], [3, 3], [3, 3], [3, 3]])
    fold = dealt(whole, 2)
    assert spread(whole, fold, 2).tolist() == [0, 0] and len(set(fold[1:])) == 1


def unevenness(counts: np.ndarray, fold: np.ndarray, folds: int) -> int:
    """The squares of the folds' counts, each label weighted by 2^30 over its total."""
    have = np.stack([counts[fold == f].sum(axis=0) for f in range(folds)])
    return int((have**2 @ (2**30 // np.maximum(counts.sum(axis=0), 1))).sum())


@pytest.mark.parametrize("seed", range(4))
def test_no_cluster_moved_and_no_two_swapped_make_the_folds_more_alike(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (14, 3)) * (rng.random((14, 3)) < 0.7) * [1, 1, 5]
    counts = np.concatenate([counts, counts.sum(axis=1, keepdims=True) + 1], axis=1)
    fold = dealt(counts, 3, seed)
    least, held = unevenness(counts, fold, 3), np.bincount(fold, minlength=3)
    for i in range(14):
        for target in range(3):
            moved = fold.copy()
            moved[i] = target
            assert unevenness(counts, moved, 3) >= least or held[fold[i]] == 1
        for j in range(14):
            swapped = fold.copy()
            swapped[[i, j]] = fold[[j, i]]
            assert unevenness(counts, swapped, 3) >= least


def test_many_clusters_are_dealt_rarest_label_first_and_not_moved():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (3600, 4)) * (rng.random((3600, 4)) < [0.01, 0.1, 0.5, 1])
    counts[:, 3] += 1
    order, tie = rng.permutation(3600).astype(np.uint64), np.array([2, 0, 1])
    weight, left = 2**30 // counts.sum(axis=0), counts.sum(axis=0)
    wanted, have = np.full(3600, -1), np.zeros((3, 4), np.int64)
    while left.any():
        label = min((c for c in range(4) if left[c]), key=lambda c: left[c])
        holders = [i for i in range(3600) if wanted[i] < 0 and counts[i, label]]
        for i in sorted(holders, key=lambda i: (-counts[i, 3], order[i])):
            fold = min(range(3), key=lambda f: (have[f] * weight @ counts[i], tie[f]))
            wanted[i] = fold
            have[fold] += counts[i]
            left = left - counts[i]
    assert (balanced_folds(csr_array(counts), 3, order, tie) == wanted).all()


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (60, 5)) * np.array([1, 1, 1, 1, 9])
    order = rng.permutation(60).astype(np.uint64)
    tie = np.array([2, 0, 1])
    fold = balanced_folds(csr_array(counts), 3, order, tie)
    mixed = rng.permutation(60)
    again = balanced_folds(csr_array(counts[mixed]), 3, order[mixed], tie)
    assert (fold[mixed] == again).all()
