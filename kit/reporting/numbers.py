"""All numbers of a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from kit.blending.fit import decision_of
from kit.blending.oof_score import Candidate, OofScore
from kit.blending.select import select_blend
from kit.blending.settings import blend_refusal
from kit.competition import Competition
from kit.data.targets import targets
from kit.inference.oof import Oof
from kit.metrics.metric import metric_of
from kit.metrics.sums import log_loss
from kit.reporting.by_number import NumberRow, by_number, number_tasks
from kit.scoring.bootstrap import GroupBootstrap, Interval
from kit.scoring.metrics import CalibrationBin, calibration, decided

_ERRORS: Final = 24  # photos in the gallery of the worst errors


@dataclass(frozen=True)
class FoldScore:
    """The score of a fold with its interval, and how many groups and photos it has."""

    score: float
    interval: Interval | None
    groups: int
    photos: int


@dataclass(frozen=True)
class WorstError:
    """A photo with a wrong answer, its `true` and `predicted` class and their probabilities.

    `numbers` are its group's, by the competition's columns.
    """

    image: str
    numbers: tuple[int, ...]
    fold: int
    true: str
    true_prob: float
    predicted: str
    prob: float


@dataclass(frozen=True)
class ReportNumbers:
    """The numbers of a report, of the members' mean and the plain argmax.

    `candidates` are the blends and decisions to compare, `precision` and `recall` are (C,).
    `confusion` has the counts (C, C) by true and predicted class, and `by_task` those of each task.
    `log_loss` is that of the probabilities as they are, where the score's is at a temperature.
    `error` is the calibration error, the mean over `bins`; `by_number` has rows of each task of
    numbers.
    """

    score: OofScore
    candidates: tuple[Candidate, ...]
    folds: dict[int, FoldScore]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    confusion: np.ndarray
    by_task: dict[str, np.ndarray]
    log_loss: float
    error: float
    bins: list[CalibrationBin]
    by_number: dict[str, tuple[NumberRow, ...]]


def measure(oof: Oof) -> ReportNumbers:
    """All numbers of a report, of members' out-of-fold probabilities."""
    competition, photos, probs = oof.competition, oof.photos, oof.probs.mean(axis=0)
    score = select_blend(oof, "mean", "argmax").score
    truth, predicted = targets(photos, competition), decided(probs, competition)
    labels = range(competition.num_classes)
    precision, recall, _, _ = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    answers = zip(competition.tasks, competition.decode(truth), competition.decode(predicted))
    error, bins = calibration(probs, truth)
    return ReportNumbers(
        score,
        _candidates(oof),
        _fold_scores(photos, probs, score.folds, competition),
        tuple(precision.tolist()),
        tuple(recall.tolist()),
        confusion_matrix(truth, predicted, labels=labels),
        {
            task.name: confusion_matrix(true, guess, labels=range(len(task.classes)))
            for task, true, guess in answers
            if task in competition.parts
        },
        log_loss(truth, probs),
        error,
        bins,
        {
            task.name: by_number(photos, predicted, competition, task)
            for task in number_tasks(competition)
        },
    )


def _candidates(oof: Oof) -> tuple[Candidate, ...]:
    """The blends and decisions that the page compares, each once."""
    asked = (
        [("mean", "bias")]
        if len(oof.probs) == 1
        else [("greedy", "bias"), ("weights", "argmax"), ("gmean", "argmax"), ("vote", "argmax")]
    )
    if not decision_of(metric_of(oof.competition), oof.competition.several_labels):
        asked = [(blend, "argmax") for blend, _ in asked]
    rows: dict[str, Candidate] = {}
    for blend, decision in asked:
        if blend_refusal(blend, oof.competition):
            continue
        rows |= {row.name: row for row in select_blend(oof, blend, decision).score.candidates}
    return tuple(rows.values())


def _fold_scores(
    photos: pd.DataFrame, probs: np.ndarray, scores: Mapping[int, float], competition: Competition
) -> dict[int, FoldScore]:
    """The score of each fold, of probabilities (N, C)."""
    truth, group, metric = (
        targets(photos, competition),
        photos["group"].to_numpy(),
        metric_of(competition),
    )
    answers = probs if metric.of_probs else decided(probs, competition)
    fold, table = photos["fold"].to_numpy(), {}
    for k in np.unique(fold).tolist():
        rows = fold == k
        bootstrap = GroupBootstrap(group[rows], truth[rows], competition.num_classes, metric)
        interval = bootstrap.interval(bootstrap.draws(answers[rows]))
        table[k] = FoldScore(scores[k], interval, bootstrap.number, int(rows.sum()))
    return table


def worst_errors(
    photos: pd.DataFrame, probs: np.ndarray, competition: Competition, number: int = _ERRORS
) -> list[WorstError]:
    """The photos whose true class is the least probable, one of each group."""
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    of_truth, names = probs[np.arange(len(truth)), truth], competition.class_names
    errors: dict[str, WorstError] = {}
    for i in np.argsort(of_truth, kind="stable").tolist():
        photo = photos.iloc[i]
        if predicted[i] != truth[i] and photo["group"] not in errors:
            errors[photo["group"]] = WorstError(
                photo["image"],
                tuple(int(photo[column]) for column in competition.columns),
                int(photo["fold"]),
                names[truth[i]],
                float(of_truth[i]),
                names[predicted[i]],
                float(probs[i, predicted[i]]),
            )
        if len(errors) == number:
            break
    return list(errors.values())
