"""How alike predictions are: kappa, order, votes, correlation of errors."""

import itertools
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist


def most_diverse(
    result: dict[str, Any], scored: dict[str, tuple[float, float | None]]
) -> list[dict[str, Any]] | None:
    """The pair and the triple of files that are strong and least alike: they are worth a blend.

    Alike is by the mean `kappa` of their pairs. Strong is a file that is not clearly worse than the
    best one: its score, the first of `scored`, lies within the best one's interval, whose lower end
    is the second. None where the best one has no interval. Of more than 20 such files the 20 best
    are looked at.
    """
    if len(scored) < 3:
        return []
    low = max(scored.values(), key=lambda score: score[0])[1]
    if low is None:
        return None
    strong = sorted(
        (name for name, (f1, _) in scored.items() if f1 >= low), key=lambda name: -scored[name][0]
    )[:20]
    of = {frozenset((pair["a"], pair["b"])): pair["kappa"] for pair in result["pairs"]}
    choices = []
    for size in (2, 3):
        sets = [
            (
                float(np.mean([of[frozenset(two)] for two in itertools.combinations(chosen, 2)])),
                chosen,
            )
            for chosen in itertools.combinations(strong, size)
        ]
        if sets:
            mean, chosen = min(sets)
            choices.append({"files": list(chosen), "kappa": mean})
    return choices


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa from the counts (C, C) of two labellings.

    It is 1 where they always agree, and 0 where they agree no more than by chance.
    """
    shares = table / table.sum()
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return float((np.trace(shares) - chance) / (1 - chance)) if chance < 1 else 1.0


def cluster_order(classes: np.ndarray) -> list[int]:
    """An order of submissions (files, N) in which similar ones stand together.

    It is that of the leaves of their average-linkage tree.
    """
    if len(classes) < 3:
        return list(range(len(classes)))
    differ = pdist(classes, "hamming")
    return [int(i) for i in leaves_list(linkage(differ, "average", optimal_ordering=True))]


def votes(predicted: np.ndarray, classes: int) -> np.ndarray:
    """The number of submissions (files, N) that predict each class: (N, C)."""
    counts = np.zeros((predicted.shape[1], classes), np.int64)
    for said in predicted:
        counts[np.arange(len(said)), said] += 1
    return counts


def vote(predicted: np.ndarray, classes: int) -> np.ndarray:
    """The hard vote (N,) of submissions (files, N).

    Of classes with equal votes it is the one that the earliest file predicts.
    """
    counts = votes(predicted, classes)
    most = counts.max(axis=1, keepdims=True)
    tied = np.take_along_axis(counts, predicted.T, axis=1) == most  # (N, files)
    winner: np.ndarray = predicted[tied.argmax(axis=1), np.arange(predicted.shape[1])]
    return winner


def most_differing(predicted: np.ndarray, classes: int, number: int) -> np.ndarray:
    """The rows of at most `number` photos that submissions (files, N) differ on.

    Those most at odds come first, and like flips together. How much they are at odds is the entropy
    of their votes; of two files it is the same everywhere, and the most frequent flips come first.
    """
    shares = votes(predicted, classes) / len(predicted)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1).round(9)
    _, kind, count = np.unique(predicted, axis=1, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(entropy > 0)
    order = np.lexsort((rows, kind.ravel()[rows], -count[kind.ravel()[rows]], -entropy[rows]))
    chosen: np.ndarray = rows[order][:number]
    return chosen


def error_correlations(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The correlation of members' errors, (M, M), of their probabilities (M, N, C).

    It is Pearson's, of probabilities minus the truth, classes (N,) or labels (N, C). The less two
    members err together, the more they gain from each other.
    """
    true = truth if truth.ndim == 2 else np.eye(probs.shape[2], dtype=np.float32)[truth]
    errors = probs.reshape(len(probs), -1).astype(np.float32)
    errors = errors - true.astype(np.float32).reshape(-1)
    # A member without an error correlates with none.
    with np.errstate(invalid="ignore", divide="ignore"):
        table = np.nan_to_num(np.atleast_2d(np.corrcoef(errors, dtype=np.float32)))
    np.fill_diagonal(table, 1.0)
    return table
