"""What a folder is taken for: the fields of its definition, each with the reason."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pandas as pd

from kit.starting.answers import Answers, answers_of
from kit.starting.doubts import doubts, left_out
from kit.starting.groups import Group, group_of, group_of_names
from kit.starting.look import Facts
from kit.starting.paths import PhotoIndex, scattered
from kit.starting.tables import Table, find_answers, other_tables, training_tables
from kit.starting.target import Target, target_of, target_of_paths
from kit.system.errors import did_you_mean, problem

_SHOWN: Final = 4  # classes named in a reason


@dataclass(frozen=True)
class Line:
    """A field of the definition, its value, and why. One without a field is only shown."""

    field: str
    value: Any
    why: str


@dataclass(frozen=True)
class Guess:
    """A definition's `lines`, and what is `unsure` of them, a sentence each."""

    lines: tuple[Line, ...]
    unsure: tuple[str, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """The values of the definition by field."""
        return {line.field: line.value for line in self.lines}


def guess(facts: Facts, train: str = "") -> Guess:
    """What a folder is taken for; `train` names its training table, where several could be it.

    Raises `KitError` for a folder without a table of photos to predict, without classes, and for
    one with several training tables.
    """
    index = PhotoIndex(facts.photos)
    asked = find_answers(facts, index)
    tests = [asked, *other_tables(facts, index, asked)]
    tables = training_tables(facts, index, tests)
    chosen = _training_table(facts, tables, tests, train)
    if chosen is None:
        taken = [table.path for table in tests]
        others = {path: rows for path, rows in facts.tables.items() if path not in taken}
        _refuse_scattered(facts.root, others, index, "to train on")
        target, group, lines = _of_paths(facts, tests, tables)
    else:
        target, group, lines = _of_table(facts, chosen, tests)
    answers = answers_of(target, tests)
    if answers.test.lead is None:
        _refuse_scattered(facts.root, {asked.path: asked.rows}, index, "to predict")
    name = re.sub(r"\W+", "_", facts.root.resolve().name.lower()).strip("_") or "competition"
    lines = [Line("name", name, "the folder"), *lines, *answer_lines(answers, target)]
    unsure = [*doubts(facts, target, group, answers), *left_out(facts, chosen, tables)]
    for field, lead in (("image", chosen and chosen.lead), ("test_image", answers.test.lead)):
        if lead and lead.others:
            unsure.append(f"{field}: {', '.join(lead.others)[:80]} could be meant")
    return Guess(tuple(lines), tuple(unsure))


def _training_table(
    facts: Facts, tables: Sequence[Table], tests: Sequence[Table], named: str
) -> Table | None:
    """The training table among those that could be it, if there is one."""
    if named:
        found = [table for table in tables if table.path == named]
        if not found:
            near = did_you_mean(named, list(facts.tables))
            what = f"{named} is no table whose rows lead to photos{near}"
            raise problem("--train", what, remedy=f"it has {', '.join(facts.tables)}")
        return found[0]
    told = [(table, target_of(table, tests[0])) for table in tables]
    usable = [(table, target) for table, target in told if target is not None]
    if not usable:
        return None

    def rank(pair: tuple[Table, Target]) -> tuple[bool, bool]:
        table, target = pair
        group = group_of(table, target.columns, len(target.classes), tests)
        return target.asked, group.column != ""

    best = max(map(rank, usable))
    first = [table for table, target in usable if rank((table, target)) == best]
    if len(first) > 1:
        paths = [table.path for table in first]
        raise problem(
            facts.root, "tables that could be the training table", paths, "name one with --train"
        )
    return first[0]


def _refuse_scattered(
    root: Path, tables: Mapping[str, pd.DataFrame], index: PhotoIndex, which: str
) -> None:
    """Raise `KitError` for a table whose photos lie in several folders that no column tells."""
    for path, rows in tables.items():
        folders = scattered(rows, index)
        if len(folders) > 1:
            what = "its rows lead to photos in several folders, which no column names"
            raise problem(root / path, what, folders, f"put the photos {which} into one folder")


def _of_table(
    facts: Facts, table: Table, tests: Sequence[Table]
) -> tuple[Target, Group, list[Line]]:
    """The target, the group and the lines of training photos in a table."""
    target = target_of(table, tests[0])
    if target is None or table.lead is None:
        remedy = "write target into the definition by hand"
        raise problem(
            facts.root / table.path, "has no column with few values", table.columns, remedy
        )
    group = group_of(table, target.columns, len(target.classes), tests)
    rows = len(table.rows)
    templates, share = table.lead.templates, table.lead.share
    lines = [
        Line("train", table.path, f"{rows:,} rows, each leads to a photo"),
        Line("image", _one(templates), f"{share:.0%} of {min(rows, 2000):,} rows name a file"),
        Line("target", _one(target.columns), f"{target.why}: {_classes(target)}"),
    ]
    return target, group, [*lines, *_kind_lines(target), *_group_lines(group)]


def _of_paths(
    facts: Facts, tests: Sequence[Table], tables: Sequence[Table]
) -> tuple[Target, Group, list[Line]]:
    """The target, the group and the lines of training photos whose paths tell their class."""
    tested = {photo for t in tests if t.lead for photo in t.lead.fill(t.rows)}
    photos = [photo for photo in facts.photos if photo not in tested]
    target = target_of_paths(photos) if photos else None
    if target is None:
        what, remedy = "and no folder a class", "write competition.py by hand"
        if tables:
            what = f"has no column of few values, {what}"
            raise problem(facts.root / tables[0].path, what, remedy=remedy)
        what = f"has no table whose rows lead to photos, {what}"
        raise problem(facts.root, what, list(facts.tables), remedy)
    labels = [match[1] for photo in photos if (match := re.search(target.pattern, photo))]
    group, number = group_of_names(photos, labels), sum(fnmatchcase(p, target.glob) for p in photos)
    lines = [
        Line("train", target.glob, f"no table of them; {number:,} photos"),
        Line("target_pattern", target.pattern, f"{target.why}: {_classes(target)}"),
    ]
    return target, group, [*lines, *_kind_lines(target), *_group_lines(group)]


def _kind_lines(target: Target) -> list[Line]:
    words = {
        "classes": "a photo has one of the classes",
        "order": "a photo has one of the classes, and they rise",
        "labels": "a photo has any number of labels",
        "tasks": "a photo has a class of each column",
    }
    lines = [Line("kind", target.kind, words[target.kind])]
    if target.separator not in ("", " "):
        lines.append(Line("separator", target.separator, "stands between labels"))
    return lines


def _group_lines(group: Group) -> list[Line]:
    known = {True: "; photos to predict have others", False: "; some are in photos to predict"}
    lines = [Line("group", group.word, group.why + known.get(group.other_test is True, ""))]
    if group.other_test is None:
        lines = [Line("group", group.word, group.why)]
    if group.pattern:
        lines.append(Line("group_pattern", group.pattern, "finds the group in a photo's path"))
    return lines


def answer_lines(answers: Answers, target: Target) -> list[Line]:
    """The lines of what is asked: the table, its photos, the form of an answer, the metric."""
    lines = [
        Line("test", answers.test.path, f"{len(answers.test.rows):,} rows"),
        Line("test_image", _one(answers.templates), answers.why_image),
    ]
    for field, value in (("id", answers.id), ("answer_rows", answers.rows)):
        if value:
            lines.append(Line(field, value, "a row of the submission is no row of this table"))
    lines.append(Line("answer", answers.form, answers.why_form))
    if answers.column:
        lines.append(Line("answer_column", answers.column, "the submission's column"))
    why = "a guess by the form of the answer: see the competition's page"
    lines.append(Line("metric", answers.metric, why))
    lines.append(Line("mirror", {}, "classes that a mirror swaps; None: nothing may be mirrored"))
    return lines


def _one(values: tuple[str, ...]) -> str | tuple[str, ...]:
    """The one value of a tuple, or the tuple."""
    return values[0] if len(values) == 1 else values


def _classes(target: Target) -> str:
    """The number of classes, and the first ones."""
    names = target.classes
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names):,} classes {', '.join(names[:_SHOWN])}{more}"
