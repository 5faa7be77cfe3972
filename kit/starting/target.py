"""What is asked: the columns or folders of the classes, and of which kind they are."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

import pandas as pd

from kit.data.train_rows import in_order
from kit.starting.tables import Table
from kit.task import are_counted

# Names of a column of classes, the best first; and of classes that rise.
_NAMES: Final = (
    "^targets?$",
    "^labels?$",
    "^class(_?(name|id|label))?$",
    "^(category|species|breed|dx|diagnosis|disease|type|variety)(_?id)?$",
    "target|label|class|category|species|breed|diagnos|attribute",
    "level|grade|severity|stage|rating|score",
)
_RISING: Final = "diagnosis|level|grade|severity|stage|rating|score|stars"
_SEPARATORS: Final = (" ", ",", "|", ";")
_MANY: Final = 0.5  # classes for each photo, at most


@dataclass(frozen=True)
class Target:
    """The classes: columns or a pattern of the path, the kind of task, the classes' names.

    `separator` parts the labels of a list. `why` says what told it, `asked` is True if it is the
    sample submission; `others` are the columns that could be meant as well.
    """

    columns: tuple[str, ...]
    kind: str
    classes: tuple[str, ...]
    why: str
    separator: str = ""
    pattern: str = ""
    glob: str = ""
    others: tuple[str, ...] = ()
    asked: bool = False


def target_of(table: Table, answers: Table) -> Target | None:
    """The target of a training table, by the columns of the sample submission; None: no column."""
    rows, asked = table.rows, answers.columns[1:]
    flags = [name for name in asked if name in table.columns and _is_flag(rows[name])]
    if len(flags) > 1 and len(flags) == len(asked):
        return _of_flags(rows, flags)
    tasks = _task_columns(table, answers)
    if tasks:
        return _of_tasks(rows, tasks, answers)
    own = table.lead.column if table.lead else ""
    columns = [name for name in table.columns if name != own]
    for name in columns:
        lowered = {value.lower() for value in rows[name]}
        if len(asked) > 1 and lowered and lowered <= {a.lower() for a in asked}:
            why = f"its values are the columns of {PurePosixPath(answers.path).name}"
            return Target((name,), "classes", tuple(sorted(set(rows[name]))), why, asked=True)
    usable = [name for name in columns if _is_target(rows[name])]
    named = [name for name in usable if name in asked]
    if named:
        why = f"{PurePosixPath(answers.path).name} asks for it"
        return replace(_of_column(rows[named[0]], why), asked=True)
    given = _words(answers)
    for name in usable:
        if given and 2 * len(given & set(rows[name])) >= len(given):
            why = f"{PurePosixPath(answers.path).name} has its values"
            return replace(_of_column(rows[name], why), asked=True)
    for pattern in _NAMES:
        matching = [name for name in usable if re.search(pattern, name.lower())]
        if matching:
            others = tuple(name for name in matching[1:])
            return _of_column(rows[matching[0]], "its name, and it has few values", others)
    if len(usable) == 1:
        return _of_column(rows[usable[0]], "the only column with few values")
    return None


def _words(answers: Table) -> set[str]:
    """The names of classes in the one column of a sample submission; of numbers none."""
    if len(answers.columns) != 2:
        return set()
    values = set(answers.rows.iloc[:, 1])
    words = values | {word for value in values for word in value.split()}
    return {word for word in words if not re.fullmatch(r"[0-9. ]*", word)}


def _is_flag(column: pd.Series) -> bool:
    return set(column) <= {"0", "1", "0.0", "1.0"}


def _of_flags(rows: pd.DataFrame, flags: list[str]) -> Target:
    """The target of columns of 0 and 1: one class a photo if every row has one 1."""
    sums = rows[flags].astype(float).sum(axis=1)
    kind = "classes" if (sums == 1).all() else "labels"
    each = (
        "one 1 in each row" if kind == "classes" else f"{sums.min():g} to {sums.max():g} in a row"
    )
    return Target(tuple(flags), kind, tuple(flags), f"columns of 0 and 1, {each}", asked=True)


def _task_columns(table: Table, answers: Table) -> list[str]:
    """The columns with which ids of the submission end, where each task has a row; or none."""
    ids = answers.rows.iloc[:, 0]
    tasks = [name for name in table.columns if ids.str.endswith(f"_{name}").any()]
    covered = ids.str.endswith(tuple(f"_{name}" for name in tasks)) if tasks else pd.Series([False])
    return tasks if len(tasks) > 1 and bool(covered.all()) else []


def _of_tasks(rows: pd.DataFrame, tasks: list[str], answers: Table) -> Target:
    """The target of several tasks, each with a column of its own."""
    classes = tuple(f"{name} {value}" for name in tasks for value in in_order(rows[name]))
    why = f"ids of {PurePosixPath(answers.path).name} end with these columns"
    return Target(tuple(tasks), "tasks", classes, why, asked=True)


def _is_target(column: pd.Series) -> bool:
    """True if a column has few values, or lists of few labels."""
    number = column.nunique()
    return 1 < number <= max(2, _MANY * len(column)) or separator_of(column) != ""


def _of_column(column: pd.Series, why: str, others: tuple[str, ...] = ()) -> Target:
    """The target of one column."""
    separator, name = separator_of(column), str(column.name)
    if separator:
        labels = {label for value in set(column) for label in _labels(value, separator)}
        sizes = [len(_labels(value, separator)) for value in column]
        why += f"; lists of up to {max(sizes)} labels"
        return Target((name,), "labels", tuple(in_order(labels)), why, separator, others=others)
    classes = tuple(in_order(column))
    rising = are_counted(classes) and len(classes) > 2 and re.search(_RISING, name.lower())
    if rising:
        why += f"; grades 0 to {len(classes) - 1}, by its name"
    return Target((name,), "order" if rising else "classes", classes, why, others=others)


def separator_of(column: pd.Series) -> str:
    """What parts the labels in a column of lists; empty if its values are no lists.

    Values are lists if their parts are labels of other photos: most stand alone somewhere, all are
    numbers, or there are more different lists than parts.
    """
    counts = Counter(column)
    for separator in _SEPARATORS:
        lists = {value: _labels(value, separator) for value in counts}
        several = [labels for labels in lists.values() if len(labels) > 1]
        if not several or any(len(set(labels)) < len(labels) for labels in several):
            continue
        labels = Counter(label for value in several for label in value)
        alone = {value[0] for value in lists.values() if len(value) == 1}
        known = all(map(str.isdigit, labels)) or len(several) > len(labels)
        if known or len(alone & set(labels)) >= 0.5 * len(labels):
            return separator
    return ""


def _labels(value: str, separator: str) -> list[str]:
    return [label.strip() for label in value.split(separator) if label.strip()]


def target_of_paths(photos: Sequence[str]) -> Target | None:
    """The target of training photos without a table: their folders, or what begins their names.

    None: the paths tell no classes.
    """
    parts = [photo.split("/") for photo in photos]
    depth = len(parts[0])
    ends = {PurePosixPath(photo).suffix for photo in photos}
    end = ends.pop() if len(ends) == 1 else ""
    if any(len(part) != depth for part in parts):
        return None
    fixed = 0
    while fixed < depth - 1 and len({part[fixed] for part in parts}) == 1:
        fixed += 1
    top = "/".join(parts[0][:fixed])
    stars = "/".join(["*"] * (depth - 1 - fixed) + [f"*{end}" if end else "*"])
    glob = f"{top}/{stars}" if top else stars
    if fixed < depth - 1:
        classes = {part[fixed] for part in parts}
        if 2 <= len(classes) <= _MANY * len(photos):
            pattern = f"{re.escape(top)}/([^/]+)/" if top else "^([^/]+)/"
            why = f"{len(classes)} folders of photos in {top or 'the folder'}"
            return Target((), "classes", tuple(in_order(classes)), why, pattern=pattern, glob=glob)
    return _of_names(parts, glob)


def _of_names(parts: list[list[str]], glob: str) -> Target | None:
    """The target of names such as `cat.12.jpg`: what stands before the number."""
    pattern = r"([^/]*[A-Za-z가-힣])[._ -]*[0-9]+\.[A-Za-z]+$"
    found = [re.search(f"^{pattern}", part[-1]) for part in parts]
    classes = {match[1] for match in found if match}
    if all(found) and 2 <= len(classes) <= _MANY / 2 * len(parts):
        why = f"{len(classes)} beginnings of the photos' names, before a number"
        return Target((), "classes", tuple(in_order(classes)), why, pattern=pattern, glob=glob)
    return None
