"""The truth in a training table: the kind of task, its classes, and each photo's label."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import ONE_TASK, Competition
from kit.data.targets import as_texts
from kit.data.train_rows import TrainRows, in_order
from kit.system.errors import did_you_mean, problem
from kit.system.table import whole_numbers
from kit.task import Task

_FLAGS: Final = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
_MOST: Final = 10**9 - 1  # of a number in a column


def with_tasks(competition: Competition, rows: TrainRows, header: Sequence[str]) -> Competition:
    """A competition with its kind, and with its tasks where it has none.

    `header` are the columns of the table of photos to predict. A task is `of_group` if each group
    has one class of it; those of several columns are balanced one by one, and so are not. Raises
    `KitError` where one of the definition's own classes has no photo.
    """
    kind = _kind(competition, rows)
    competition = dataclasses.replace(competition, kind=kind)
    tasks, given = competition.tasks, competition.classes
    if kind == "tasks":
        if not tasks:
            columns = rows.targets.items()
            tasks = tuple(Task(str(name), _classes(rows, c, ())) for name, c in columns)
        tasks = tuple(dataclasses.replace(task, of_group=False) for task in tasks)
        return dataclasses.replace(competition, tasks=tasks, classes=())
    if not tasks:
        names = _label_names(competition, rows, header)
        tasks = (Task(ONE_TASK, names, ordered=kind == "order"),)
    competition = dataclasses.replace(competition, tasks=tasks, classes=())
    label = labels_of(competition, rows)["label"]
    if given:
        _check_present(competition, rows, label)
    if kind != "labels":
        alone = bool((label.groupby(rows.groups.to_numpy()).nunique() == 1).all())
        tasks = (dataclasses.replace(tasks[0], of_group=tasks[0].of_group and alone),)
    return dataclasses.replace(competition, tasks=tasks)


def labels_of(competition: Competition, rows: TrainRows) -> pd.DataFrame:
    """The columns of numbers of the tasks, and `label`, of each photo (N rows).

    The label is a class, int64; of several labels a photo the text of their numbers. Raises
    `KitError` for a target that is none of the classes.
    """
    targets, numbers = rows.targets, dict[str, np.ndarray]()
    if competition.several_labels:
        flags = _label_flags(competition, rows)
        return pd.DataFrame({"label": as_texts(flags)}, dtype=object)
    if len(targets.columns) > 1 and competition.kind != "tasks":
        flags = _flags(rows)
        wrong = [image for image, n in zip(rows.images, flags.sum(axis=1)) if n != 1]
        if wrong:
            what = f"{len(targets.columns)} columns of classes, of which not one alone is 1"
            raise problem(rows.path, what, wrong, "mend these rows, or set kind='labels'")
        named = np.array(targets.columns.tolist(), dtype=object)[flags.argmax(axis=1)]
        targets = pd.DataFrame({ONE_TASK: named})
    answers = []
    table = targets.assign(image=rows.images)
    for task, name in zip(competition.tasks, targets.columns):
        if task.edges:
            numbers[task.column] = whole_numbers(rows.path, table, name, 0, _MOST, "image")
            answers.append(task.class_of(numbers[task.column]))
            continue
        if task.column:
            beside = rows.table.assign(image=rows.images)
            numbers[task.column] = whole_numbers(rows.path, beside, task.column, 0, _MOST, "image")
        answers.append(_numbers_of(rows, targets[name], task.classes))
    return pd.DataFrame({**numbers, "label": competition.encode(answers)})


def _kind(competition: Competition, rows: TrainRows) -> str:
    """The kind of task by the target's columns; raises `KitError` where they cannot be it."""
    targets, kind, tasks = rows.targets, competition.kind, competition.tasks
    several = len(targets.columns) > 1
    if not kind and several:
        flagged = not len(tasks) > 1 and bool(targets.isin(list(_FLAGS)).all(axis=None))
        exclusive = flagged and bool((_flags(rows).sum(axis=1) == 1).all())
        kind = "classes" if exclusive else "labels" if flagged else "tasks"
    elif not kind:
        known = set(competition.classes)
        lists = known or not tasks
        lists = lists and _are_lists(targets.iloc[:, 0], competition.separator, known)
        ordered = len(tasks) == 1 and tasks[0].ordered
        kind = "labels" if lists else "order" if ordered else "classes"
    number = len(tasks) or (len(targets.columns) if kind == "tasks" else 1)
    columns = len(targets.columns)
    if kind == "tasks" and (number != columns or not several):
        what = f"target has {columns} columns, and kind='tasks' needs one for each of its tasks"
        raise problem(f"competition {competition.name}", what, remedy="mend target or tasks")
    if kind != "tasks" and number > 1:
        what = f"kind={kind!r} has one task, and the definition has {number}"
        raise problem(f"competition {competition.name}", what, remedy="mend kind or tasks")
    return kind


def _are_lists(target: pd.Series, separator: str, known: set[str]) -> bool:
    """True if a column clearly holds lists of labels.

    Some values hold the separator, and all parts are whole numbers, or each part of a list is a
    label alone elsewhere. Where the classes are `known`, lists are what is made of them alone.
    """
    values = set(target)
    lists = _split(
        pd.Series([v for v in values - known if separator in v], dtype=object), separator
    )
    parts = {part for parts in lists for part in parts}
    if known:
        return bool(lists) and parts <= known
    every = {part for parts in _split(target, separator) for part in parts}
    numbered = all(re.fullmatch("[0-9]+", part) for part in every)
    return bool(lists) and (numbered or parts <= values)


