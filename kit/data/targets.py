"""The labels of a plan's photos as arrays: one class a photo, or any number of labels."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from kit.competition import Competition


def targets(photos: pd.DataFrame, competition: Competition) -> np.ndarray:
    """The classes int64 (N,) of a plan's photos, or their labels, uint8 (N, C) of 0 and 1."""
    if not competition.several_labels:
        return photos["label"].to_numpy(dtype=np.int64, copy=True)
    return several(photos["label"], competition.num_classes)


def several(texts: Iterable[str], classes: int) -> np.ndarray:
    """Texts of labels' numbers, such as `0 13 51`, as uint8 (N, C) of 0 and 1."""
    lists = [[int(number) for number in text.split()] for text in texts]
    table = np.zeros((len(lists), classes), np.uint8)
    rows = np.repeat(np.arange(len(lists)), [len(numbers) for numbers in lists])
    table[rows, [number for numbers in lists for number in numbers]] = 1
    return table


def as_texts(table: np.ndarray) -> list[str]:
    """The inverse of `several`: the labels' numbers of each row of (N, C), joined by spaces."""
    return [" ".join(map(str, np.flatnonzero(row))) for row in table]
