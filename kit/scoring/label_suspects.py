"""Probable errors among several labels a photo, and the lines that correct a photo."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kit.competition import Competition
from kit.scoring.suspect import LEAST, STEADY, Suspect
from kit.task import Task


def label_suspects(
    images: Sequence[str], probs: np.ndarray, truth: np.ndarray, competition: Competition
) -> list[Suspect]:
    """The photos (N,) with labels that are probably wrong, of (N, C), the clearest first.

    Each label is two classes, there or not, and is judged as a class is: see `mislabel`. A photo is
    one suspect, called by its clearest label, and its lines change all of them.
    """
    given = truth > 0
    chance = np.where(given, probs, 1 - probs)  # of what the label says
    margins = 1 - 2 * chance
    wrong, z_scores = np.zeros(given.shape, bool), np.zeros(given.shape)
    for c in range(given.shape[1]):
        sides = [given[:, c], ~given[:, c]]
        usual = [float(chance[side, c].mean()) if side.any() else np.inf for side in sides]
        for side, own, other in zip(sides, usual, usual[::-1]):
            if not side.any():
                continue
            of, kind = chance[side, c], margins[side, c]
            wrong[side, c] = (kind > 0) & (1 - of - other > of - own)
            z_scores[side, c] = (kind - kind.mean()) / max(float(kind.std()), STEADY)
    wrong &= z_scores > LEAST
    suspects = []
    for i in np.flatnonzero(wrong.any(axis=1)).tolist():
        labels = np.flatnonzero(wrong[i])
        clearest = int(labels[np.argmax(margins[i, labels] * z_scores[i, labels])])
        table = np.stack([given[i], chance[i], z_scores[i]])
        suspects.append(_suspect(images[i], table, labels, clearest, competition))
    return sorted(suspects, key=lambda suspect: (-suspect.score, suspect.line))


def with_lines(suspect: Suspect, task: Task, competition: Competition) -> Suspect:
    """A suspect photo with the lines that give it another class, in the definition's columns."""
    target = competition.target
    if isinstance(target, tuple) and len(competition.tasks) == 1:
        old, new = suspect.given, suspect.suggested
        lines = (f"{suspect.path},{old},0", f"{suspect.path},{new},1")
        return dataclasses.replace(suspect, lines=lines)
    if isinstance(target, str) and target:
        return dataclasses.replace(suspect, field=target)
    return suspect


def _changed(given: np.ndarray, labels: np.ndarray, competition: Competition) -> str:
    """The names of a photo's labels, bool (C,), with some of them changed."""
    after = given.copy()
    after[labels] = ~after[labels]
    return competition.names_of(np.flatnonzero(after))


def _suspect(
    image: str, table: np.ndarray, labels: np.ndarray, clearest: int, competition: Competition
) -> Suspect:
    """A photo's suspect; `table` (3, C): what is given, its probability, how it stands out."""
    given, (chance, z_score) = table[0] > 0, table[1:, clearest]
    names, target = competition.class_names, competition.target
    words = (f"{names[clearest]}", f"no {names[clearest]}")
    old, new = words if given[clearest] else words[::-1]
    field = target if isinstance(target, str) and target else competition.tasks[0].name
    value, lines = _changed(given, labels, competition), tuple[str, ...]()
    if isinstance(target, tuple):
        lines = tuple(f"{image},{names[c]},{int(not given[c])}" for c in labels)
    return Suspect(
        image,
        field,
        value,
        old,
        new,
        float(chance),
        float(1 - chance),
        float(z_score),
        (image,),
        lines,
    )
