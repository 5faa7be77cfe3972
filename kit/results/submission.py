"""Submissions: read, written, and held against `info.csv`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competitions.mask import CLASS_NAMES, NUM_CLASSES
from kit.data.folder import ANSWER_COLUMNS, read_info
from kit.results.probs import read_foreign_probs
from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash, json_bytes
from kit.system.errors import problem
from kit.system.table import check_unique, read_csv, read_header, whole_numbers


def read_answers(path: Path, strict: bool = False) -> pd.DataFrame:
    """A submission or an answers file: `ImageID` (text, unique) and `ans` (int64, 0..17), in the
    file's order.

    Answers may say whose photos they are, in a column `person`. What a submission must not be, but
    can be understood, is taken with a warning unless `strict`: an index column, whole numbers
    written as 3.0, and probabilities, of which the most probable class is taken.
    """
    if strict:
        return _classes(path, read_csv(path, ANSWER_COLUMNS))
    header = read_header(path)
    names = set(header)
    if "ans" not in names and (
        names.issuperset(map(str, range(NUM_CLASSES))) or names.issuperset(CLASS_NAMES)
    ):
        probs = read_foreign_probs(path)
        warn(f"{path}: holds probabilities, and no classes; the most probable ones are compared")
        return pd.DataFrame(
            {"ImageID": probs.ids, "ans": probs.probs.argmax(axis=1).astype(np.int64)}
        )
    answers = read_csv(path, ANSWER_COLUMNS, ["person"])
    if header and header not in (list(ANSWER_COLUMNS), [*ANSWER_COLUMNS, "person"]):
        warn(f"{path}: {_deviation(header)}; that can be read, but is no form for a submission")
    whole = {
        value: value.partition(".")[0]
        for value in answers["ans"].unique()
        if re.fullmatch(r"[0-9]{1,2}\.0+", value)
    }
    if whole:
        floats = answers["ans"].isin(list(whole))
        warn(
            f"{path}: holds {int(floats.sum()):,} classes written as "
            f"{answers['ans'][floats].iloc[0]}; a submission must have "
            "whole numbers (astype(int))"
        )
        answers = answers.assign(ans=answers["ans"].replace(whole))
    return _classes(path, answers)


def _deviation(header: Sequence[str]) -> str:
    """What a submission's header has that it must not have."""
    if header and header[0].startswith("\ufeff"):
        return "begins with a byte-order mark"
    if header and header[0] in ("", "Unnamed: 0"):
        return "has an index column"
    other = [name for name in header if name.strip() not in ANSWER_COLUMNS]
    return (
        f"has the column {other[0][:40]!r}"
        if other
        else f"has the header {','.join(header)[:80]!r}"
    )


def _classes(path: Path, answers: pd.DataFrame) -> pd.DataFrame:
    """Answers with unique ids and `ans` as int64."""
    check_unique(path, answers, "ImageID", "every photo has one row")
    return answers.assign(ans=whole_numbers(path, answers, "ans", 0, NUM_CLASSES - 1, "ImageID"))


def write_submission(
    path: Path,
    ids: Sequence[str],
    classes: np.ndarray,
    info: Path,
    record: dict[str, Any],
    force: bool = False,
    wanted: str = "",
) -> dict[str, Any]:
    """Write a submission and its record, the `.json` beside it, which is returned with the
    submission's `sha256` in it.

    What was written is read back and held against `info.csv` before it is moved into place. `ids`
    are N texts and `classes` N ints; ids and order must equal those of `info` exactly, and the
    file's SHA-256 `wanted`, where that is given.
    """
    record_path = path.with_suffix(".json")
    with atomic_write(record_path, force) as kept, atomic_write(path, force) as temporary:
        pd.DataFrame({"ImageID": ids, "ans": classes}).to_csv(
            temporary, index=False, lineterminator="\n"
        )
        read_submission(temporary, info, path)
        if wanted and file_hash(temporary) != wanted:
            raise problem(
                path,
                "is not made again: the classes are others than those of the record",
                remedy="make it on the "
                "device and with the versions of torch and timm it was made with; nothing was "
                "written",
            )
        record = record | {"sha256": file_hash(temporary)}
        kept.write_bytes(json_bytes(record))
        record_path.unlink(
            missing_ok=True
        )  # whatever happens from here: the record of the file before is none of this one
    return record


def read_submission(path: Path, info: Path, name: Path | None = None) -> np.ndarray:
    """The classes (N,) of a submission whose columns, ids and order are those of `info`; errors
    call it `name`.
    """
    answers, expected, header = read_answers(path, strict=True), read_info(info), read_header(path)
    if header != list(ANSWER_COLUMNS):
        raise problem(
            name or path,
            f"would not pass: it {_deviation(header)}",
            remedy=f"write the columns {','.join(ANSWER_COLUMNS)} alone, as plain UTF-8 "
            "(to_csv(path, index=False))",
        )
    if answers["ImageID"].tolist() != expected:
        missing = sorted(set(expected) - set(answers["ImageID"]))
        extra = sorted(set(answers["ImageID"]) - set(expected))
        what = (
            "lacks ids of" if missing else "has ids not in" if extra else "has another order than"
        )
        raise problem(
            name or path,
            f"would not pass: it {what} {info}",
            missing or extra,
            "make it with python -m kit.ensemble",
        )
    return answers["ans"].to_numpy()