def _flags(rows: TrainRows) -> np.ndarray:
    """Columns of 0 and 1 as uint8 (N, columns)."""
    for name, column in rows.targets.items():
        bad = [f"'{v}' at {i}" for v, i in zip(column, rows.images) if v not in _FLAGS]
        if bad:
            what = f"column '{name}' must hold 0 or 1, as one of several columns of classes"
            raise problem(rows.path, what, bad, "mend these rows, or set kind='tasks'")
    return np.stack([rows.targets[n].map(_FLAGS) for n in rows.targets], axis=1).astype(np.uint8)


def _label_flags(competition: Competition, rows: TrainRows) -> np.ndarray:
    """The labels of photos as uint8 (N, C) of 0 and 1, from columns or from lists."""
    names, targets = competition.class_names, rows.targets
    number = {name: c for c, name in enumerate(names)}
    table = np.zeros((len(targets), len(names)), np.uint8)
    if len(targets.columns) > 1:
        columns = list(map(str, targets.columns))
        _check_known(rows, [(name, "target") for name in columns], names)
        table[:, [number[name] for name in columns]] = _flags(rows)
        return table
    lists = _split(targets.iloc[:, 0], competition.separator)
    _check_known(rows, [(part, i) for parts, i in zip(lists, rows.images) for part in parts], names)
    for row, parts in enumerate(lists):
        table[row, [number[part] for part in parts]] = 1
    return table


def _split(target: pd.Series, separator: str) -> list[list[str]]:
    """The labels of lists, without whitespace around them."""
    lists = [[part.strip() for part in value.split(separator)] for value in target]
    return [[part for part in parts if part] for parts in lists]


def _numbers_of(rows: TrainRows, target: pd.Series, names: Sequence[str]) -> np.ndarray:
    """The classes (N,) int64 of a column of their names, in upper or lower case."""
    spelt = {name.lower(): name for name in names}
    if not set(target) <= set(names) and len(spelt) == len(names):
        target = target.map(lambda value: spelt.get(value.lower(), value))
    _check_known(rows, zip(target, rows.images), names)
    return target.map({name: c for c, name in enumerate(names)}).to_numpy(dtype=np.int64)


def _check_known(rows: TrainRows, given: Iterable[tuple[str, str]], classes: Sequence[str]) -> None:
    """Raise `KitError` for a name, given with its place, that is none of the classes."""
    known = set(classes)
    unknown = [(name, place) for name, place in given if name not in known]
    if unknown:
        near = did_you_mean(unknown[0][0], classes)
        bad = [f"'{name}' at {place}{near}" for name, place in unknown]
        remedy = "mend these rows, or the definition's classes"
        raise problem(rows.path, "has targets that are none of the classes", bad, remedy)


def _label_names(
    competition: Competition, rows: TrainRows, header: Sequence[str]
) -> tuple[str, ...]:
    """The names of the classes of one task, in order.

    Where the table of photos to predict has a column for each class (whatever its case, if a single
    column of the target has the names), they are its columns, those of classes that no photo has
    among them; else they are in the target's own order.
    """
    if len(rows.targets.columns) > 1:
        names = tuple(map(str, rows.targets.columns))
        return tuple(header) if set(header) >= set(names) else names
    target = rows.targets.iloc[:, 0]
    if competition.several_labels:
        parts = _split(target, competition.separator)
        return _classes(rows, pd.Series([p for row in parts for p in row], dtype=object), header)
    names = _classes(rows, target, header)
    if list(header) == [names[0]] and len(names) == 2:
        return names[::-1]  # the answer is the probability of the second one
    numbers = all(re.fullmatch("-?[0-9.]+", name) for name in names)
    if competition.kind == "order" and not numbers and names != tuple(header):
        what = "kind='order' does not tell which way these classes rise"
        raise problem("classes", what, names, "set classes=(...), the least one first")
    return names


def _classes(rows: TrainRows, target: pd.Series, header: Sequence[str]) -> tuple[str, ...]:
    """The classes of a column of names, in order; raises `KitError` for fewer than two."""
    names = in_order(target)
    if "" in names:
        empty = [image for image, value in zip(rows.images, target) if not value]
        what = f"column '{target.name}' gives no class to some photos"
        raise problem(rows.path, what, empty, "mend these rows, or take them out")
    if len(names) < 2:
        raise problem(rows.path, "the target has one class alone", names, "name another column")
    lowered = [name.lower() for name in header]
    alike = len(set(lowered)) == len(header) and set(lowered) >= {n.lower() for n in names}
    return tuple(header) if alike or set(header) >= set(names) else tuple(names)


def _check_present(competition: Competition, rows: TrainRows, label: pd.Series) -> None:
    """Raise `KitError` for a class of the definition that no photo has."""
    if competition.several_labels:
        present = {int(c) for text in label for c in text.split()}
    else:
        present = set(label.tolist())
    absent = [name for c, name in enumerate(competition.class_names) if c not in present]
    if absent:
        remedy = "mend the definition's classes, or leave them out: then the columns of "
        remedy += f"{competition.test} or the values of target are taken"
        raise problem(rows.path, "has no photo of some classes", absent, remedy)
