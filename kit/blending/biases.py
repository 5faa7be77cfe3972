"""Class biases, fitted to macro-F1."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from kit.scoring.metrics import macro_f1
from kit.system.threads import cores

_BAGS: Final = 10
_LIMIT: Final = 3.0  # of a bias
# A gain in macro-F1 too small to move a bias for: a few photos' luck.
_WORTH: Final = 0.001
_SWEEPS: Final = 10


def fit_biases(
    logs: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    shape: tuple[int, ...],
    bags: int = _BAGS,
) -> np.ndarray:
    """The biases (C,), mean 0, with which the argmax of `logs` (N, C) has a high macro-F1.

    Each class's bias is the sum of one for its answer to each task, as the logarithms of class
    frequencies nearly are; `shape` is the number of classes of each task. A free one for each of
    the product's classes scores higher in-sample and lower nested: its best value hangs on a few
    photos of a rare class. Fitted by coordinate ascent with exact line searches to halves of the
    groups (N,), and averaged. Zeros where the plain argmax scores as high in-sample.
    """
    classes, of_photo = logs.shape[1], np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(of_photo.max()) + 1

    def bag(number: int) -> np.ndarray:
        drawn = np.random.default_rng([number, count]).permutation(count) < (count + 1) // 2
        rows = drawn[of_photo]
        return _ascend(logs[rows], truth[rows], shape)

    with ThreadPoolExecutor(cores()) as pool:
        biases = np.mean(list(pool.map(bag, range(bags))), axis=0)
    fitted = macro_f1(truth, (logs + biases).argmax(axis=1), classes)
    better = fitted > macro_f1(truth, logs.argmax(axis=1), classes)
    return biases if better else np.zeros(classes)


def task_groups(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The classes (C,) bool of each answer to each task, the first answer of each task left out.

    The first stays where it is, for a common shift changes nothing.
    """
    answers = np.unravel_index(np.arange(np.prod(shape)), shape)
    for answer, number in zip(answers, shape):
        for value in range(1, number):
            yield answer == value


def _ascend(logs: np.ndarray, truth: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Biases (C,), mean 0, by coordinate ascent on macro-F1: each task's classes in turn."""
    classes = logs.shape[1]
    values, biases = np.zeros(sum(shape) - len(shape)), np.zeros(classes)
    reached = macro_f1(truth, logs.argmax(axis=1), classes)
    for _ in range(_SWEEPS):
        before = reached
        for g, group in enumerate(task_groups(shape)):
            shift, f1 = line_search(logs + biases, truth, group)
            if f1 > reached + _WORTH / 2 and abs(values[g] + shift) <= _LIMIT:
                values[g] += shift
                biases[group] += shift
                reached = f1
        if reached == before:
            break
    return biases - biases.mean()


def line_search(logs: np.ndarray, truth: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """The least good shift of a group of classes (C,) bool, and its macro-F1.

    Good is within 0.001 of the highest macro-F1 of all shifts. As the shift grows, photos move from
    their best class outside the group to their best within it, one by one, each at its own
    threshold: the macro-F1 between any two thresholds follows from running counts.
    """
    n, classes = logs.shape
    inside, outside = np.where(group, logs, -np.inf), np.where(group, -np.inf, logs)
    to, off = inside.argmax(axis=1), outside.argmax(axis=1)
    threshold = outside[np.arange(n), off] - inside[np.arange(n), to]
    order = np.argsort(threshold, kind="stable")
    threshold, to, off, truth = threshold[order], to[order], off[order], truth[order]
    true_counts = np.bincount(truth, minlength=classes)
    start, leaving = _f1_changes(off, truth, true_counts, -1)
    _, entering = _f1_changes(to, truth, true_counts, 1)
    f1 = np.concatenate([[start], start + np.cumsum(leaving + entering)]) / classes
    edges = np.concatenate([[threshold[0] - 1], threshold, [threshold[-1] + 1]])
    f1[np.diff(edges) <= 1e-9] = -1  # photos of one threshold move together
    middles = (edges[:-1] + edges[1:]) / 2
    good = np.flatnonzero(f1 >= f1.max() - _WORTH)
    best = good[np.abs(middles[good]).argmin()]
    return float(middles[best]), float(f1[best])


def _f1_changes(
    moving: np.ndarray, truth: np.ndarray, true_counts: np.ndarray, sign: int
) -> tuple[float, np.ndarray]:
    """The sum of all classes' F1 before any photo moves, and how each photo (N,) changes it.

    Photos leave (-1) or enter (1) their classes `moving` (N,) one by one, in order.
    """
    n, classes, hit = len(moving), len(true_counts), moving == truth
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
    true = true_counts[grouped]
    after = 2 * after_hits / np.maximum(after_counts + true, 1)
    before_hits, before_counts = after_hits - sign * hit[grouping], after_counts - sign
    before = 2 * before_hits / np.maximum(before_counts + true, 1)
    change = np.empty(n)
    change[grouping] = after - before
    start = float((2 * hits / np.maximum(counts + true_counts, 1)).sum()) if sign < 0 else 0.0
    return start, change
