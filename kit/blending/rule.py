"""How members' probabilities become answers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from kit.competition import Competition
from kit.scoring.metrics import by_expectation, expected

TINY: Final = 1e-7  # the least probability whose logarithm is taken
_BLOCK: Final = 1 << 15  # probabilities that are summed at a time
# The rounding error of a table of four decimals whose rows are scaled to sum to 1.
_SAME: Final = 1e-3


@dataclass(frozen=True)
class Rule:
    """How members' probabilities become answers.

    `weights` (M,) sum to 1. The class is the argmax of log(p) / `temperature` + `biases`, which are
    (C,) with mean 0; the temperature alone changes no class, but how sure the blend is of it. Of
    `several` labels each is given whose logit(p) / `temperature` + bias is above 0. With `cuts`
    (C - 1,), which rise, the class is the number of them at or below the expected class, at the
    temperature. `clip` is the least probability that is given.
    """

    blend: str
    weights: np.ndarray
    temperature: float
    biases: np.ndarray
    several: bool = False
    cuts: np.ndarray | None = None
    clip: float = 0.0

    @property
    def gains(self) -> np.ndarray:
        """The factor (C,) by which each class's probability is multiplied before the argmax.

        It is the exponential of the class's bias times the temperature.
        """
        return np.exp(self.temperature * self.biases)

    @property
    def thresholds(self) -> np.ndarray:
        """The probability (C,) above which each of several labels is given."""
        return np.asarray(expit(-self.temperature * self.biases))

    @property
    def by_argmax(self) -> bool:
        """True if the class is the argmax of probabilities times gains."""
        return not self.several and self.cuts is None

    def probs(self, members: np.ndarray) -> np.ndarray:
        """The blended probabilities, (N, C) float64; of `rank` they are among the N photos."""
        if self.blend == "gmean":
            return self._geometric(members)
        if self.blend == "rank":
            return self._mean_rank(members)
        mean = weighted(members, self.weights)
        if self.blend == "vote":
            # The mean decides where votes are equal: it counts less than the least difference
            # between two votes.
            share = 0.5 * self.weights.min() / (1 + self.weights.min())
            votes = sum(w * self._vote(m) for w, m in zip(self.weights, members))
            return (1 - share) * votes + share * mean
        return mean

    def _vote(self, member: np.ndarray) -> np.ndarray:
        """A member's vote, (N, C) of 0 and 1."""
        if self.several:
            return (member > 0.5).astype(np.float64)
        return np.asarray(np.eye(len(self.biases))[member.argmax(axis=1)])

    def _geometric(self, members: np.ndarray) -> np.ndarray:
        """The geometric mean; of several labels that of the odds."""
        if self.several:
            odds = sum(w * logits(m) for w, m in zip(self.weights, members))
            return np.asarray(expit(odds))
        logs = sum(
            w * np.log(np.maximum(m, TINY, dtype=np.float64)) for w, m in zip(self.weights, members)
        )
        return _normalized(np.exp(logs))

    def _mean_rank(self, members: np.ndarray) -> np.ndarray:
        """The mean of the members' ranks of each label, or of the second class: from 0 to 1."""
        ranked = np.zeros(members[0].shape)
        for weight, member in zip(self.weights, members):
            ranks = rankdata(member if self.several else member[:, 1:], axis=0)
            share = weight * (ranks - 0.5) / len(member)
            ranked += share if self.several else np.hstack([weight - share, share])
        return ranked

    def calibrated(self, blended: np.ndarray) -> np.ndarray:
        """Blended probabilities (N, C) at the temperature and with the biases, clipped.

        Their argmax is the class, and of several labels those above one half are given, unless
        there are cuts.
        """
        if self.temperature == 1 and not self.biases.any():
            probs = blended if self.several else _normalized(blended)
        elif self.several:
            probs = np.asarray(expit(logits(blended) / self.temperature + self.biases))
        else:
            probs = _softmax(log_probs(blended) / self.temperature + self.biases)
        return clipped(probs, self.clip, self.several)

    def decide(self, blended: np.ndarray) -> np.ndarray:
        """The answers to blended probabilities: classes (N,), or labels uint8 (N, C)."""
        if self.several:
            return (blended > self.thresholds).astype(np.uint8)
        if self.cuts is not None:
            values = expected(self.calibrated(blended))
            return np.searchsorted(self.cuts, values, side="right").astype(np.int64)
        return decide(blended, self.gains)

    def classes(self, members: np.ndarray) -> np.ndarray:
        """The answers to the members' photos."""
        return self.decide(self.probs(members))


def uniform_rule(blend: str, members: int, classes: int) -> Rule:
    """The rule in which all members count alike."""
    return Rule(blend, np.full(members, 1 / members), 1.0, np.zeros(classes))


def plain_rule(blend: str, members: int, competition: Competition) -> Rule:
    """The uniform rule by which a competition's photos are answered where nothing is fitted."""
    classes = competition.num_classes
    rule = uniform_rule(blend, members, classes)
    cuts = np.arange(classes - 1) + 0.5 if by_expectation(competition) else None
    return dataclasses.replace(rule, several=competition.several_labels, cuts=cuts)


def clipped(probs: np.ndarray, least: float, several: bool) -> np.ndarray:
    """Probabilities (N, C) of `least` and more; rows sum to 1, labels are 1 - `least` at most."""
    if not least:
        return probs
    return np.clip(probs, least, 1 - least) if several else _normalized(np.maximum(probs, least))


def weighted(
    members: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The weighted sum of members' probabilities (N, C) in float64.

    Each row is the same whatever rows are with it.
    """
    total = np.zeros(members[0].shape)
    rows = max(1, _BLOCK // max(1, total[:1].size))
    for start in range(0, len(total), rows):  # few enough that they stay in the processor's cache
        part = total[start : start + rows]
        for member, weight in zip(members, weights):
            if weight:
                part += weight * member[start : start + rows].astype(np.float64)
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


def at_temperature(probs: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """Probabilities (N, C) at another temperature: above 1 less sure."""
    rule = Rule("mean", np.ones(1), temperature, np.zeros(probs.shape[1]), several)
    return rule.calibrated(probs)


def logits(probs: np.ndarray) -> np.ndarray:
    """The logarithms of the odds of labels, float64, of probabilities from 1e-7 to 1 - 1e-7."""
    return np.asarray(logit(np.clip(probs.astype(np.float64), TINY, 1 - TINY)))


def _softmax(logs: np.ndarray) -> np.ndarray:
    return _normalized(np.exp(logs - logs.max(axis=1, keepdims=True)))
