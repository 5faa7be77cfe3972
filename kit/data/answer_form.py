"""The form of a competition's answers, as the table of photos to predict shows it."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kit.competition import Competition
from kit.data.answer_rows import TASK
from kit.data.paths import fields_of
from kit.metrics.metric import metric_of, refusal, usual_metric
from kit.system.errors import did_you_mean, problem
from kit.system.table import INDEX_NAMES, read_table
from kit.task import are_counted


def read_test_table(competition: Competition, root: Path) -> pd.DataFrame | None:
    """The table of photos to predict as text; None where it is not there, and is not needed."""
    path = root / competition.test
    if path.is_file():
        return read_table(path, {competition.id: "id"} if competition.id else None)
    if competition.id and competition.answer:
        return None
    remedy = "set test to the sample submission, or to the table of photos to predict"
    raise problem(path, "there is no such table", remedy=remedy)


def class_columns(competition: Competition, table: pd.DataFrame | None) -> list[str]:
    """The columns of the table of photos to predict that may hold answers.

    They are all but its ids, the index that pandas may have written, and what templates name.
    """
    if table is None:
        return []
    named = [competition.id or str(table.columns[0]), *INDEX_NAMES]
    named += fields_of(competition.test_image) + fields_of(competition.answer_rows)
    return [str(name) for name in table if name not in named]


def with_answer(competition: Competition, table: pd.DataFrame | None) -> Competition:
    """A competition with the columns and the form of its answers, and a metric.

    A single column of answers is taken for probabilities where the metric needs them, or where the
    sample holds fractions; for numbers of classes or for their names as the sample shows. Raises
    `KitError` if the columns fit no answer, and if the metric cannot take the answer.
    """
    ident = competition.id or str(table.columns[0] if table is not None else "")
    others = class_columns(competition, table)
    if _has_task_columns(competition, others):
        competition = dataclasses.replace(competition, answer_column=TASK)
    form = competition.answer or _form(competition, table, others)
    column = competition.answer_column or (others[0] if len(others) == 1 else "")
    target = competition.target if isinstance(competition.target, str) else ""
    column = column or next(c for c in (target, "label", "class") if c not in ("", ident))
    competition = dataclasses.replace(competition, id=ident, answer=form, answer_column=column)
    if form == "probabilities" and others:
        _check_columns(competition, others)
    first, second = (*competition.class_names, "")[:2]
    if form == "probability" and column == first:
        what = f"'{column}' asks for the probability of {first}, and the second class is {second}"
        raise problem("answer_column", what, remedy=f"set classes={(second, first)}")
    if not competition.metric:
        usual = usual_metric(competition.kind, form)
        competition = dataclasses.replace(competition, metric=usual)
    _check_metric(competition)
    return competition


def _has_task_columns(competition: Competition, others: Sequence[str]) -> bool:
    """True if the table of photos to predict has a column for each of several tasks."""
    tasks = {task.name for task in competition.parts}
    free = not competition.answer_column and competition.answer in ("", "class", "name")
    return bool(tasks) and free and set(others) >= tasks


def _check_metric(competition: Competition) -> None:
    """Raise `KitError` for a metric that is not known, or that cannot take the answer.

    Probabilities may be scored as decided answers: their most probable class is the answer.
    """
    metric, answer = metric_of(competition), competition.answer
    if not metric.of_probs and answer in ("probability", "probabilities"):
        answer = "list" if competition.several_labels else "class"
    why = refusal(metric, competition.kind, competition.num_classes, answer)
    if why:
        remedy = "set another metric, or another answer"
        raise problem(f"competition {competition.name}", f"metric: {why}", remedy=remedy)


def _form(competition: Competition, table: pd.DataFrame | None, others: Sequence[str]) -> str:
    """The form of the answers, by the columns beside the ids and by what one of them holds."""
    names, column = competition.class_names, competition.answer_column
    if set(others) >= set(names):
        return "probabilities"
    if column == TASK and table is not None:
        return _form_of_tasks(
            competition, {text for task in competition.parts for text in table[task.name]}
        )
    if len(others) > 1 and not competition.answer_rows and column not in others:
        _refuse_columns(competition, others)
    if competition.several_labels:
        return "list"
    column = column if column in others or len(others) != 1 else others[0]
    values = set(table[column]) if table is not None and column in others else set[str]()
    fractions = any(re.fullmatch(r"[0-9]*\.[0-9]+", value) for value in values)
    of_probs = bool(competition.metric) and metric_of(competition).of_probs
    if of_probs or fractions:
        return "probability" if len(names) == 2 else "probabilities"
    if TASK in competition.answer_rows:
        return _form_of_tasks(competition, values)
    own = competition.rows is not None or len(competition.tasks) > 1
    whole = bool(values) and all(re.fullmatch("[0-9]{1,9}", value) for value in values)
    shown = bool(values) and values <= set(names)
    of_numbers = (own or whole) and not shown and not _any_number(names)
    return "class" if are_counted(names) or of_numbers else "name"


def _form_of_tasks(competition: Competition, values: set[str]) -> str:
    """The form of answers, each of one task, by the `values` that the sample has for them.

    Numbers are those of classes, unless the classes' names are other numbers.
    """
    whole = all(re.fullmatch("[0-9]{1,9}", value) for value in values)
    of_numbers = all(
        are_counted(task.classes) or not _any_number(task.classes) for task in competition.tasks
    )
    return "class" if whole and of_numbers else "name"


def _any_number(names: Sequence[str]) -> bool:
    """True if the name of a class is a number."""
    return any(re.fullmatch("-?[0-9.]+", name) for name in names)


def _check_columns(competition: Competition, others: Sequence[str]) -> None:
    """Raise `KitError` unless the table has a column for each class and no others."""
    names = competition.class_names
    if not set(others) >= set(names):
        _refuse_columns(competition, others)
    more = [f"{name}{did_you_mean(name, names)}" for name in others if name not in names]
    if more:
        what = "has columns that are none of the classes"
        remedy = "leave classes out, so that these columns are taken as classes, or take "
        raise problem(competition.test, what, more, remedy + "the table as it was given")


def _refuse_columns(competition: Competition, others: Sequence[str]) -> None:
    """Raise `KitError`: the columns of the table of photos to predict fit no answer."""
    lacking = [f"{c}{did_you_mean(c, others)}" for c in competition.class_names if c not in others]
    what = f"its columns {','.join(others)[:100]} fit no answer: classes without a column"
    remedy = "set test to the sample submission, or set answer and answer_column"
    raise problem(competition.test, what, lacking, remedy)
