"""A definition completed by its data: classes, sizes of photos, the form of an answer; its rows.

Photos are found by templates over the columns of the two tables, such as `imgs/{classname}/{img}`.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import ONE_TASK, Competition
from kit.data.photos import size_of
from kit.system.errors import did_you_mean, problem
from kit.system.table import read_csv, read_header
from kit.task import Task, TrainingPhotos

CORRECTION_COLUMNS: Final = ("path", "field", "value")
_SIZED: Final = 200  # photos whose sizes are looked at
_FIELD: Final = re.compile(r"{([^{}]*)}")


def complete(competition: Competition, root: Path) -> Competition:
    """A competition with what its definition leaves to the data in the folder `root`.

    One that is complete, such as a recorded one, is returned as it is.
    """
    needed = ("tasks", "id", "answer", "answer_column")
    if all(getattr(competition, name) for name in needed) and competition.frame != (0, 0):
        return competition
    if competition.rows is None and not competition.target:
        raise problem(
            f"competition {competition.name}",
            "names no column of classes",
            remedy=f"set target to a column of {competition.train}",
        )
    competition = _with_tasks(competition, root)
    competition = _with_answer(competition, root)
    if competition.frame == (0, 0):
        images = _train_images(competition, root)
        chosen = np.unique(np.linspace(0, len(images) - 1, _SIZED).astype(int)).tolist()
        sizes = Counter(size_of(root / competition.train_images / images[i]) for i in chosen)
        width, height = sizes.most_common(1)[0][0]
        competition = dataclasses.replace(competition, frame=(height, width))
    return competition


def read_training(
    competition: Competition, root: Path, corrections: Path | None = None
) -> TrainingPhotos:
    """The training photos by a definition's tables and templates, after the lines of a file."""
    path, table = root / competition.train, _train_table(competition, root)
    images, names = _train_images(competition, root), competition.class_names
    groups = table[competition.group] if _is_grouped(competition) else pd.Series(images)
    rows = pd.DataFrame({"image": images, "group": groups.to_numpy()})
    rows["label"] = _labels(path, table[competition.target], images, names)
    unsafe = [image for image in images if not is_below(image)]
    if unsafe:
        raise problem(path, "names photos outside of the data folder", unsafe, "mend these rows")
    lost = [i for i in images if not (root / competition.train_images / i).is_file()]
    if lost:
        where = f"below {root / competition.train_images}"
        raise problem(path, f"rows without a photo {where}", lost, "mend image, or unpack again")
    twice = pd.Series(images)
    if twice.duplicated().any():
        bad = twice[twice.duplicated()].tolist()
        raise problem(path, "names photos twice", bad, "keep one row of each")
    applied = _correct(competition, rows, corrections) if corrections else []
    return TrainingPhotos(rows, [], applied)


def test_images(competition: Competition, table: pd.DataFrame) -> list[str]:
    """The photos of a test table's rows, as paths below their folder."""
    template = competition.test_image or f"{{{competition.id}}}"
    return _filled("test_image", template, competition.test, table)


def _train_table(competition: Competition, root: Path) -> pd.DataFrame:
    """The table of training photos, with the columns that the definition names."""
    path = root / competition.train
    table = read_csv(path)
    targets = (competition.target,) if isinstance(competition.target, str) else competition.target
    for name in (*targets, competition.group if _is_grouped(competition) else ""):
        if name and name not in table:
            near = did_you_mean(name, [str(column) for column in table])
            has = f"it has {','.join(map(str, table.columns))[:80]}"
            raise problem(path, f"has no column '{name}'{near}", remedy=has)
    return table


def _is_grouped(competition: Competition) -> bool:
    return competition.group != "photo"


def _train_images(competition: Competition, root: Path) -> list[str]:
    """The photos of the training table's rows, as paths below their folder."""
    table = _train_table(competition, root)
    template = competition.image or f"{{{table.columns[0]}}}"
    return _filled("image", template, competition.train, table)


def _filled(
    field: str, templates: str | tuple[str, ...], place: str, table: pd.DataFrame
) -> list[str]:
    """A template filled with each row of a table; raises `KitError` for a column it lacks."""
    template = templates if isinstance(templates, str) else templates[0]
    names = [str(name) for name in table]
    unknown = [name for name in _FIELD.findall(template) if name not in names]
    if unknown:
        near = did_you_mean(unknown[0], names)
        what = f"{template} names no column of {place}"
        raise problem(f"{field}", what, [f"{{{unknown[0]}}}{near}"], f"it has {','.join(names)}")
    parts = _FIELD.split(template)  # texts and columns, in turns
    filled = pd.Series("", index=table.index)
    for n, part in enumerate(parts):
        filled = filled + (table[part] if n % 2 else part)
    return [str(image) for image in filled]


