"""The 18 classes: `class = mask * 6 + gender * 3 + age`."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pandas as pd

TASKS: Final = ("mask", "gender", "age")


MASKS: Final = ("mask", "wrong", "none")


GENDERS: Final = ("male", "female")


AGES: Final = ("<30", "30-59", ">=60")


NUM_CLASSES: Final = len(MASKS) * len(GENDERS) * len(AGES)


TASK_NAMES: Final = dict(zip(TASKS, (MASKS, GENDERS, AGES)))


AGE_BOUNDARIES: Final = (30, 60)  # the first years of the second and the third age class


CLASS_NAMES: Final = tuple(
    f"{mask} {gender} {age}" for mask in MASKS for gender in GENDERS for age in AGES
)


# The seven photos of a person, by file stem, with the mask status each one shows.
SHOTS: Final = {f"mask{i}": 0 for i in range(1, 6)} | {"incorrect_mask": 1, "normal": 2}


Ints = TypeVar("Ints", int, np.ndarray)


def encode(mask: Ints, gender: Ints, age: Ints) -> Ints:
    """The class of a mask status (0..2), a gender (0..1) and an age class (0..2); ints or arrays of
    one shape.
    """
    return mask * 6 + gender * 3 + age


def decode(label: Ints) -> tuple[Ints, Ints, Ints]:
    """The mask status, gender and age class of a class (0..17); the inverse of `encode`."""
    return label // 6, label // 3 % 2, label % 3


def age_class(years: np.ndarray) -> np.ndarray:
    """The age class of ages in whole years: 0 under 30, 1 from 30 to 59, 2 from 60."""
    first, second = AGE_BOUNDARIES
    return (years >= first).astype(np.int64) + (years >= second).astype(np.int64)


def task_probs(probs: np.ndarray, task: str) -> np.ndarray:
    """The probabilities of a task's classes, (N, 3) or (N, 2), from those of the 18, (N, 18)."""
    part = dict(zip(TASKS, decode(np.arange(NUM_CLASSES))))[task]
    return np.stack(
        [probs[:, part == c].sum(axis=1, dtype=np.float64) for c in range(len(TASK_NAMES[task]))],
        axis=1,
    )


@dataclass(frozen=True)
class Correction:
    """One label fix: a person's `gender` or `age`, or the `swap` of two of the seven shots (`value`
    is `a:b`).
    """

    path: str
    field: str
    value: str


def label_photos(photos: pd.DataFrame) -> np.ndarray:
    """The labels of photos given by `mask` (0..2), `gender` (text) and `age` (years):
    int64 (N,).
    """
    gender = (photos["gender"] == GENDERS[1]).to_numpy(dtype=np.int64)
    return encode(photos["mask"].to_numpy(), gender, age_class(photos["age"].to_numpy()))
