"""How alike predictions are: kappa, order, votes, correlation of errors."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist
from scipy.stats import rankdata


def most_diverse(
    alike: Mapping[frozenset[str], float],
    scored: Mapping[str, tuple[float, float | None]],
    measure: str = "kappa",
) -> list[dict[str, Any]] | None:
    """The pair and the triple of files that are strong and least alike: they are worth a blend.

    `alike` says how alike two files are, by a `measure` that names the mean of the pairs in what
    comes out. Strong is a file that is not clearly worse than the best one: its score, the first of
    `scored`, more is better, lies within the best one's interval, whose lower end is the second.
    None where the best one has no interval. Of more than 20 such files the 20 best are looked at.
    """
    if len(scored) < 3:
        return []
    low = max(scored.values(), key=lambda score: score[0])[1]
    if low is None:
        return None
    strong = sorted(
        (name for name, (score, _) in scored.items() if score >= low),
        key=lambda name: -scored[name][0],
    )[:20]
    choices = []
    for size in (2, 3):
        sets = [
            (
                float(
                    np.mean([alike[frozenset(two)] for two in itertools.combinations(chosen, 2)])
                ),
                chosen,
            )
            for chosen in itertools.combinations(strong, size)
        ]
        if sets:
            mean, chosen = min(sets)
            choices.append({"files": list(chosen), measure: mean})
    return choices


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa from the counts (C, C) of two labellings.

    It is 1 where they always agree, and 0 where they agree no more than by chance.
    """
    shares = table / table.sum()
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return float((np.trace(shares) - chance) / (1 - chance)) if chance < 1 else 1.0


def correlation(a: np.ndarray, b: np.ndarray, of_ranks: bool = False) -> float:
    """The mean over columns of Pearson's correlation of probabilities (N, C), or of their ranks.

    The latter is Spearman's. Columns that are constant in one of the two are left out; without any
    other the correlation is 1 if all are equal, else 0.
    """
    if of_ranks:
        a, b = rankdata(a, axis=0), rankdata(b, axis=0)
    a, b = (x.astype(np.float64) - x.mean(axis=0, dtype=np.float64) for x in (a, b))
    norms = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    varied = norms > 0
    if not varied.any():
        return float(np.array_equal(a, b))
    return float(np.mean((a * b).sum(axis=0)[varied] / norms[varied]))


def excess_loss(a: np.ndarray, b: np.ndarray, several: bool = False) -> float:
    """How much log-loss one of two probabilities (N, C) has over the other, if that is the truth.

    It is the mean of both ways, over photos, and over labels where a photo has `several`: half of
    Jeffreys' divergence, 0 of equal ones. Probabilities are clipped at 1e-7.
    """
    a, b = (np.clip(x.astype(np.float64), 1e-7, 1 - 1e-7) for x in (a, b))
    apart = (a - b) * (np.log(a) - np.log(b))
    if several:
        return float((apart - (a - b) * (np.log1p(-a) - np.log1p(-b))).mean() / 2)
    return float(apart.sum(axis=1).mean() / 2)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over photos of the share of labels (N, C) that both have of those that one has.

    It is 1 of a photo where neither has any.
    """
    both, either = (a & b).sum(axis=1), (a | b).sum(axis=1)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def cluster_order(classes: np.ndarray) -> list[int]:
    """An order of submissions (files, N) in which similar ones stand together.

    It is that of the leaves of their average-linkage tree.
    """
    return list(range(len(classes))) if len(classes) < 3 else leaf_order(pdist(classes, "hamming"))


def leaf_order(apart: np.ndarray) -> list[int]:
    """An order of three files or more in which similar ones stand together.

    `apart` are the distances of their pairs, (files choose 2,), as `itertools.combinations` goes.
    """
    return [int(i) for i in leaves_list(linkage(apart, "average", optimal_ordering=True))]


def votes(predicted: np.ndarray, classes: int) -> np.ndarray:
    """The number of submissions (files, N) that predict each class: (N, C)."""
    counts = np.zeros((predicted.shape[1], classes), np.int64)
    for said in predicted:
        counts[np.arange(len(said)), said] += 1
    return counts


def vote(predicted: np.ndarray, classes: int) -> np.ndarray:
    """The hard vote (N,) of submissions (files, N), or of labels (N, C) of (files, N, C).

    Of classes with equal votes it is the one that the earliest file predicts. A label is there if
    more than half of the files say so; of exactly half, if the earliest one does.
    """
    if predicted.ndim == 3:
        twice, files = 2 * predicted.sum(axis=0, dtype=np.int64), len(predicted)
        return np.where(twice == files, predicted[0], twice > files).astype(np.uint8)
    counts = votes(predicted, classes)
    most = counts.max(axis=1, keepdims=True)
    tied = np.take_along_axis(counts, predicted.T, axis=1) == most  # (N, files)
    winner: np.ndarray = predicted[tied.argmax(axis=1), np.arange(predicted.shape[1])]
    return winner


def rank_mean(probs: np.ndarray) -> np.ndarray:
    """The mean over submissions of probabilities (files, N, C), each replaced by its rank: (N, C).

    Ranks are of a column's N photos, from 1/N to 1; the mean of equal ones.
    """
    means: np.ndarray = rankdata(probs, axis=1).mean(axis=0) / probs.shape[1]
    return means


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


def most_apart(values: np.ndarray, number: int) -> np.ndarray:
    """The rows of at most `number` photos that probabilities or labels (files, N, C) differ on.

    Those of the largest variance over the files, summed over classes, come first.
    """
    spread = values.astype(np.float64).var(axis=0).sum(axis=1).round(12)
    order = np.argsort(-spread, kind="stable")
    return np.asarray(order[: min(number, int((spread > 0).sum()))])


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
