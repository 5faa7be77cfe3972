"""The labels of a plan's photos as arrays: one class a photo, or any number of labels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.system.errors import problem


def targets(photos: pd.DataFrame, competition: Competition) -> np.ndarray:
    """The classes int64 (N,) of a plan's photos; of several labels uint8 (N, C) of 0 and 1."""
    if not competition.several_labels:
        return photos["label"].to_numpy(dtype=np.int64, copy=True)
    return several(photos["label"], competition.num_classes)


def several(texts: Iterable[str], classes: int) -> np.ndarray:
    """Texts of labels' numbers, such as `0 13 51`, as uint8 (N, C) of 0 and 1."""
    rows, labels, number = _pairs(texts)
    table = np.zeros((number, classes), np.uint8)
    table[rows, labels] = 1
    return table


def as_texts(table: np.ndarray) -> list[str]:
    """The inverse of `several`: the labels' numbers of each row of (N, C), joined by spaces."""
    return [" ".join(map(str, np.flatnonzero(row))) for row in table]


def labelled(photos: pd.DataFrame, competition: Competition) -> tuple[np.ndarray, np.ndarray]:
    """Each label of each photo: the rows of photos, and the labels, int64 of equal lengths.

    Of one class a photo they are each row once, and its class.
    """
    if not competition.several_labels:
        return np.arange(len(photos)), photos["label"].to_numpy(dtype=np.int64)
    return _pairs(photos["label"])[:2]


def check_label_texts(place: str | Path, photos: pd.DataFrame, classes: int) -> None:
    """Raise `KitError` unless each label is a text of different numbers 0..C-1 that rise."""
    known = [str(c) for c in range(classes)]
    number = {text: c for c, text in enumerate(known)}

    def good(text: object) -> bool:
        if not isinstance(text, str):
            return False
        numbers = [number.get(part, -1) for part in text.split(" ")] if text else []
        return -1 not in numbers and numbers == sorted(set(numbers))

    bad = [f"'{t}' at {i}" for t, i in zip(photos["label"], photos["image"]) if not good(t)]
    if bad or not len(photos):
        what = (
            f"column 'label' must hold rising numbers 0..{classes - 1}, such as '0 2', or nothing"
        )
        raise problem(place, what, bad, "mend these rows")


def _pairs(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """The row and the label of each number in texts, and how many texts there are."""
    lists = [text.split() for text in texts]
    rows = np.repeat(np.arange(len(lists)), [len(numbers) for numbers in lists])
    labels = np.array([int(n) for numbers in lists for n in numbers], dtype=np.int64)
    return rows, labels, len(lists)
