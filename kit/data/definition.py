"""A definition completed by its data: kind, classes, the form of an answer, the size of photos."""

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.answer_form import class_columns, read_test_table, with_answer
from kit.data.labels import with_tasks
from kit.data.photos import DamagedPhotos
from kit.data.reading import photo_size
from kit.data.train_rows import read_rows
from kit.data.training import read_training
from kit.system.errors import KitError, did_you_mean, problem

_SIZED: Final = 200  # photos whose sizes are looked at
_NEEDED: Final = ("kind", "tasks", "id", "answer", "answer_column", "metric")


def complete(competition: Competition, root: Path) -> Competition:
    """A competition with what its definition leaves to the data in the folder `root`.

    One that is complete, such as a recorded one, is returned as it is. The frame is the most
    frequent size of photos. Raises `KitError` where the data are not what the definition says.
    """
    if all(getattr(competition, n) for n in _NEEDED) and competition.frame != (0, 0):
        return competition
    table = read_test_table(competition, root)
    if competition.rows is None:
        header = class_columns(competition, table)
        mirror, competition = competition.mirror, dataclasses.replace(competition, mirror=None)
        rows = read_rows(competition, root)
        _check_ids(competition, rows.table, table)
        competition = with_tasks(competition, rows, header)
        _check_mirror(competition, mirror)
        competition = dataclasses.replace(competition, mirror=mirror)
    elif not competition.kind:
        competition = dataclasses.replace(competition, kind=_kind_of_rows(competition))
    competition = with_answer(competition, table)
    if competition.frame == (0, 0):
        competition = dataclasses.replace(competition, frame=_frame(competition, root))
    return competition


def _kind_of_rows(competition: Competition) -> str:
    """The kind of a competition whose function `rows` gives the labels, by its tasks."""
    if not competition.tasks:
        what = "has a function `rows`, and neither classes nor tasks"
        raise problem(f"competition {competition.name}", what, remedy="set classes=(...)")
    if len(competition.tasks) > 1:
        return "tasks"
    return "order" if competition.tasks[0].ordered else "classes"


def _check_ids(competition: Competition, train: pd.DataFrame, test: pd.DataFrame | None) -> None:
    """Raise `KitError` if ids are in the tables of training photos and of photos to predict.

    Whole numbers may be: some competitions number the photos of each from 1.
    """
    if test is None or (ident := competition.id or str(test.columns[0])) not in train:
        return
    both = sorted(set(train[ident]) & set(test[ident]))
    named = [name for name in both if not re.fullmatch("[0-9]+", name)]
    if named:
        what = f"has ids of {competition.train}, in column '{ident}'"
        raise problem(competition.test, what, named, "take both tables as they were given")


def _check_mirror(competition: Competition, mirror: dict[str, str] | None) -> None:
    """Raise `KitError` for a mirror of classes that the competition does not have."""
    names = competition.class_names
    given = [name for pair in (mirror or {}).items() for name in pair]
    unknown = [f"{name}{did_you_mean(name, names)}" for name in given if name not in names]
    if unknown:
        what = "mirror names classes that are not there"
        remedy = f"its classes are {','.join(names)[:200]}"
        raise problem(f"competition {competition.name}", what, unknown, remedy)


def _frame(competition: Competition, root: Path) -> tuple[int, int]:
    """The most frequent size (height, width) of training photos, of some that are looked at.

    Damaged ones are left out, for `kit.folds` tells of all of them. Raises `KitError` if none of
    those can be read.
    """
    images = read_training(competition, root).table["image"].tolist()
    chosen = np.unique(np.linspace(0, len(images) - 1, _SIZED).astype(int)).tolist()
    folder = root / competition.train_images
    sizes, bad = Counter[tuple[int, int]](), list[KitError]()
    for i in chosen:
        try:
            sizes[photo_size(folder, images[i], competition.read)] += 1
        except KitError as error:
            bad.append(error)
    if not sizes:
        raise DamagedPhotos(folder, bad)
    return sizes.most_common(1)[0][0]