def is_below(image: str) -> bool:
    """True for a path that stays below its folder."""
    path = PurePosixPath(image)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in image


def _with_tasks(competition: Competition, root: Path) -> Competition:
    """A competition with its one task, if it has none: the classes of the target, in order.

    They are ordered as the columns of the test table, if that has one for each, else as numbers,
    else as texts. The task is of groups if every group has one class.
    """
    if competition.rows is not None or (competition.tasks and not competition.classes):
        return competition
    table, names = _train_table(competition, root), competition.class_names
    target = table[competition.target]
    if not competition.tasks:
        found = sorted(set(target))
        header = read_header(root / competition.test)
        if set(header) >= set(found):
            found = [name for name in header if name in set(found)]
        elif all(re.fullmatch("[0-9]{1,9}", name) for name in found):
            found = sorted(found, key=int)
        names = tuple(found)
    if len(names) < 2:
        path = root / competition.train
        raise problem(path, f"column '{competition.target}' has one class alone", names)
    of_group = True
    if _is_grouped(competition):
        of_group = bool((target.groupby(table[competition.group]).nunique() == 1).all())
    task = Task(ONE_TASK, names, of_group=of_group)
    return dataclasses.replace(competition, tasks=(task,), classes=())


def _with_answer(competition: Competition, root: Path) -> Competition:
    """A competition with the columns of its answers, and their form, as the test table has them."""
    path, names = root / competition.test, competition.class_names
    header = [name.strip() for name in read_header(path)]
    ident = competition.id or (header[0] if header else "")
    others = [name for name in header if name != ident]
    column = competition.answer_column or (
        others[0] if others else str(competition.target) or "label"
    )
    answer = competition.answer
    if not answer and set(others) >= set(names):
        answer, column = (
            "probabilities",
            competition.answer_column or str(competition.target) or "class",
        )
    if not answer and column in header:
        values = set(read_csv(path, [column])[column])
        fractions = any(re.fullmatch(r"[0-9]*\.[0-9]+", value) for value in values)
        if len(names) == 2 and fractions:
            answer = "probability"
        elif all(value.isdigit() for value in values) and not any(map(str.isdigit, names)):
            answer = "class"
    if not answer:
        numbered = names == tuple(str(c) for c in range(len(names)))
        own = competition.rows is not None or len(competition.tasks) > 1
        answer = "class" if numbered or own else "name"
    return dataclasses.replace(competition, id=ident, answer=answer, answer_column=column)


def _labels(
    path: Path, target: pd.Series, images: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """The classes (N,) int64 of a column of class names."""
    number = {name: c for c, name in enumerate(names)}
    unknown = [f"'{name}' at {image}" for name, image in zip(target, images) if name not in number]
    if unknown:
        raise problem(path, "has classes that the definition lacks", unknown, "mend its classes")
    return target.map(number).to_numpy(dtype=np.int64)


def _correct(
    competition: Competition, rows: pd.DataFrame, corrections: Path
) -> list[dict[str, str]]:
    """Apply the lines `path,field,value` of a file to rows; what each one changed.

    The path is a photo or a group, the field is the task's name, and the value a class.
    """
    names, (task,), applied = competition.class_names, competition.tasks, list[dict[str, str]]()
    table = read_csv(corrections, CORRECTION_COLUMNS)
    for path, field, value in table.itertuples(index=False):
        line, of_line = f"{path},{field},{value}", (rows["image"] == path) | (rows["group"] == path)
        if field != task.name or value not in names:
            remedy = f"write path,{task.name},CLASS, a class such as {names[0]}"
            raise problem(corrections, "holds lines that are no correction", [line], remedy)
        if not of_line.any():
            what = f"corrects photos that {competition.train} does not have"
            raise problem(corrections, what, [path], f"name a photo or a {competition.group}")
        old = names[int(rows.loc[of_line, "label"].iloc[0])]
        rows.loc[of_line, "label"] = names.index(value)
        applied.append({"path": path, "field": field, "old": old, "new": value})
    return applied
