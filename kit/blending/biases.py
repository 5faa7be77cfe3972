"""Class biases, fitted to a metric of decided classes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from kit.blending.line_search import WORTH, Terms, column_search, line_search, terms_of
from kit.blending.target import Target, halves
from kit.system.threads import cores

_BAGS: Final = 10
_BAGS_OF_MANY: Final = 5
_LIMIT: Final = 3.0  # of a bias
_SWEEPS: Final = 10
# Classes of one task, of more of which only the photos near a class are looked at.
_MANY: Final = 32


def fit_biases(logs: np.ndarray, target: Target, bags: int = _BAGS) -> np.ndarray:
    """The biases (C,), mean 0, with which the argmax of `logs` (N, C) has a high score.

    Each class's bias is the sum of one for its answer to each task, as the logarithms of class
    frequencies nearly are. A free one for each of the product's classes scores higher in-sample and
    lower nested: its best value hangs on a few photos of a rare class. Fitted by coordinate ascent
    with exact line searches to halves of the groups, and averaged. Zeros where the plain argmax
    scores as high in-sample.
    """
    classes, shape = logs.shape[1], target.competition.shape
    many = len(shape) == 1 and classes > _MANY

    def bag(rows: np.ndarray) -> np.ndarray:
        truth = target.truth[rows]
        terms = terms_of(target.metric, truth, classes)
        if many:
            return _ascend_columns(logs[rows], truth, terms)
        return _ascend(logs[rows], truth, shape, terms)

    bags = min(bags, _BAGS_OF_MANY) if many else bags
    with ThreadPoolExecutor(cores()) as pool:
        biases = np.mean(list(pool.map(bag, halves(target.groups, bags))), axis=0)
    fitted = target.score((logs + biases).argmax(axis=1))
    better = fitted > target.score(logs.argmax(axis=1))
    return biases if better else np.zeros(classes)


def task_groups(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The classes (C,) bool of each answer to each task, the first answer of each task left out.

    The first stays where it is, for a common shift changes nothing.
    """
    answers = np.unravel_index(np.arange(np.prod(shape)), shape)
    for answer, number in zip(answers, shape):
        for value in range(1, number):
            yield answer == value


def _ascend(
    logs: np.ndarray, truth: np.ndarray, shape: tuple[int, ...], terms: Terms
) -> np.ndarray:
    """Biases (C,), mean 0, by coordinate ascent: each task's classes in turn."""
    classes = logs.shape[1]
    values, biases = np.zeros(sum(shape) - len(shape)), np.zeros(classes)
    reached = _score(logs.argmax(axis=1), truth, classes, terms)
    for _ in range(_SWEEPS):
        before = reached
        for g, group in enumerate(task_groups(shape)):
            shift, score = line_search(logs + biases, truth, group, terms)
            if score > reached + WORTH / 2 and abs(values[g] + shift) <= _LIMIT:
                values[g] += shift
                biases[group] += shift
                reached = score
        if reached == before:
            break
    return biases - biases.mean()


def _score(said: np.ndarray, truth: np.ndarray, classes: int, terms: Terms) -> float:
    """The score of classes (N,)."""
    hits = np.bincount(truth[said == truth], minlength=classes)
    true, predicted = (np.bincount(labels, minlength=classes) for labels in (truth, said))
    return float(terms.of(hits, true, predicted).sum() / terms.divisor)


def _ascend_columns(logs: np.ndarray, truth: np.ndarray, terms: Terms) -> np.ndarray:
    """The same for many classes of one task: a class moves the photos that are near it alone."""
    classes = logs.shape[1]
    scores, biases, rows = logs.copy(), np.zeros(classes), np.arange(len(logs))
    reached = _score(logs.argmax(axis=1), truth, classes, terms)
    for _ in range(_SWEEPS):
        before, best = reached, _best_two(scores)
        for c in range(1, classes):
            other = np.where(best[0] == c, best[1], best[0])
            threshold = scores[rows, other] - scores[:, c]
            shift, score = column_search(threshold, other, truth, c, terms, _LIMIT)
            if score > reached + WORTH / 2 and abs(biases[c] + shift) <= _LIMIT:
                biases[c] += shift
                scores[:, c] += shift
                reached, best = score, _best_two(scores)
        if reached == before:
            break
    return biases - biases.mean()


def _best_two(scores: np.ndarray) -> np.ndarray:
    """The best class of each photo, and the next one: (2, N)."""
    first, rows = scores.argmax(axis=1), np.arange(len(scores))
    top = scores[rows, first]
    scores[rows, first] = -np.inf
    second = scores.argmax(axis=1)
    scores[rows, first] = top
    return np.stack([first, second])
