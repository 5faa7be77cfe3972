"""Which table is the training table, and which one asks for answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from kit.starting.look import Facts
from kit.starting.paths import Lead, PhotoIndex, find_leads
from kit.system.errors import problem

# What the sample submission is called, the best first; then tables of photos to predict.
_SUBMISSIONS: Final = (
    "sample_?submi",
    "submission",
    "submit",
    "sample",
    "(^|/)test",
    "info",
    "test",
)
_UNIQUE: Final = 0.98  # share of a training table's rows that name a photo of their own


@dataclass(frozen=True)
class Table:
    """A table, its path, and the lead to its photos, if there is one."""

    path: str
    rows: pd.DataFrame
    lead: Lead | None

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return [str(name) for name in self.rows]


def find_answers(facts: Facts, index: PhotoIndex) -> Table:
    """The sample submission, or the table of photos to predict where there is none."""
    for pattern in _SUBMISSIONS:
        for path, rows in facts.tables.items():
            if re.search(pattern, path.lower()):
                leads = find_leads(rows.iloc[:, :1], index, "test") or find_leads(
                    rows, index, "test"
                )
                return Table(path, rows, leads[0] if leads else None)
    remedy = "put the sample submission there, a CSV with a row for each photo to predict"
    raise problem(facts.root, "holds no table of photos to predict", facts.unread, remedy)


def other_tables(facts: Facts, index: PhotoIndex, answers: Table) -> list[Table]:
    """Other tables of the photos to predict, such as `test.csv`."""
    ids = set(answers.rows.iloc[:, 0])
    tables = []
    for path, rows in facts.tables.items():
        if path != answers.path and not _is_submission(rows, answers):
            same = any(_same_photos(ids, set(rows[column])) for column in rows)
            if same or re.search(r"(^|[/_.-])test", path.lower()):
                leads = find_leads(rows, index, "test")
                tables.append(Table(path, rows, leads[0] if leads else None))
    return tables


def _same_photos(ids: set[str], values: set[str]) -> bool:
    """True if values hold the ids of the photos to predict.

    Of whole numbers they must be the same ones: other photos may be numbered from 1, too.
    """
    numbers = all(map(str.isdigit, ids))
    return len(ids & values) > 0.9 * (max(len(ids), len(values)) if numbers else len(ids))


def _is_submission(rows: pd.DataFrame, answers: Table) -> bool:
    """True if a table is a submission, too: the same columns and the same ids."""
    same = list(rows) == list(answers.rows) and len(rows) == len(answers.rows)
    return same and set(rows.iloc[:, 0]) == set(answers.rows.iloc[:, 0])


def training_tables(facts: Facts, index: PhotoIndex, others: Sequence[Table]) -> list[Table]:
    """The tables that could be the training table: each row leads to a photo of its own.

    `others` are the tables of photos to predict.
    """
    tested = set[str]()
    for table in others:
        tested |= set(table.lead.fill(table.rows)) if table.lead else set()
    taken = [table.path for table in others]
    tables = []
    for path, rows in facts.tables.items():
        if path in taken or _is_submission(rows, others[0]):
            continue
        for lead in find_leads(rows, index, "train"):
            photos = set(lead.fill(rows))
            if len(photos) >= _UNIQUE * len(rows) and len(photos & tested) < 0.5 * len(photos):
                tables.append(Table(path, rows, lead))
                break
    return tables
