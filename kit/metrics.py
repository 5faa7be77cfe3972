"""Scores of predicted classes: macro-F1 over the 18, and for mask, gender and age apart."""

from dataclasses import dataclass

import numpy as np

from kit.labels import AGES, GENDERS, MASKS, NUM_CLASSES, decode


def macro_f1(truth: np.ndarray, predicted: np.ndarray, classes: int = NUM_CLASSES) -> float:
    """Macro-F1 over all `classes`; one that is absent from both truth and prediction counts 0, as on the leaderboard.

    `truth` and `predicted` are (N,) ints.
    """
    from sklearn.metrics import f1_score
    return float(f1_score(truth, predicted, labels=range(classes), average="macro", zero_division=0))


@dataclass(frozen=True)
class Scores:
    """The scores of one set of predictions, all in 0..1: `f1` over 18 classes, accuracy, and macro-F1 of each task."""

    f1: float
    accuracy: float
    mask: float
    gender: float
    age: float

    def line(self) -> str:
        """The scores as a person reads them."""
        return f"macro-F1 {self.f1:.3f} (mask {self.mask:.3f}, gender {self.gender:.3f}, age {self.age:.3f})"


def score(truth: np.ndarray, predicted: np.ndarray) -> Scores:
    """Score (N,) predicted classes against the true ones."""
    tasks = [macro_f1(t, p, n) for t, p, n in
             zip(decode(truth), decode(predicted), (len(MASKS), len(GENDERS), len(AGES)))]
    return Scores(macro_f1(truth, predicted), float(np.mean(truth == predicted)), *tasks)
