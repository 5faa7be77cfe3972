"""A competition's score: a `Metric`, by its name or as a function of a definition."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A score, of which more is better where `greater` is True; `title` is its name in a sentence.

    `value(truth, answers, classes)` scores `answers`, which are probabilities (N, C) where
    `of_probs` is True; else the decided classes int64 (N,), or labels uint8 (N, C). `truth` is
    shaped as the latter. `key` is its name in JSON.
    """

    name: str
    title: str
    value: Callable[[np.ndarray, np.ndarray, int], float]
    greater: bool = True
    of_probs: bool = False
    key: str = ""
