"""Submissions: read, written, and compared with the table of photos to predict."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.folder import DataFolder, read_ids
from kit.results.probs import read_foreign_probs
from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash, json_bytes
from kit.system.errors import KitError, problem
from kit.system.table import check_unique, read_csv, read_header, whole_numbers


@dataclass(frozen=True)
class Predicted:
    """What is predicted of photos: `ids` (N,), their `classes` (N,), and `probs` (N, C) of each."""

    ids: Sequence[str]
    classes: np.ndarray
    probs: np.ndarray | None = None


def read_answers(path: Path, competition: Competition, strict: bool = False) -> pd.DataFrame:
    """A submission or an answers file: the ids (text, unique) and classes (int64, 0..C-1).

    The columns are the competition's `id` and `answer_column`, in the file's order. Answers may say
    which group a photo is of, in a column of that name. Of probabilities the most probable class is
    taken. Unless `strict`, a file may hold classes where probabilities are asked for, such as the
    truth; and three faults of a submission are taken with a warning: an index column, whole numbers
    written as 3.0, and probabilities where classes are asked for.
    """
    columns, of_classes = [competition.id, competition.answer_column], competition.answer == "class"
    header = read_header(path)
    names = set(header)
    if strict and of_classes:
        return _classes(path, read_csv(path, columns), competition)
    numbered = names.issuperset(map(str, range(competition.num_classes)))
    by_name = names >= set(competition.class_names)
    asked = competition.answer == "probabilities" and (
        strict or competition.answer_column not in names
    )
    if asked or (competition.answer_column not in names and (numbered or by_name)):
        if not asked:
            warn(
                f"{path}: holds probabilities, and no classes; the most probable ones are compared"
            )
        probs = read_foreign_probs(path, competition)
        classes = probs.probs.argmax(axis=1).astype(np.int64)
        return pd.DataFrame({competition.id: probs.ids, competition.answer_column: classes})
    if strict:
        return _named(path, read_csv(path, columns), competition)
    answers = read_csv(path, columns, [competition.group])
    plain = (columns, [*columns, competition.group])
    if header and header not in plain and competition.answer != "probabilities":
        said = _deviation(header, columns)
        warn(f"{path}: {said}; that can be read, but is no form for a submission")
    if not of_classes:
        return _named(path, answers, competition)
    return _classes(path, _without_fractions(path, answers, competition.answer_column), competition)


def _named(path: Path, answers: pd.DataFrame, competition: Competition) -> pd.DataFrame:
    """Answers with unique ids, and classes as int64 for names, or for the second one's probability.

    Where all values are whole numbers that are no names, they are classes.
    """
    check_unique(path, answers, competition.id, "every photo has one row")
    column, names = answers[competition.answer_column], competition.class_names
    if competition.answer == "probability" and not column.isin(names).all():
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        _refuse(
            path, answers, competition, ~((numbers >= 0) & (numbers <= 1)), "probabilities 0..1"
        )
        return answers.assign(**{competition.answer_column: (numbers >= 0.5).astype(np.int64)})
    if column.str.fullmatch("[0-9]{1,9}").all() and not column.isin(names).all():
        return _classes(path, answers, competition)
    _refuse(
        path, answers, competition, ~column.isin(names), f"names of classes, such as {names[0]}"
    )
    number = {name: c for c, name in enumerate(names)}
    return answers.assign(**{competition.answer_column: column.map(number).astype(np.int64)})


def _refuse(
    path: Path, answers: pd.DataFrame, competition: Competition, bad: Any, wanted: str
) -> None:
    """Raise `KitError` where answers are `bad` (N,)."""
    rows = answers[np.asarray(bad)]
    if len(rows):
        pairs = zip(rows[competition.answer_column], rows[competition.id])
        what = f"column '{competition.answer_column}' must hold {wanted}"
        raise problem(path, what, [f"'{value}' at {i}" for value, i in pairs], "mend these rows")


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


def _deviation(header: Sequence[str], columns: Sequence[str]) -> str:
    """The fault of a submission's header, in words."""
    if header and header[0].startswith("\ufeff"):
        return "begins with a byte-order mark"
    if header and header[0] in ("", "Unnamed: 0"):
        return "has an index column"
    other = [name for name in header if name.strip() not in columns]
    return (
        f"has the column {other[0][:40]!r}"
        if other
        else f"has the header {','.join(header)[:80]!r}"
    )


