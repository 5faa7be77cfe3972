"""All that a report says in numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from kit.blending.select import select_blend
from kit.competition import Competition, Task
from kit.inference.oof import Oof
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import calibration, log_loss

ERRORS: Final = 24  # photos in the gallery of the worst errors
_WITHIN: Final = 2  # so near a number lies to an edge: at most one below, or less than that above


def number_tasks(competition: Competition) -> list[Task]:
    """The tasks whose classes are ranges of a column of numbers."""
    return [task for task in competition.tasks if task.column]


def by_number(
    photos: pd.DataFrame, predicted: np.ndarray, competition: Competition, task: Task
) -> list[dict[str, Any]]:
    """What is predicted (N,) at each number of a task, in rising order.

    A row has the `number`, its `groups` and `photos`, the shares `predicted` as each of the task's
    classes, and what share is `right`.
    """
    numbers = photos[task.column].to_numpy()
    answers = competition.decode(predicted)[competition.tasks.index(task)]
    rows = []
    for number in np.unique(numbers).tolist():
        chosen = numbers == number
        counts = np.bincount(answers[chosen], minlength=len(task.classes))
        shares = counts / chosen.sum()
        rows.append(
            {
                "number": number,
                "groups": int(photos["group"][chosen].nunique()),
                "photos": int(chosen.sum()),
                "predicted": shares.tolist(),
                "right": float(shares[int(task.class_of(np.array(number)))]),
            }
        )
    return rows


def near_edges(rows: Sequence[Mapping[str, Any]], task: Task) -> dict[str, float]:
    """How errors of a task lie around its edges, by the rows of `by_number`.

    `errors` and `photos` are the shares of them at numbers within 2 of an edge; `wrong` is the
    number of photos with a wrong answer.
    """
    near = [any(e - _WITHIN <= row["number"] < e + _WITHIN for e in task.edges) for row in rows]
    photos = np.array([row["photos"] for row in rows], dtype=np.float64)
    wrong = photos * (1 - np.array([row["right"] for row in rows]))
    return {
        "errors": float(wrong[near].sum() / max(wrong.sum(), 1e-9)),
        "photos": float(photos[near].sum() / photos.sum()),
        "wrong": round(float(wrong.sum())),
    }


def say_edges(task: Task) -> str:
    """The numbers around a task's edges in words: `28 to 31 or 58 to 61`."""
    return " or ".join(f"{edge - _WITHIN} to {edge + _WITHIN - 1}" for edge in task.edges)


def measure(oof: Oof, competition: Competition) -> dict[str, Any]:
    """All that a report says in numbers, of members' out-of-fold probabilities, as plain values.

    Those of the mean of the members and the plain argmax: `f1`, `accuracy`, `interval`, `folds`,
    `classes`, `tasks` and the rest of `select_blend`'s record, with the blends that it compares;
    `of_folds` adds intervals. `confusion` has the counts of the C `classes` and of each task, true
    ones down; `precision` and `recall` are (C,); `ece` and `bins` are those of
    `metrics.calibration`, `by_number` has the rows of each task of numbers.
    """
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
    photos: pd.DataFrame, probs: np.ndarray, competition: Competition, number: int = ERRORS
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
