"""How members' probabilities become classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kit.competitions.mask import NUM_CLASSES

BLENDS: Final = {
    "mean": "the arithmetic mean",
    "greedy": "greedy selection with replacement, by macro-F1, bagged",
    "weights": "non-negative weights, by log-loss",
    "gmean": "the geometric mean",
    "vote": "a hard vote",
}


FITTED: Final = ("greedy", "weights")


DECISIONS: Final = {
    "argmax": "the most probable class",
    "bias": "the same after a factor a class, fitted to macro-F1",
}


_TINY = 1e-7


_SAME = 1e-3  # as far as a table of four decimals, brought to sum to 1, is from itself


@dataclass(frozen=True)
class Rule:
    """How members' probabilities become classes.

    `weights` (M,) sum to 1. The class is the argmax of log(p) / `temperature` + `biases`, which are
    (18,) with mean 0; the temperature alone changes no class, but how sure the blend is of it.
    """

    blend: str
    weights: np.ndarray
    temperature: float = 1.0
    biases: np.ndarray = field(default_factory=lambda: np.zeros(NUM_CLASSES))

    @property
    def gains(self) -> np.ndarray:
        """The factor of each class's probability before the argmax, (18,): what the
        biases come to.
        """
        return np.exp(self.temperature * self.biases)

    def probs(self, members: np.ndarray) -> np.ndarray:
        """The blended probabilities, (N, 18) float64."""
        if self.blend == "gmean":
            logs = sum(
                w * np.log(np.maximum(m, _TINY, dtype=np.float64))
                for w, m in zip(self.weights, members)
            )
            return _normalised(np.exp(logs))
        mean = weighted(members, self.weights)
        if self.blend == "vote":
            # The mean decides where votes are equal: it counts less than the least difference
            # between two votes.
            share = 0.5 * self.weights.min() / (1 + self.weights.min())
            votes = sum(
                w * np.eye(NUM_CLASSES)[m.argmax(axis=1)] for w, m in zip(self.weights, members)
            )
            return (1 - share) * votes + share * mean
        return mean

    def calibrated(self, blended: np.ndarray) -> np.ndarray:
        """Blended probabilities (N, 18) at the temperature and with the biases: the argmax is the
        class.
        """
        return _softmax(_log(blended) / self.temperature + self.biases)

    def classes(self, members: np.ndarray) -> np.ndarray:
        """The classes of the members' photos, (N,)."""
        return decide(self.probs(members), self.gains)


def uniform_rule(blend: str, members: int) -> Rule:
    """The rule in which all members count alike."""
    return Rule(blend, np.full(members, 1 / members))


def weighted(
    members: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The weighted sum of (N, 18) probabilities in float64, row by row the same whatever rows are
    with it.
    """
    total = np.zeros(members[0].shape)
    for member, weight in zip(members, weights):
        if weight:
            total += weight * member.astype(np.float64)
    return total


def decide(probs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The classes (N,) of blended probabilities (N, 18): the argmax after each class's gain, the
    lower class of equals.
    """
    return (probs * gains).argmax(axis=1)


def _normalised(positive: np.ndarray) -> np.ndarray:
    return positive / positive.sum(axis=1, keepdims=True)


def distinct_members(members: np.ndarray) -> list[int]:
    """The members that are not copies of an earlier one, by their indices; four decimals do not
    tell two apart.
    """
    kept: list[int] = []
    for m, member in enumerate(members):
        if not any(
            np.abs(member[:50] - members[k][:50]).max() < _SAME
            and np.abs(member - members[k]).max() < _SAME
            for k in kept
        ):
            kept.append(m)
    return kept


def _log(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, _TINY))


def at_temperature(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, 18) at another temperature: above 1 less sure."""
    return _softmax(_log(probs) / temperature)


def _softmax(logs: np.ndarray) -> np.ndarray:
    return _normalised(np.exp(logs - logs.max(axis=1, keepdims=True)))
