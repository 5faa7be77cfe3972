"""The form of a submission: its columns, and which photos and which task each row is of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.paths import FIELD, fields_of, fill_template
from kit.system.errors import did_you_mean, problem

TASK: Final = "{task}"  # in `answer_rows` and in `answer_column`: the name of each task
_MARK: Final = "\ue000"  # where a task's name stands in a row's id; pandas drops a "\0"


@dataclass(frozen=True)
class AnswerRows:
    """The R rows of a submission: their `ids` (R,) in order, and what they are of.

    A row is of a unit, one photo or several, and, where each task has a row, of one task: `unit`
    and `task` (R,) are their numbers, the latter 0 where there is one row a unit. `units` (U,) are
    their names, by default the ids; `of_photo` (N,) is the number of each photo's unit. `columns`
    are those of a submission, in the order of the test table where it has them.
    """

    columns: list[str]
    ids: list[str]
    units: list[str]
    unit: np.ndarray
    task: np.ndarray
    of_photo: np.ndarray

    @cached_property
    def pooled(self) -> bool:
        """True if a unit has several photos."""
        return len(self.units) < len(self.of_photo)


def answer_columns(competition: Competition, header: Sequence[str] = ()) -> list[str]:
    """The columns of a submission, in the order of the test table's `header` if that has them."""
    column, names = competition.answer_column, competition.class_names
    if competition.answer == "probabilities":
        columns = [competition.id, *names]
    elif TASK in column:
        columns = [competition.id, *(column.replace(TASK, t.name) for t in competition.tasks)]
    else:
        columns = [competition.id, column]
    if set(header) >= set(columns):
        columns = [name for name in header if name in set(columns)]
    return columns


def check_test_columns(path: Path, competition: Competition, header: Sequence[str]) -> None:
    """Raise `KitError` unless a test table has the columns of a submission, or none of them.

    One that has none must have something else than ids, unless `answer_rows` says that it is no
    sample submission.
    """
    ident, *columns = answer_columns(competition)
    remedy = f"take {path.name} as the competition gave it"
    named = fields_of(competition.test_image) + fields_of(competition.answer_rows)
    others = set(header) - {ident, *named}
    lacking = [name for name in columns if name not in header]
    near = did_you_mean(lacking[0], sorted(others), 0.8) if lacking else ""
    alone = not set(header) - {ident} and not competition.answer_rows
    if lacking and (near or len(lacking) < len(columns) or alone):
        first = f"has no column '{lacking[0]}'{near}"
        raise problem(path, first, lacking if len(lacking) > 1 else [], remedy)
    extra = [name for name in header if name in others - set(columns)]
    if not lacking and extra and competition.answer == "probabilities":
        mend = "name all of its columns in classes"
        raise problem(path, "has columns that are no class", extra, mend)


def match_rows(
    path: Path, competition: Competition, table: pd.DataFrame, photos: Sequence[str]
) -> AnswerRows:
    """The rows of a submission by the test table, of whose N rows `photos` are the photos.

    They are ordered as its column of ids where it has the same ones, else as they appear first.
    Raises `KitError` where a photo is of two rows, and where the table has other ids.
    """
    ident, columns = competition.id, answer_columns(competition, list(map(str, table)))
    if not competition.answer_rows:
        ids = table[ident].tolist()
        each = np.arange(len(ids))
        return AnswerRows(columns, ids, ids, each, np.zeros(len(ids), np.int64), each)
    template = competition.answer_rows.replace(TASK, _MARK)
    filled = fill_template("answer_rows", template, path.name, table)
    unit_of = dict(zip(photos, filled))
    torn = [photo for photo, unit in zip(photos, filled) if unit_of[photo] != unit]
    if torn:
        what = f"photos of several rows by answer_rows {competition.answer_rows}"
        raise problem(path, what, torn, "let each photo be of one row")
    units = list(dict.fromkeys(filled))
    long = TASK in competition.answer_rows
    names = [task.name for task in competition.tasks] if long else [""]
    of = {
        unit.replace(_MARK, name): (u, t)
        for u, unit in enumerate(units)
        for t, name in enumerate(names)
    }
    if len(of) < len(units) * len(names):
        what = f"answer_rows {competition.answer_rows} gives two rows one id"
        raise problem(path, what, remedy="put something between the columns, such as _")
    ids = list(dict.fromkeys(table[ident])) if ident in table else list(of)
    other = [i for i in ids if i not in of] or [i for i in of if i not in set(ids)]
    if other:
        what = f"column '{ident}' differs from answer_rows {competition.answer_rows}"
        raise problem(path, what, other, "mend the template, or name another column in id")
    order = np.array([of[i] for i in ids], dtype=np.int64)
    first = list(dict.fromkeys(order[:, 0].tolist()))  # units in the order of their rows
    rank = np.argsort(first)
    number = {unit: int(rank[u]) for u, unit in enumerate(units)}
    of_photo = np.array([number[unit] for unit in unit_of.values()], dtype=np.int64)
    named = [_bare(units[u]) for u in first]
    return AnswerRows(columns, ids, named, rank[order[:, 0]], order[:, 1], of_photo)


def split_tasks(
    path: Path, competition: Competition, ids: Sequence[str]
) -> tuple[list[str], np.ndarray]:
    """The units and the numbers of tasks (R,) of a submission's ids, where each task has a row.

    Raises `KitError` for ids that name no task.
    """
    names = [task.name for task in competition.tasks]
    before, _, after = competition.answer_rows.partition(TASK)
    choice = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(f"({_pattern(before)})({choice})({_pattern(after)})", re.DOTALL)
    found = [pattern.fullmatch(ident) for ident in ids]
    bad = [ident for ident, match in zip(ids, found) if match is None]
    if bad:
        what = f"ids that are none of answer_rows {competition.answer_rows}"
        raise problem(path, what, bad, f"the tasks are {', '.join(names)}"[:200])
    parts = [match.groups() for match in found if match is not None]
    units = [_bare(f"{head}{_MARK}{tail}") for head, _, tail in parts]
    return units, np.array([names.index(name) for _, name, _ in parts], dtype=np.int64)


def _bare(unit: str) -> str:
    """A unit's name: its rows' id without the task, and what joined it."""
    return unit.replace(_MARK, "").strip("_-. /:") if _MARK in unit else unit


def _pattern(template: str) -> str:
    """A regular expression for a template's texts."""
    parts = FIELD.split(template)
    return "".join(".*" if n % 2 else re.escape(part) for n, part in enumerate(parts))
