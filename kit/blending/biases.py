"""Class biases, fitted to macro-F1."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.competitions.mask import AGES, GENDERS, MASKS, NUM_CLASSES, decode
from kit.scoring.metrics import fast_macro_f1
from kit.system.threads import cores

_BIAS_BAGS = 10


_BIAS_LIMIT = 3.0


# A gain in macro-F1 too small to move a bias for: a few photos' luck.
_WORTH = 0.001


# The classes of each mask status, gender and age; the first of each task stays where it is, for a
# common shift changes nothing.
_GROUPS = [
    part == value
    for part, values in zip(decode(np.arange(NUM_CLASSES)), (MASKS, GENDERS, AGES))
    for value in range(1, len(values))
]


def fit_biases(
    logs: np.ndarray, truth: np.ndarray, person: np.ndarray, bags: int = _BIAS_BAGS
) -> np.ndarray:
    """The biases (18,), mean 0, with which the argmax of `logs` (N, 18) + biases has a high
    macro-F1.

    Each class's bias is the sum of one for its mask status, one for its gender and one for its age,
    as the logarithms of class frequencies nearly are. A free one for each class scores higher
    in-sample and lower nested: its best value hangs on a few photos of a rare class. Fitted by
    coordinate ascent with exact line searches to halves of the people, and averaged. Zeros where
    the plain argmax scores as high in-sample.
    """
    people = np.unique(np.asarray(person), return_inverse=True)[1]
    count = int(people.max()) + 1

    def bag(number: int) -> np.ndarray:
        rows = (np.random.default_rng([number, count]).permutation(count) < (count + 1) // 2)[
            people
        ]
        return _ascend(logs[rows], truth[rows])

    with ThreadPoolExecutor(cores()) as pool:
        biases = np.mean(list(pool.map(bag, range(bags))), axis=0)
    better = fast_macro_f1((logs + biases).argmax(axis=1), truth) > fast_macro_f1(
        logs.argmax(axis=1), truth
    )
    return biases if better else np.zeros(NUM_CLASSES)


def _ascend(logs: np.ndarray, truth: np.ndarray, sweeps: int = 10) -> np.ndarray:
    """Biases (18,), mean 0, by coordinate ascent on macro-F1: the bias of each task's classes in
    turn.
    """
    values, biases = np.zeros(len(_GROUPS)), np.zeros(NUM_CLASSES)
    reached = fast_macro_f1(logs.argmax(axis=1), truth)
    for _ in range(sweeps):
        before = reached
        for g, group in enumerate(_GROUPS):
            shift, f1 = line_search(logs + biases, truth, group)
            if f1 > reached + _WORTH / 2 and abs(values[g] + shift) <= _BIAS_LIMIT:
                values[g] += shift
                biases[group] += shift
                reached = f1
        if reached == before:
            break
    return biases - biases.mean()


def line_search(logs: np.ndarray, truth: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """The least shift of a group of classes (18,) bool whose macro-F1 is within 0.001 of the
    highest, and that macro-F1.

    As the shift grows, photos move from their best class outside the group to their best within it,
    one by one, each at its own threshold: the macro-F1 between any two thresholds follows from
    running counts.
    """
    n = len(truth)
    inside, outside = np.where(group, logs, -np.inf), np.where(group, -np.inf, logs)
    to, off = inside.argmax(axis=1), outside.argmax(axis=1)
    threshold = outside[np.arange(n), off] - inside[np.arange(n), to]
    order = np.argsort(threshold, kind="stable")
    threshold, to, off, own = threshold[order], to[order], off[order], truth[order]
    true_counts = np.bincount(truth, minlength=NUM_CLASSES)

    def changes(classes: np.ndarray, sign: int) -> tuple[float, np.ndarray]:
        """The sum of F1 of the classes that photos leave (-1) before any has, or enter (1), and its
        change with each photo.
        """
        hit = classes == own
        counts, hits = (
            np.bincount(classes, minlength=NUM_CLASSES),
            np.bincount(classes[hit], minlength=NUM_CLASSES),
        )
        grouping = np.argsort(classes, kind="stable")
        grouped = classes[grouping]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[grouped]
        moved = np.arange(n) - starts + 1  # of the class's photos, up to and with this one
        moved_hits = np.concatenate([[0], np.cumsum(hit[grouping])])
        moved_hits = moved_hits[1:] - moved_hits[starts]
        after_counts, after_hits = (
            (counts[grouped] - moved, hits[grouped] - moved_hits)
            if sign < 0
            else (moved, moved_hits)
        )
        after = 2 * after_hits / np.maximum(after_counts + true_counts[grouped], 1)
        before = (
            2
            * (after_hits - sign * hit[grouping])
            / np.maximum(after_counts - sign + true_counts[grouped], 1)
        )
        change = np.empty(n)
        change[grouping] = after - before
        return float(
            (2 * hits / np.maximum(counts + true_counts, 1)).sum()
        ) if sign < 0 else 0.0, change

    start, leaving = changes(off, -1)
    _, entering = changes(to, 1)
    f1 = np.concatenate([[start], start + np.cumsum(leaving + entering)]) / NUM_CLASSES
    edges = np.concatenate([[threshold[0] - 1], threshold, [threshold[-1] + 1]])
    f1[np.diff(edges) <= 1e-9] = -1  # photos of one threshold move together
    middles = (edges[:-1] + edges[1:]) / 2
    good = np.flatnonzero(f1 >= f1.max() - _WORTH)
    best = good[np.abs(middles[good]).argmin()]
    return float(middles[best]), float(f1[best])
