"""How members' probabilities become classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

BLENDS: Final = {
    "mean": "the arithmetic mean",
    "greedy": "greedy selection with replacement, by macro-F1, bagged",
    "weights": "non-negative weights, by log-loss",
    "gmean": "the geometric mean",
    "vote": "a hard vote",
}
FITTED: Final = ("greedy", "weights")
LINEAR: Final = ("mean", *FITTED)  # of these, passes can be summed one by one
DECISIONS: Final = {
    "argmax": "the most probable class",
    "bias": "the same after a factor a class, fitted to macro-F1",
}
TINY: Final = 1e-7  # the least probability whose logarithm is taken
_SAME: Final = (
    1e-3  # the rounding error of a table of four decimals whose rows are scaled to sum to 1
)


@dataclass(frozen=True)
class Rule:
    """How members' probabilities become classes.

    `weights` (M,) sum to 1. The class is the argmax of log(p) / `temperature` + `biases`, which are
    (C,) with mean 0; the temperature alone changes no class, but how sure the blend is of it.
    """

    blend: str
    weights: np.ndarray
    temperature: float
    biases: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """The factor (C,) by which each class's probability is multiplied before the argmax.

        It is the exponential of the class's bias times the temperature.
        """
        return np.exp(self.temperature * self.biases)

    def probs(self, members: np.ndarray) -> np.ndarray:
        """The blended probabilities, (N, C) float64."""
        if self.blend == "gmean":
            logs = sum(
                w * np.log(np.maximum(m, TINY, dtype=np.float64))
                for w, m in zip(self.weights, members)
            )
            return _normalized(np.exp(logs))
        mean = weighted(members, self.weights)
        if self.blend == "vote":
            # The mean decides where votes are equal: it counts less than the least difference
            # between two votes.
            share = 0.5 * self.weights.min() / (1 + self.weights.min())
            one_hot = np.eye(len(self.biases))
            votes = sum(w * one_hot[m.argmax(axis=1)] for w, m in zip(self.weights, members))
            return (1 - share) * votes + share * mean
        return mean

    def calibrated(self, blended: np.ndarray) -> np.ndarray:
        """Blended probabilities (N, C) at the temperature and with the biases.

        Their argmax is the class.
        """
        return _softmax(log_probs(blended) / self.temperature + self.biases)

    def classes(self, members: np.ndarray) -> np.ndarray:
        """The classes of the members' photos, (N,)."""
        return decide(self.probs(members), self.gains)


def uniform_rule(blend: str, members: int, classes: int) -> Rule:
    """The rule in which all members count alike."""
    return Rule(blend, np.full(members, 1 / members), 1.0, np.zeros(classes))


def weighted(
    members: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The weighted sum of members' probabilities (N, C) in float64.

    Each row is the same whatever rows are with it.
    """
    total = np.zeros(members[0].shape)
    for member, weight in zip(members, weights):
        if weight:
            total += weight * member.astype(np.float64)
    return total


def decide(probs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The classes (N,) of blended probabilities (N, C): the argmax after each class's gain.

    Of equal classes it takes the lower one.
    """
    return (probs * gains).argmax(axis=1)


def _normalized(positive: np.ndarray) -> np.ndarray:
    return positive / positive.sum(axis=1, keepdims=True)


def distinct_members(members: np.ndarray) -> list[int]:
    """The members that are not copies of an earlier one, by their indices.

    Four decimals do not tell two members apart.
    """
    distinct: list[int] = []
    for m, member in enumerate(members):
        if not any(
            np.abs(member[:50] - members[k][:50]).max() < _SAME
            and np.abs(member - members[k]).max() < _SAME
            for k in distinct
        ):
            distinct.append(m)
    return distinct


def log_probs(probs: np.ndarray) -> np.ndarray:
    """The logarithms of probabilities, the least of which is 1e-7."""
    return np.log(np.maximum(probs, TINY))


def at_temperature(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) at another temperature: above 1 less sure."""
    return _softmax(log_probs(probs) / temperature)


def _softmax(logs: np.ndarray) -> np.ndarray:
    return _normalized(np.exp(logs - logs.max(axis=1, keepdims=True)))
