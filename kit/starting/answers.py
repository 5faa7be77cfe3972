"""What a submission asks for: the table, the photos of its rows, the form of an answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kit.metrics.metric import usual_metric
from kit.starting.tables import Table
from kit.starting.target import Target
from kit.task import are_counted


@dataclass(frozen=True)
class Answers:
    """What is asked: the table `test` of photos to predict and the templates of their paths.

    `form` is the form of an answer, and `metric` the metric that often goes with it. `id`, `column`
    and `rows` are empty where the table of photos is the sample submission itself.
    """

    test: Table
    templates: tuple[str, ...]
    form: str
    metric: str
    why_image: str
    why_form: str
    id: str = ""
    column: str = ""
    rows: str = ""
    unsure: tuple[str, ...] = ()


def answers_of(target: Target, tests: Sequence[Table]) -> Answers:
    """What is asked, by the tables of photos to predict, of which the first is the submission."""
    sample = tests[0]
    form, why_form, unsure = _form(target, sample)
    metric = _metric(target, form)
    if sample.lead is not None:
        why = f"{sample.lead.share:.0%} of its rows name a file"
        ident = sample.lead.column if sample.lead.column != sample.columns[0] else ""
        # Of ids alone, a table is no sample submission: the answers are added to it.
        rows = "" if len(sample.columns) > 1 else f"{{{sample.columns[0]}}}"
        told = (why, why_form, ident)
        return Answers(sample, sample.lead.templates, form, metric, *told, "", rows, unsure)
    ids = set(sample.rows.iloc[:, 0])
    for table in tests[1:]:
        for name in table.columns if table.lead else ():
            if set(table.rows[name]) == ids:
                return _through(target, table, name, sample, (form, metric, why_form, unsure))
    unsure = (*unsure, f"test_image: no photo is named as in {sample.path}; write it by hand")
    return Answers(
        sample, (f"{{{sample.columns[0]}}}",), form, metric, "nothing", why_form, unsure=unsure
    )


def _through(
    target: Target,
    table: Table,
    name: str,
    sample: Table,
    told: tuple[str, str, str, tuple[str, ...]],
) -> Answers:
    """What is asked where another table than the sample submission leads to the photos."""
    assert table.lead is not None
    form, metric, why_form, unsure = told
    column = sample.columns[1] if len(sample.columns) == 2 else ""
    rows, first = f"{{{name}}}", sample.columns[0]
    if target.kind == "tasks":
        rows = f"{{{table.lead.column}}}_{{task}}"
    elif first == name and not table.rows[name].duplicated().any():
        rows = ""
    why = f"its column {name} has the ids of {PurePosixPath(sample.path).name}"
    return Answers(
        table, table.lead.templates, form, metric, why, why_form, first, column, rows, unsure
    )


def _form(target: Target, sample: Table) -> tuple[str, str, tuple[str, ...]]:
    """The form of an answer, why, and what is unsure of it."""
    asked, classes = sample.columns[1:], target.classes
    name = PurePosixPath(sample.path).name
    if {c.lower() for c in classes} <= {a.lower() for a in asked}:
        return "probabilities", f"{name} has a column for each class", ()
    if target.kind == "labels":
        return "list", f"{name} has one column for the labels", ()
    values = set(sample.rows[asked[0]]) if asked else set()
    fractions = any(re.fullmatch(r"[0-9]*\.[0-9]*[1-9][0-9]*", value) for value in values)
    if len(classes) == 2 and (fractions or set(classes) == {"0", "1"}):
        why = "two classes, and one column"
        unsure = (
            () if fractions else ('answer: if 0 or 1 is asked for, and no probability, "class"',)
        )
        return "probability", f"{why}, with fractions" if fractions else why, unsure
    if len(asked) > 1:
        unsure = (f"answer: the columns {', '.join(asked)[:60]} of {name} fit no form",)
        return "class", "no other form fits", unsure
    if target.kind == "tasks":
        return "class", "a row for each task", ()
    known, ranked = set(classes), tuple[str, ...]()
    if any(len(value.split()) > 1 and known.issuperset(value.split()) for value in values - known):
        ranked = (f"answer: {name} has several classes in a row, and the kit writes the first one",)
    if are_counted(classes):
        return "class", "the classes are the numbers from 0", ranked
    if values and all(map(str.isdigit, values)) and not any(map(str.isdigit, classes)):
        unsure = (f"answer: {name} has numbers: those of the classes in order?",)
        return "class", f"{name} has numbers", unsure
    return "name", f"{name} has one column, and classes have names", ranked


def _metric(target: Target, form: str) -> str:
    """The metric that often goes with a form of answer, and with columns of 0 and 1."""
    if form == "probabilities" and len(target.columns) > 1:
        return "roc_auc"
    return usual_metric(target.kind, form)
