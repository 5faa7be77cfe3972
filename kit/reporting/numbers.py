"""All numbers of a report."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from kit.blending.select import select_blend
from kit.competition import Competition
from kit.inference.oof import Oof
from kit.reporting.by_number import by_number, number_tasks
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import calibration, log_loss

_ERRORS: Final = 24  # photos in the gallery of the worst errors


def measure(oof: Oof) -> dict[str, Any]:
    """All numbers of a report, of members' out-of-fold probabilities, as plain values.

    Those of the mean of the members and the plain argmax: `f1`, `accuracy`, `interval`, `folds`,
    `classes`, `tasks` and the rest of `select_blend`'s record, with the blends that it compares;
    `of_folds` adds intervals. `confusion` has the counts of the C `classes` and of each task, true
    ones down; `precision` and `recall` are (C,); `ece` and `bins` are those of
    `metrics.calibration`, `by_number` has the rows of each task of numbers.
    """
    competition = oof.competition
    numbers = dict(select_blend(oof, "mean", "argmax").record)
    numbers["candidates"] = _candidates(oof)
    photos, probs = oof.photos, oof.probs.mean(axis=0)
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    numbers["of_folds"] = _of_folds(photos, predicted, numbers["folds"], competition)
    labels = range(competition.classes)
    precision, recall, _, _ = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    numbers |= {"precision": precision.tolist(), "recall": recall.tolist()}
    numbers["confusion"] = {"classes": confusion_matrix(truth, predicted, labels=labels).tolist()}
    answers = zip(competition.tasks, competition.decode(truth), competition.decode(predicted))
    numbers["confusion"] |= {
        task.name: confusion_matrix(true, guess, labels=range(len(task.classes))).tolist()
        for task, true, guess in answers
        if task in competition.parts
    }
    # As it is, where the record's is that of a fitted temperature.
    numbers["log_loss"] = log_loss(probs, truth)
    numbers["ece"], numbers["bins"] = calibration(probs, truth)
    numbers["by_number"] = {
        task.name: by_number(photos, predicted, competition, task)
        for task in number_tasks(competition)
    }
    return numbers


def _candidates(oof: Oof) -> list[dict[str, Any]]:
    """The blends and decisions that the page compares, each once."""
    asked = (
        [("mean", "bias")]
        if len(oof.probs) == 1
        else [("greedy", "bias"), ("weights", "argmax"), ("gmean", "argmax"), ("vote", "argmax")]
    )
    rows: dict[str, dict[str, Any]] = {}
    for blend, decision in asked:
        candidates = select_blend(oof, blend, decision).record["candidates"]
        rows |= {row["name"]: row for row in candidates}
    return list(rows.values())


def _of_folds(
    photos: pd.DataFrame,
    predicted: np.ndarray,
    scores: Mapping[int, float],
    competition: Competition,
) -> dict[int, dict[str, Any]]:
    """Macro-F1 of each fold with its interval, and how many groups and photos it has."""
    truth, group = photos["label"].to_numpy(), photos["group"].to_numpy()
    fold, table = photos["fold"].to_numpy(), {}
    for k in np.unique(fold).tolist():
        rows = fold == k
        bootstrap = GroupBootstrap(group[rows], truth[rows], competition.classes)
        table[k] = {
            "f1": scores[k],
            "groups": bootstrap.number,
            "photos": int(rows.sum()),
            "interval": bootstrap.interval(bootstrap.macro(predicted[rows])),
        }
    return table


def worst_errors(
    photos: pd.DataFrame, probs: np.ndarray, competition: Competition, number: int = _ERRORS
) -> list[dict[str, Any]]:
    """The photos whose true class is the least probable, one of each group, as plain values."""
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    of_truth, names = probs[np.arange(len(truth)), truth], competition.class_names
    errors: dict[str, dict[str, Any]] = {}
    for i in np.argsort(of_truth, kind="stable").tolist():
        group = photos["group"].iloc[i]
        if predicted[i] != truth[i] and group not in errors:
            errors[group] = {
                "image": photos["image"].iloc[i],
                "numbers": [int(photos[column].iloc[i]) for column in competition.columns],
                "fold": int(photos["fold"].iloc[i]),
                "true": names[truth[i]],
                "true_prob": float(of_truth[i]),
                "predicted": names[predicted[i]],
                "prob": float(probs[i, predicted[i]]),
            }
        if len(errors) == number:
            break
    return list(errors.values())
