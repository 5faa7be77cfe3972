"""Answers read from submissions, and from files of the truth."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.answer_rows import TASK, answer_columns, split_tasks
from kit.results.probs import Probs, of_second, read_foreign_probs
from kit.scoring.metrics import decided
from kit.system.console import warn
from kit.system.errors import did_you_mean, problem
from kit.system.table import INDEX_NAMES, check_unique, read_csv, read_header, whole_numbers


@dataclass(frozen=True)
class Answers:
    """The answers of a file by `ids` (N,): the photos', or those of what has a row.

    `classes` are int64 (N,), or uint8 (N, C) of several labels; `probs` (N, C) are None where the
    file has none, and `groups` (N,) where it has no column of groups.
    """

    ids: pd.Index
    classes: np.ndarray
    probs: np.ndarray | None = None
    groups: np.ndarray | None = None


def read_answers(path: Path, competition: Competition, strict: bool = False) -> Answers:
    """The answers of a submission, or of a file of the truth, in the file's order.

    Of probabilities the most probable class is taken, and labels above one half. Answers may say
    which group a photo is of, in a column of that name. Unless `strict`, a file may hold classes
    where probabilities are asked for, such as the truth; and three faults of a submission are taken
    with a warning: an index column, whole numbers written as 3.0, and probabilities where classes
    are asked for.
    """
    columns, form, header = answer_columns(competition), competition.answer, read_header(path)
    if form == "probabilities" and strict:
        return _of_probs(read_foreign_probs(path, competition), competition)
    names = {name.strip() for name in header}
    if not strict and _has_probs(names, competition):
        if form not in ("probability", "probabilities"):
            what = "labels above one half" if form == "list" else "most probable ones"
            warn(f"{path}: holds probabilities, and no {_decided(form)}; the {what} are compared")
        return _of_probs(read_foreign_probs(path, competition), competition)
    if form == "probabilities":
        columns = [competition.id, competition.answer_column]
        if competition.answer_column not in names:  # says which columns it lacks
            return _of_probs(read_foreign_probs(path, competition), competition)
    table = read_csv(path, columns, [] if strict else [competition.group])
    plain = (columns, [*columns, competition.group])
    if header and not strict and header not in plain and form != "probabilities":
        said = deviation(header, columns)
        warn(f"{path}: {said}; that can be read, but is no form for a submission")
    check_unique(path, table, competition.id, "every photo has one row")
    return _parsed(path, table, competition, strict)


def deviation(header: Sequence[str], columns: Sequence[str]) -> str:
    """The fault of a submission's header, in words."""
    if header and header[0].startswith("\ufeff"):
        return "begins with a byte-order mark"
    if header and header[0] in INDEX_NAMES:
        return "has an index column"
    other = [name for name in header if name.strip() not in columns]
    if other:
        return f"has the column {other[0][:40]!r}"
    return f"has the header {','.join(header)[:80]!r}"


def _decided(form: str) -> str:
    return "lists of labels" if form == "list" else "classes"


def _has_probs(names: set[str], competition: Competition) -> bool:
    """True if a file has a column for each class, and none for the answer."""
    numbered = names.issuperset(map(str, range(competition.num_classes)))
    whole = numbered or names.issuperset(competition.class_names)
    columns = [competition.answer_column]
    if competition.answer != "probabilities":
        columns = answer_columns(competition)[1:]
    return whole and names.isdisjoint(columns)


def _of_probs(table: Probs, competition: Competition) -> Answers:
    """The answers of probabilities."""
    probs = table.probs
    return Answers(pd.Index(table.ids), decided(probs, competition), probs)


def _parsed(path: Path, table: pd.DataFrame, competition: Competition, strict: bool) -> Answers:
    """The answers of a table of texts that has a submission's columns."""
    form, ids, names = competition.answer, pd.Index(table[competition.id]), competition.class_names
    groups = table[competition.group].to_numpy() if competition.group in table else None
    column = competition.answer_column
    if competition.several_labels:
        return Answers(ids, _lists(path, table, competition, strict), None, groups)
    numbered = strict or names == ("0", "1")
    if form == "probability" and (numbered or not table[column].isin(names).all()):
        second = _numbers(path, table, competition)
        return Answers(ids, (second > 0.5).astype(np.int64), of_second(second), groups)
    columns, texts = answer_columns(competition)[1:], [names]
    if form in ("probability", "probabilities"):
        columns = [column]
    if len(columns) > 1 or TASK in competition.answer_rows:
        texts = [task.classes for task in competition.tasks]
    if TASK in competition.answer_rows:
        return _of_rows(path, table, competition, strict)
    given = [_classes(path, table, (c, t), competition, strict) for c, t in zip(columns, texts)]
    classes = given[0] if len(given) == 1 else competition.encode(given)
    return Answers(ids, classes, None, groups)


