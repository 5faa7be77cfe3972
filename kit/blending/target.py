"""What a blend and a decision are fitted to: true answers, groups, and the competition's metric."""

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np

from kit.competition import Competition
from kit.metrics.metric import Metric, metric_of
from kit.scoring.metrics import decided

# Probabilities, photos x classes, that a fit of a few numbers needs at most.
CELLS: Final = 1 << 21


@dataclass(frozen=True)
class Target:
    """The `truth` of photos, classes (N,) or labels (N, C), and their `groups` (N,)."""

    truth: np.ndarray
    groups: np.ndarray
    competition: Competition

    @functools.cached_property
    def metric(self) -> Metric:
        """The competition's metric."""
        return metric_of(self.competition)

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self.competition.num_classes

    @property
    def several(self) -> bool:
        """True if a photo may have several of the classes."""
        return self.competition.several_labels

    def part(self, rows: np.ndarray) -> "Target":
        """That of some photos."""
        return Target(self.truth[rows], self.groups[rows], self.competition)

    def some(self, cells: int = CELLS) -> np.ndarray | slice:
        """As many photos as have so many probabilities: all of them, or drawn ones, in order."""
        most = max(cells // self.classes, 100)
        if len(self.truth) <= most:
            return slice(None)
        drawn = np.random.default_rng(0).permutation(len(self.truth))[:most]
        return np.asarray(np.sort(drawn))

    def score(self, answers: np.ndarray) -> float:
        """The score of decided answers, or of probabilities where the metric takes them."""
        return self.metric.value(self.truth, answers, self.classes)

    def goodness(self, answers: np.ndarray) -> float:
        """The score, times -1 where less is better."""
        return self.metric.sign * self.score(answers)

    def plain(self, probs: np.ndarray) -> float:
        """The goodness of probabilities (N, C) where nothing is fitted to decide them."""
        return self.goodness(probs if self.metric.of_probs else decided(probs, self.competition))


def halves(groups: np.ndarray, bags: int) -> list[np.ndarray]:
    """The photos, bool (N,), of half of the groups (N,), drawn anew for each of some bags."""
    of_photo = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(of_photo.max()) + 1
    drawn = (np.random.default_rng([bag, count]).permutation(count) for bag in range(bags))
    return [(order < (count + 1) // 2)[of_photo] for order in drawn]
