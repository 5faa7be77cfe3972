"""Out-of-fold photos and what is fitted to them, as the metric scores it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.blending.rule import Rule
from kit.blending.target import Target
from kit.data.targets import targets
from kit.inference.oof import Oof
from kit.scoring.bootstrap import GroupBootstrap

_PARTS: Final = 5


@dataclass(frozen=True)
class Fitted:
    """A blend and decision, fitted to all photos, and the nested outcome of fitting them.

    `answers` are classes (N,) or labels (N, C), `calibrated` (N, C) the probabilities at the
    temperature, and `decided` the same with the biases and clipped; `in_sample` is the score of the
    rule on all photos.
    """

    rule: Rule
    answers: np.ndarray
    calibrated: np.ndarray
    decided: np.ndarray
    in_sample: float


class OofPhotos:
    """The out-of-fold photos as arrays (N,), and the bootstrap over their groups."""

    def __init__(self, oof: Oof) -> None:
        self.competition, columns = oof.competition, oof.photos
        groups, truth = columns["group"].to_numpy(), targets(columns, oof.competition)
        self.target = Target(truth, groups, oof.competition)
        self.fold, self.classes = columns["fold"].to_numpy(), oof.competition.num_classes
        self.bootstrap = GroupBootstrap(groups, truth, self.classes, self.target.metric)

    @functools.cached_property
    def parts(self) -> np.ndarray:
        """The parts of nested fits: the folds; a single fold is parted by its groups anew."""
        if len(np.unique(self.fold)) > 1:
            return self.fold
        drawn = np.random.default_rng(0).permutation(self.bootstrap.number)
        return np.asarray(drawn[self.bootstrap.at] % _PARTS)

    def scored(self, outcome: Fitted) -> np.ndarray:
        """What the metric scores of an outcome."""
        return outcome.decided if self.target.metric.of_probs else outcome.answers

    def answered(self, rule: Rule, members: np.ndarray) -> np.ndarray:
        """What the metric scores of members by a rule."""
        return self.decided(rule, rule.probs(members))

    def decided(self, rule: Rule, blended: np.ndarray) -> np.ndarray:
        """What the metric scores of blended probabilities by a rule."""
        of_probs = self.target.metric.of_probs
        return rule.calibrated(blended) if of_probs else rule.decide(blended)

    def in_sample(self, rules: Sequence[Rule], blended: np.ndarray) -> list[float]:
        """The score of blended probabilities by each of several rules."""
        return [self.target.score(self.decided(rule, blended)) for rule in rules]

    def gain(self, answers: np.ndarray, base: np.ndarray) -> tuple[float, Any]:
        """The gain of answers over others, positive where they are better, and its interval."""
        bootstrap, sign = self.bootstrap, self.target.metric.sign
        draws = sign * (bootstrap.draws(answers) - bootstrap.draws(base))
        gain = self.target.goodness(answers) - self.target.goodness(base)
        return gain, bootstrap.interval(draws)
