"""Scores by scikit-learn from plain arrays, and tables as text: nothing of the kit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn import metrics

TEMPERED = ("log_loss", "quadratic_kappa")  # metrics of how sure probabilities are


def read_text(path: str | Path) -> pd.DataFrame:
    """A table as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def label_flags(lists: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """Lists of labels' numbers as (N, C) of 0 and 1."""
    table = np.zeros((len(lists), classes), int)
    for n, numbers in enumerate(lists):
        table[n, list(numbers)] = 1
    return table


def decided(metric: str, probs: np.ndarray, several: bool) -> np.ndarray:
    """What is decided by probabilities (N, C): classes (N,), or labels (N, C) of at least a half.

    For quadratic kappa it is the expected class, rounded.
    """
    if several:
        return (probs >= 0.5).astype(int)
    if metric == "quadratic_kappa":
        return np.rint(probs @ np.arange(probs.shape[1])).astype(int)
    return probs.argmax(axis=1)


def score(metric: str, truth: np.ndarray, given: np.ndarray) -> float:
    """A metric of the truth, classes (N,) or labels (N, C), and of answers.

    These are probabilities (N, C), which are decided where the metric needs it, or decided ones.
    """
    several = truth.ndim == 2
    if metric == "log_loss":
        return float(
            metrics.log_loss(
                truth, given / given.sum(axis=1, keepdims=True), labels=range(given.shape[1])
            )
        )
    if metric == "roc_auc":
        if given.shape[1] == 2 and not several:
            return float(metrics.roc_auc_score(truth, given[:, 1]))
        flags = truth if several else np.eye(given.shape[1])[truth]
        return float(np.mean([metrics.roc_auc_score(t, p) for t, p in zip(flags.T, given.T)]))
    labels = None
    if given.dtype.kind == "f":
        labels = None if several else range(given.shape[1])
        given = decided(metric, given, several)
    f1 = {"labels": labels, "zero_division": 0.0}
    if metric == "quadratic_kappa":
        return float(metrics.cohen_kappa_score(truth, given, weights="quadratic"))
    if metric in ("accuracy", "balanced_accuracy"):
        return float(getattr(metrics, f"{metric}_score")(truth, given))
    return float(metrics.f1_score(truth, given, average=metric.removeprefix("f1_"), **f1))


def tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) of one class a photo at another temperature."""
    powers = np.clip(probs, 1e-7, 1) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def nested(metric: str, truth: np.ndarray, probs: np.ndarray, fold: np.ndarray) -> float:
    """The score out of fold, at a temperature fitted to the other folds, where it counts and pays.

    A temperature is used where the score is better by it.
    """
    if metric not in TEMPERED:
        return score(metric, truth, probs)
    result = np.empty_like(probs)
    for k in np.unique(fold):
        held = fold == k
        fitted = minimize_scalar(
            lambda t: score("log_loss", truth[~held], tempered(probs[~held], np.exp(t))),
            bounds=(-np.log(8), np.log(8)),
            method="bounded",
        )
        result[held] = tempered(probs[held], np.exp(fitted.x))
    better = min if metric == "log_loss" else max
    return better(score(metric, truth, probs), score(metric, truth, result))
