"""Predictions by the number that a task's classes are ranges of: errors around the edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.task import Task

_WITHIN: Final = 2  # numbers on each side of an edge that are near it


@dataclass(frozen=True)
class NumberRow:
    """The predictions of the photos with a number: shares `predicted` as each of a task's classes.

    `right` is the share that is right.
    """

    number: int
    groups: int
    photos: int
    predicted: tuple[float, ...]
    right: float


@dataclass(frozen=True)
class NearEdges:
    """The shares of a task's errors and photos at numbers within 2 of an edge.

    `wrong` is the number of photos with a wrong answer, wherever they lie.
    """

    errors: float
    photos: float
    wrong: int


def number_tasks(competition: Competition) -> list[Task]:
    """The tasks whose classes are ranges of a column of numbers."""
    return [task for task in competition.tasks if task.column and task.ordered]


def by_number(
    photos: pd.DataFrame, predicted: np.ndarray, competition: Competition, task: Task
) -> tuple[NumberRow, ...]:
    """The predictions (N,) at each number of a task, in rising order of the number."""
    numbers = photos[task.column].to_numpy()
    answers = competition.decode(predicted)[competition.tasks.index(task)]
    rows = []
    for number in np.unique(numbers).tolist():
        chosen = numbers == number
        counts = np.bincount(answers[chosen], minlength=len(task.classes))
        shares = counts / chosen.sum()
        groups, right = photos["group"][chosen].nunique(), shares[task.class_of(np.array(number))]
        predicted_as = tuple(shares.tolist())
        row = NumberRow(number, int(groups), int(chosen.sum()), predicted_as, float(right))
        rows.append(row)
    return tuple(rows)


def near_edges(rows: Sequence[NumberRow], task: Task) -> NearEdges:
    """The share of a task's errors that lie near its edges, by the rows of `by_number`."""
    near = [any(e - _WITHIN <= row.number < e + _WITHIN for e in task.edges) for row in rows]
    photos = np.array([row.photos for row in rows], dtype=np.float64)
    wrong = photos * (1 - np.array([row.right for row in rows]))
    return NearEdges(
        float(wrong[near].sum() / max(wrong.sum(), 1e-9)),
        float(photos[near].sum() / photos.sum()),
        round(float(wrong.sum())),
    )


def say_edges(task: Task) -> str:
    """The numbers around a task's edges in words: `28 to 31 or 58 to 61`."""
    return " or ".join(f"{edge - _WITHIN} to {edge + _WITHIN - 1}" for edge in task.edges)
