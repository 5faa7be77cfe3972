"""All numbers of a report."""

from collections.abc import Callable, Mapping
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
from kit.metrics.metric import find_metric, metric_of
from kit.metrics.sums import log_loss
from kit.reporting.by_number import NumberRow, by_number, number_tasks
from kit.scoring.bootstrap import GroupBootstrap, Interval
from kit.scoring.metrics import CalibrationBin, calibration, decided, task_answers

_CONFUSED: Final = 60  # classes, of more of which no confusion is shown
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
    `confusion` has the counts (C, C) by true and predicted class, None of several labels and of
    very many classes, and `by_task` those of each task. `log_loss` is that of the probabilities as
    they are, where the score's is at a temperature. `error` is the calibration error, the mean over
    `bins`; `by_number` has rows of each task of numbers.
    """

    score: OofScore
    candidates: tuple[Candidate, ...]
    folds: dict[int, FoldScore]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    confusion: np.ndarray | None
    by_task: dict[str, np.ndarray]
    log_loss: float
    error: float
    bins: list[CalibrationBin]
    by_number: dict[str, tuple[NumberRow, ...]]


def measure(oof: Oof) -> ReportNumbers:
    """All numbers of a report, of members' out-of-fold probabilities."""
    competition, photos, probs = oof.competition, oof.photos, oof.probs.mean(axis=0)
    selected = select_blend(oof, "mean", "argmax")
    score, scored = selected.score, selected.probs
    truth, predicted = targets(photos, competition), decided(scored, competition)
    labels = range(competition.num_classes)
    precision, recall, _, _ = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    shown = not competition.several_labels and competition.num_classes <= _CONFUSED
    confusion = confusion_matrix(truth, predicted, labels=labels) if shown else None
    error, bins = calibration(probs, truth)
    return ReportNumbers(
        score,
        _candidates(oof),
        _fold_scores(photos, scored, score.folds, competition),
        tuple(precision.tolist()),
        tuple(recall.tolist()),
        confusion,
        {
            task.name: confusion_matrix(true, guess, labels=range(len(task.classes)))
            for task, true, guess in task_answers(
                find_metric("accuracy"), competition, truth, predicted, None
            )
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
    """The score of each fold, of the probabilities (N, C) that `scores` are of."""
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
    """The photos with the worst answers, one of each group: of the least probable true class.

    Of several labels it is the label whose truth is the least probable.
    """
    truth, predicted = targets(photos, competition), decided(probs, competition)
    wrong, (true, said), (of_true, of_said) = _judged(truth, predicted, probs, competition)
    errors: dict[str, WorstError] = {}
    for i in np.argsort(of_true, kind="stable").tolist():
        photo = photos.iloc[i]
        if wrong[i] and photo["group"] not in errors:
            errors[photo["group"]] = WorstError(
                photo["image"],
                tuple(int(photo[column]) for column in competition.columns),
                int(photo["fold"]),
                true(i),
                float(of_true[i]),
                said(i),
                float(of_said[i]),
            )
        if len(errors) == number:
            break
    return list(errors.values())


_Named = Callable[[int], str]


def _judged(
    truth: np.ndarray, predicted: np.ndarray, probs: np.ndarray, competition: Competition
) -> tuple[np.ndarray, tuple[_Named, _Named], tuple[np.ndarray, np.ndarray]]:
    """Which photos (N,) are wrong, what is true and predicted in words, and their probabilities."""
    names, rows = competition.class_names, np.arange(len(truth))
    if not competition.several_labels:
        words = (lambda i: names[truth[i]], lambda i: names[predicted[i]])
        return predicted != truth, words, (probs[rows, truth], probs[rows, predicted])
    chance = np.where(truth > 0, probs, 1 - probs)
    worst = chance.argmin(axis=1)

    def called(i: int, there: bool) -> str:
        return names[worst[i]] if there else f"no {names[worst[i]]}"

    true = truth[rows, worst] > 0
    of_true = chance[rows, worst]
    words = (lambda i: called(i, true[i]), lambda i: called(i, not true[i]))
    return (predicted != truth).any(axis=1), words, (of_true, 1 - of_true)
