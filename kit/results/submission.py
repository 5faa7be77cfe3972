"""Submissions: read, written, and compared with the table of photos to predict."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.folder import DataFolder, read_ids
from kit.results.probs import read_foreign_probs
from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash, json_bytes
from kit.system.errors import problem
from kit.system.table import check_unique, read_csv, read_header, whole_numbers


def read_answers(path: Path, competition: Competition, strict: bool = False) -> pd.DataFrame:
    """A submission or an answers file: the ids (text, unique) and classes (int64, 0..C-1).

    The columns are the competition's `id` and `answer`, in the file's order. Answers may say which
    group a photo is of, in a column of that name. Unless `strict`, three faults of a submission are
    taken with a warning: an index column, whole numbers written as 3.0, and probabilities, of which
    the most probable class is taken.
    """
    columns = [competition.id, competition.answer]
    if strict:
        return _classes(path, read_csv(path, columns), competition)
    header = read_header(path)
    names = set(header)
    numbered = names.issuperset(map(str, range(competition.classes)))
    if competition.answer not in names and (numbered or names >= set(competition.class_names)):
        probs = read_foreign_probs(path, competition)
        warn(f"{path}: holds probabilities, and no classes; the most probable ones are compared")
        classes = probs.probs.argmax(axis=1).astype(np.int64)
        return pd.DataFrame({competition.id: probs.ids, competition.answer: classes})
    answers = read_csv(path, columns, [competition.group])
    if header and header not in (columns, [*columns, competition.group]):
        said = _deviation(header, columns)
        warn(f"{path}: {said}; that can be read, but is no form for a submission")
    return _classes(path, _without_fractions(path, answers, competition.answer), competition)


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
    last = competition.classes - 1
    classes = whole_numbers(path, answers, competition.answer, 0, last, competition.id)
    return answers.assign(**{competition.answer: classes})


def write_submission(
    path: Path,
    predicted: tuple[Sequence[str], np.ndarray],
    data: DataFolder,
    record: dict[str, Any],
    force: bool = False,
    wanted: str = "",
) -> dict[str, Any]:
    """Write a submission and its record, the `.json` beside it; the record with its `sha256`.

    `predicted` are N ids and N classes. What was written is read back and compared with the table
    of photos to predict before it is moved into place: ids and order must be equal exactly, and the
    file's SHA-256 must be the one `wanted`, where that is given.
    """
    competition, record_path = data.competition, path.with_suffix(".json")
    table = pd.DataFrame(dict(zip((competition.id, competition.answer), predicted)))
    with atomic_write(record_path, force) as beside, atomic_write(path, force) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
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
    columns = [competition.id, competition.answer]
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
    return answers[competition.answer].to_numpy()
