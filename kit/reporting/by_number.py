"""Predictions by the number that a task's classes are ranges of: errors around the edges."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.competition import Competition, Task

_WITHIN: Final = 2  # numbers on each side of an edge that are near it


def number_tasks(competition: Competition) -> list[Task]:
    """The tasks whose classes are ranges of a column of numbers."""
    return [task for task in competition.tasks if task.column and task.ordered]


def by_number(
    photos: pd.DataFrame, predicted: np.ndarray, competition: Competition, task: Task
) -> list[dict[str, Any]]:
    """The predictions (N,) at each number of a task, in rising order of the number.

    A row has the `number`, its `groups` and `photos`, the shares `predicted` as each of the task's
    classes, and the share that is `right`.
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
    """The share of a task's errors that lie near its edges, by the rows of `by_number`.

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