def _of_rows(path: Path, table: pd.DataFrame, competition: Competition, strict: bool) -> Answers:
    """The answers of a table with a row a task."""
    units, task = split_tasks(path, competition, table[competition.id].tolist())
    codes, ids = pd.factorize(np.array(units, dtype=object))
    given = np.full((len(competition.tasks), len(ids)), -1, np.int64)
    for t, of in enumerate(competition.tasks):
        rows, column = table[task == t], (competition.answer_column, of.classes)
        if len(rows):
            given[t, codes[task == t]] = _classes(path, rows, column, competition, strict)
    lacking = np.argwhere(given < 0).tolist()
    if lacking:
        first = [f"{competition.tasks[t].name} of {ids[u]}" for t, u in lacking]
        raise problem(path, "lacks rows of tasks", first, "give each task its row")
    groups = None
    if competition.group in table:
        groups = table.groupby(codes)[competition.group].first().to_numpy()
    return Answers(pd.Index(ids), competition.encode(list(given)), None, groups)


def _classes(
    path: Path,
    table: pd.DataFrame,
    column: tuple[str, tuple[str, ...]],
    competition: Competition,
    strict: bool,
) -> np.ndarray:
    """A column of classes (rows,) int64: by number, or by name; `column` has its classes' names.

    Where all values are whole numbers that are no names, they are classes.
    """
    (name, names), ident = column, competition.id
    texts = table[name]
    if competition.answer == "class":
        if not strict:
            table = _without_fractions(path, table, name)
        return whole_numbers(path, table, name, 0, len(names) - 1, ident)
    known = texts.isin(names)
    if not strict and not known.all() and texts.str.fullmatch("[0-9]{1,9}").all():
        return whole_numbers(path, table, name, 0, len(names) - 1, ident)
    _refuse(path, table, (name, ident), ~known, f"names of classes, such as {names[0]}")
    number = {text: c for c, text in enumerate(names)}
    return texts.map(number).to_numpy(dtype=np.int64)


def _numbers(path: Path, table: pd.DataFrame, competition: Competition) -> np.ndarray:
    """The column of probabilities (rows,) float64."""
    name = competition.answer_column
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    outside = ~((numbers >= 0) & (numbers <= 1))
    _refuse(path, table, (name, competition.id), outside, "probabilities 0..1")
    return numbers


def _lists(path: Path, table: pd.DataFrame, competition: Competition, strict: bool) -> np.ndarray:
    """The column of lists of labels, uint8 (rows, C)."""
    name, separator = competition.answer_column, competition.separator
    names = {text: c for c, text in enumerate(competition.class_names)}
    codes, texts = pd.factorize(table[name])
    lists = [text.split(separator) if text else [] for text in texts]
    if not strict:
        lists = [[part.strip() for part in parts if part.strip()] for parts in lists]
    for what, wrong in (
        (
            "labels that are none",
            [next((p for p in parts if p not in names), None) for parts in lists],
        ),
        ("a label twice", [_twice(parts) for parts in lists]),
    ):
        bad = np.array([part is not None for part in wrong])[codes]
        if bad.any():
            first = [wrong[c] for c in codes[bad]]
            near = did_you_mean(str(first[0]), list(names))
            shown = [f"'{part}' at {i}" for part, i in zip(first, table[competition.id][bad])]
            mend = f"write names of labels joined by '{separator}'{near}"
            raise problem(path, f"column '{name}' holds {what}", shown, mend)
    rows = np.zeros((len(lists), len(names)), np.uint8)
    for row, parts in zip(rows, lists):
        row[[names[part] for part in parts]] = 1
    return np.asarray(rows[codes])


def _twice(parts: Sequence[str]) -> str | None:
    """The first text that stands twice in a list."""
    return next((part for n, part in enumerate(parts) if part in parts[:n]), None)


def _refuse(
    path: Path, table: pd.DataFrame, column: tuple[str, str], bad: Any, wanted: str
) -> None:
    """Raise `KitError` where the rows of a column are `bad` (rows,); with it stands that of ids."""
    name, ident = column
    rows = table[np.asarray(bad)]
    if len(rows):
        shown = [f"'{value}' at {i}" for value, i in zip(rows[name], rows[ident])]
        raise problem(path, f"column '{name}' must hold {wanted}", shown, "mend these rows")


def _without_fractions(path: Path, answers: pd.DataFrame, column: str) -> pd.DataFrame:
    """The answers with `3.0` as `3`, and a warning if any were so."""
    whole = {
        value: value.partition(".")[0]
        for value in answers[column].unique()
        if re.fullmatch(r"[0-9]{1,5}\.0+", value)
    }
    if not whole:
        return answers
    floats = answers[column].isin(list(whole))
    warn(
        f"{path}: holds {int(floats.sum()):,} classes written as "
        f"{answers[column][floats].iloc[0]}; "
        "a submission must have whole numbers (astype(int))"
    )
    return answers.assign(**{column: answers[column].replace(whole)})
