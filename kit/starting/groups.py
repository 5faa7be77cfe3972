"""Which photos belong together, so that they must share a fold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from kit.starting.tables import Table

# Names of a column of groups, the most telling first.
_NAMES: Final = (
    "patient|subject|persons?|driver|student|user|owner|animal|individual|family",
    "lesion|case|specimen|slide|antibody|tree|household",
    "location|(^|_)site|(^|_)loc($|_)|camera|(^|_)field|farm|scene|place",
    "(^|_)seq|study|series|session|video|clip|group|batch|experiment|plate",
)
_FEWEST: Final = 5  # groups
_MOST: Final = 0.95  # groups for each photo


@dataclass(frozen=True)
class Group:
    """What must share a fold: a column, or a pattern of the path. Empty: the photo alone.

    `others` are columns that could be meant as well. `other_test` is True where the photos to
    predict are known to have other groups, False where they share some, None where nothing says it.
    """

    column: str = ""
    pattern: str = ""
    number: int = 0
    why: str = ""
    others: tuple[str, ...] = ()
    other_test: bool | None = None

    @property
    def word(self) -> str:
        """The word of the definition."""
        return self.column or ("series" if self.pattern else "photo")


def group_of(table: Table, target: Sequence[str], classes: int, tests: Sequence[Table]) -> Group:
    """The group of a training table, by the names and values of its columns."""
    rows = table.rows
    free = [name for name in table.columns if name not in target and _are_groups(rows[name])]
    of_class = rows[list(target)].agg(" ".join, axis=1)
    free = [name for name in free if not _is_class(rows[name], of_class, classes)]
    named = [name for pattern in _NAMES for name in free if re.search(pattern, name.lower())]
    named = list(dict.fromkeys(named))
    if not named:
        return group_of_names(table.lead.fill(rows) if table.lead else [], of_class.tolist())
    best = named[0]
    for name in named[1:]:  # a coarser one, of which each group lies in one
        if rows.groupby(best)[name].nunique().max() == 1 and rows[name].nunique() >= _FEWEST:
            best = name
    others = tuple(n for n in named if n != best and not _lies_in(rows, n, best))
    number = rows[best].nunique()
    why = f"{number:,} values of {_sizes(rows[best])} photos"
    return Group(best, "", number, why, others, _differ(rows[best], best, tests))


def _are_groups(column: pd.Series) -> bool:
    number = column.nunique()
    return _FEWEST <= number <= _MOST * len(column)


def _is_class(column: pd.Series, of_class: pd.Series, classes: int) -> bool:
    """True if a column says no more than the class does."""
    return column.nunique() <= classes and bool(of_class.groupby(column).nunique().max() == 1)


def _lies_in(rows: pd.DataFrame, fine: str, coarse: str) -> bool:
    return bool(rows.groupby(fine)[coarse].nunique().max() == 1)


def _sizes(column: pd.Series) -> str:
    """How many photos groups have, such as `2 to 115`."""
    counts = column.value_counts()
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _differ(column: pd.Series, name: str, tests: Sequence[Table]) -> bool | None:
    """True if the photos to predict have none of the groups; None if no table of them says it."""
    for table in tests:
        if name in table.columns:
            return not set(table.rows[name]) & set(column)
    return None


def group_of_names(photos: Sequence[str], labels: Sequence[str] = ()) -> Group:
    """The group of photos by what their names share before the last `_` or `-`."""
    stems = [PurePosixPath(photo).stem for photo in photos]
    for sign in "_-":
        starts = [stem.rpartition(sign)[0] for stem in stems]
        number = len(set(starts))
        if not all(starts) or not _FEWEST <= number <= 0.7 * len(stems):
            continue
        if labels and len({*zip(starts, labels)}) == number <= len(set(labels)):
            continue  # the names begin with the class
        counts = np.unique(starts, return_counts=True)[1]
        pattern = f"([^/]+){sign}[^/{sign}]*$"
        why = f"{number:,} beginnings of names, of {counts.min()} to {counts.max():,} photos"
        return Group("", pattern, number, why)
    return Group(why="no column and no name says that photos belong together")
