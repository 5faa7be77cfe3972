"""Scores of predicted classes and of probabilities."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import f1_score

from kit.competitions.mask import NUM_CLASSES, TASK_NAMES, decode


def macro_f1(truth: np.ndarray, predicted: np.ndarray, classes: int = NUM_CLASSES) -> float:
    """Macro-F1 over all `classes`; one that is absent from both truth and prediction counts 0, as
    on the leaderboard.

    `truth` and `predicted` are (N,) ints.
    """
    return float(
        f1_score(truth, predicted, labels=range(classes), average="macro", zero_division=0)
    )


def log_loss(probs: np.ndarray, truth: np.ndarray) -> float:
    """The mean of -log p(true class) over probabilities (N, 18)."""
    return float(
        -np.log(np.maximum(probs[np.arange(len(truth)), truth], 1e-12)).mean(dtype=np.float64)
    )


def calibration(
    probs: np.ndarray, truth: np.ndarray, bins: int = 15
) -> tuple[float, list[dict[str, float]]]:
    """The expected calibration error of probabilities (N, 18), and the bins of equal width that it
    is the mean over.

    A bin has `low` and `high`, its number of `photos`, their mean `confidence` (the probability of
    the predicted class) and `accuracy`. Guo et al., On calibration of modern neural networks (ICML
    2017).
    """
    sure, right = probs.max(axis=1).astype(np.float64), probs.argmax(axis=1) == truth
    at = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for b in range(bins):
        own = at == b
        table.append(
            {
                "low": b / bins,
                "high": (b + 1) / bins,
                "photos": int(own.sum()),
                "confidence": float(sure[own].mean()) if own.any() else 0.0,
                "accuracy": float(right[own].mean()) if own.any() else 0.0,
            }
        )
    error = sum(row["photos"] * abs(row["accuracy"] - row["confidence"]) for row in table) / len(
        truth
    )
    return float(error), table


@dataclass(frozen=True)
class Scores:
    """The scores of one set of predictions, all in 0..1: `f1` over 18 classes, accuracy, and
    macro-F1 of each task.
    """

    f1: float
    accuracy: float
    mask: float
    gender: float
    age: float

    def line(self) -> str:
        """The scores as a person reads them."""
        return (
            f"macro-F1 {self.f1:.3f} (mask {self.mask:.3f}, gender {self.gender:.3f}, age "
            f"{self.age:.3f})"
        )


def score(truth: np.ndarray, predicted: np.ndarray) -> Scores:
    """Score (N,) predicted classes against the true ones."""
    tasks = [
        macro_f1(t, p, len(names))
        for t, p, names in zip(decode(truth), decode(predicted), TASK_NAMES.values())
    ]
    return Scores(macro_f1(truth, predicted), float(np.mean(truth == predicted)), *tasks)


def f1_of_counts(counts: np.ndarray) -> np.ndarray:
    """F1 of each class from `counts` (..., 3, C), the hits, the true and the predicted photos a
    class: (..., C).
    """
    hits, true, predicted = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    return 2 * hits / np.maximum(true + predicted, 1)


def fast_macro_f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Macro-F1 as `kit.metrics.macro_f1` has it, in a hundredth of the time."""
    counts = [
        np.bincount(labels, minlength=NUM_CLASSES)
        for labels in (truth[predicted == truth], truth, predicted)
    ]
    return float(f1_of_counts(np.stack(counts)).mean())
