"""Probable label errors, by confident learning over out-of-fold probabilities.

A task of the group is one label of all of a group's photos, so that it is judged by their mean; a
task whose answer differs from photo to photo is wrong where two photos of a group have changed
places. What a label should be is asked against the thresholds of Northcutt, Jiang and Chuang,
Confident learning: estimating uncertainty in dataset labels (JAIR 70, 2021): the mean probability
that a class has among those labelled so, by which a class of which a network is seldom sure is
judged by its own measure. As in Kuan and Mueller, Model-agnostic label quality scoring to detect
real-world label errors (ICML 2022, DataPerf), the class counts that is the most above its
threshold, or the least below: the paper's confident joint, which counts those above theirs alone,
leaves out half of the errors where a network is as sure of them as of the rest. Suspects are
sorted by how much more probable the suggestion is than the label, times how far that stands out
among labels of its kind: where classes are ranges of a number, to be taken for the next class is
nothing strange beside the edge, and strange far from it.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.scoring.label_suspects import label_suspects, with_lines
from kit.scoring.suspect import LEAST, STEADY, Suspect
from kit.task import Task

# Among so many groups nearest in number, or more, a number stands out or does not.
_NEIGHBOURS: Final = 20


def corrects_photos(competition: Competition) -> bool:
    """True if corrections are of photos, by a definition's tables, and False if of groups."""
    return bool(competition.target or competition.target_pattern)


def confident_classes(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class (N,) whose threshold each row of probabilities (N, C) exceeds the most.

    A class's threshold is its mean probability over the rows that have it as their label, of
    `labels` (N,); a class without such a row is never chosen.
    """
    threshold = np.array(
        [
            probs[labels == c, c].mean() if (labels == c).any() else np.inf
            for c in range(probs.shape[1])
        ]
    )
    confident: np.ndarray = (probs - threshold).argmax(axis=1)
    return confident


def find_mislabelled(
    photos: pd.DataFrame, truth: np.ndarray, probs: np.ndarray, competition: Competition
) -> list[Suspect]:
    """The probable label errors of a plan's `photos` (N rows), the clearest first.

    `truth` are their classes (N,) or labels (N, C), and `probs` (N, C) their out-of-fold
    probabilities. A group has at most one suspect a field; a swap is one where two photos together
    fit each other's label better than their own. Where a definition's tables have the targets, each
    photo is judged alone, for corrections are of photos. What stands out by one standard deviation
    or less is left out.
    """
    if competition.several_labels:
        return label_suspects(photos["image"].tolist(), probs, truth, competition)
    suspects = list[Suspect]()
    of_photos = corrects_photos(competition)
    for task, given in zip(competition.tasks, competition.decode(truth)):
        of_task = competition.task_probs(probs, task)
        if of_photos:
            alone = photos.assign(group=photos["image"])
            found = _of_groups(alone, of_task, given, task)
            suspects += [with_lines(suspect, task, competition) for suspect in found]
        else:
            suspects += (_of_groups if task.of_group else _swaps)(photos, of_task, given, task)
    strange = [suspect for suspect in suspects if suspect.z_score > LEAST]
    return sorted(strange, key=lambda suspect: (-suspect.score, suspect.line))


def _of_groups(
    photos: pd.DataFrame, probs: np.ndarray, truth: np.ndarray, task: Task
) -> list[Suspect]:
    """Groups whose answer to a task is probably wrong, by the mean over their photos.

    `probs` (N, c) and `truth` (N,) are of the task's classes.
    """
    names, first, at = np.unique(
        photos["group"].to_numpy(str), return_index=True, return_inverse=True
    )
    mean = (
        np.stack([np.bincount(at, column) for column in probs.T], axis=1) / np.bincount(at)[:, None]
    )
    given = truth[first]
    numbers = photos[task.column].to_numpy()[first] if task.column and task.ordered else None
    suspects = []
    for i, (old, new) in enumerate(zip(given.tolist(), confident_classes(mean, given).tolist())):
        if new == old or mean[i, new] <= mean[i, old]:
            continue
        alike = given == old if numbers is None else _near(numbers, i)
        alike[i] = False
        margins = mean[:, new] - mean[:, old]
        suspects.append(
            Suspect(
                str(names[i]),
                task.name,
                task.classes[new] if numbers is None else str(_nearest_number(task, old, new)),
                task.classes[old] + (f" ({numbers[i]})" if numbers is not None else ""),
                task.classes[new],
                float(mean[i, old]),
                float(mean[i, new]),
                _z_score(margins[i], margins[alike]),
                _images(photos, at == i),
            )
        )
    return suspects


def _images(photos: pd.DataFrame, rows: np.ndarray) -> tuple[str, ...]:
    """A group's photos, those of the last classes first, so that the first few differ."""
    chosen = photos[rows]
    pairs = sorted(zip((-chosen["label"]).tolist(), chosen["image"].tolist()))
    return tuple(image for _, image in pairs)


def _near(numbers: np.ndarray, i: int) -> np.ndarray:
    """The numbers (G,) that are near number `i`, as bool (G,): it and its twenty nearest ones."""
    apart = np.abs(numbers - numbers[i])
    near: np.ndarray = apart <= np.sort(apart)[min(_NEIGHBOURS, len(numbers) - 1)]
    return near


def _nearest_number(task: Task, old: int, new: int) -> int:
    """The number nearest to class `old` that has the class `new`."""
    return task.edges[new - 1] if new > old else task.edges[new] - 1


def _swaps(photos: pd.DataFrame, probs: np.ndarray, given: np.ndarray, task: Task) -> list[Suspect]:
    """The pairs of a group's photos that have probably changed places."""
    doubtful = confident_classes(probs, given) != given
    images = photos["image"].to_numpy(str)
    # Each pair of a group's photos of two classes: what swapping them gains, for all groups by the
    # two classes.
    gains: dict[tuple[int, int], list[float]] = {}
    best: dict[str, tuple[float, int, int]] = {}
    for name, rows in photos.groupby("group", sort=True).indices.items():
        # For each photo, the probabilities of every photo's label.
        fits = probs[rows][:, given[rows]]
        gain = (fits + fits.T - np.diag(fits)[:, None] - np.diag(fits)) / 2
        for i, j in zip(*np.nonzero(given[rows][:, None] < given[rows])):
            a, b, value = int(rows[i]), int(rows[j]), float(gain[i, j])
            gains.setdefault((int(given[a]), int(given[b])), []).append(value)
            if (doubtful[a] or doubtful[b]) and value > max(0.0, best.get(str(name), (0.0,))[0]):
                best[str(name)] = value, a, b
    suspects = []
    for group, (value, a, b) in best.items():
        before = float(probs[a, given[a]] + probs[b, given[b]]) / 2
        was, now = (
            f"{_stem(images[a])} as {task.classes[given[x]]}, "
            f"{_stem(images[b])} as {task.classes[given[y]]}"
            for x, y in ((a, b), (b, a))
        )
        suspects.append(
            Suspect(
                group,
                "swap",
                f"{_stem(images[a])}:{_stem(images[b])}",
                was,
                now,
                before,
                before + value,
                _z_score(value, gains[int(given[a]), int(given[b])]),
                (str(images[a]), str(images[b])),
            )
        )
    return suspects


def _z_score(margin: float, alike: Sequence[float] | np.ndarray) -> float:
    return float((margin - np.mean(alike)) / max(np.std(alike), STEADY)) if len(alike) else 0.0


def _stem(image: str) -> str:
    return PurePosixPath(image).stem