def _classes(path: Path, answers: pd.DataFrame, competition: Competition) -> pd.DataFrame:
    """Answers with unique ids, and classes as int64."""
    check_unique(path, answers, competition.id, "every photo has one row")
    last = competition.num_classes - 1
    classes = whole_numbers(path, answers, competition.answer_column, 0, last, competition.id)
    return answers.assign(**{competition.answer_column: classes})


def answer_columns(competition: Competition) -> list[str]:
    """The columns of a submission."""
    if competition.answer == "probabilities":
        return [competition.id, *competition.class_names]
    return [competition.id, competition.answer_column]


def describe_answers(competition: Competition) -> str:
    """What a submission has for each photo, in words."""
    last = competition.num_classes - 1
    return {
        "class": f"whole numbers 0..{last}",
        "name": "names of classes",
        "probability": f"probabilities of {competition.class_names[-1]}",
        "probabilities": f"probabilities of {last + 1} classes",
    }[competition.answer]


def _table(predicted: Predicted, competition: Competition) -> pd.DataFrame:
    """A submission's table, in the competition's form."""
    form, names = competition.answer, competition.class_names
    table = pd.DataFrame({competition.id: list(predicted.ids)})
    if form in ("class", "name"):
        classes = predicted.classes
        given = classes if form == "class" else np.array(names)[classes]
        return table.assign(**{competition.answer_column: given})
    if predicted.probs is None:
        raise KitError(
            f"competition {competition.name}: a submission holds probabilities, which votes and "
            "classes do not give"
        )
    # Rows sum to 1 to the digits that are written.
    probs = predicted.probs.astype(np.float64)
    probs /= probs.sum(axis=1, keepdims=True)
    if form == "probability":
        return table.assign(**{competition.answer_column: probs[:, 1]})
    return pd.concat([table, pd.DataFrame(probs, columns=list(names))], axis=1)


def write_submission(
    path: Path,
    predicted: Predicted,
    data: DataFolder,
    record: dict[str, Any],
    force: bool = False,
    wanted: str = "",
) -> dict[str, Any]:
    """Write a submission and its record, the `.json` beside it; the record with its `sha256`.

    What was written is read back and compared with the table of photos to predict before it is
    moved into place: ids and order must be equal exactly, and the file's SHA-256 must be the one
    `wanted`, where that is given.
    """
    competition, record_path = data.competition, path.with_suffix(".json")
    table = _table(predicted, competition)
    with atomic_write(record_path, force) as beside, atomic_write(path, force) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")
        read_submission(temporary, data, path)
        digest = file_hash(temporary)
        if wanted and digest != wanted:
            what = "is not made again: its classes differ from the record's"
            remedy = (
                "make it on the device and with the versions of torch and timm it was made with; "
                "nothing was written"
            )
            raise problem(path, what, remedy=remedy)
        record = record | {"sha256": digest}
        beside.write_bytes(json_bytes(record))
        # From here on the earlier file's record must not stand beside the new file.
        record_path.unlink(missing_ok=True)
    return record


def read_submission(path: Path, data: DataFolder, name: Path | None = None) -> np.ndarray:
    """The classes (N,) of a submission; errors call it `name`.

    Raises `KitError` unless its columns, ids and order are those of the photos to predict.
    """
    competition, name = data.competition, name or path
    columns = answer_columns(competition)
    answers, ids = read_answers(path, competition, strict=True), read_ids(data)
    header = read_header(path)
    if header != columns:
        remedy = f"write the columns {','.join(columns)} alone, as plain UTF-8 "
        remedy += "(to_csv(path, index=False))"
        said = _deviation(header, columns)
        raise problem(name, f"would not pass: it {said}", remedy=remedy)
    given = answers[competition.id].tolist()
    if given != ids:
        missing, extra = sorted(set(ids) - set(given)), sorted(set(given) - set(ids))
        what = "has ids not in" if extra and not missing else "has another order than"
        what = "lacks ids of" if missing else what
        remedy = "make it with python -m kit.ensemble"
        raise problem(
            name, f"would not pass: it {what} {data.test_table}", missing or extra, remedy
        )
    return answers[competition.answer_column].to_numpy()
