"""The record beside a submission as a file: whether it is there, whole, and of that submission."""

import contextlib
from pathlib import Path
from typing import Any

from kit.system.checksum import CHECKSUM
from kit.system.disk import file_hash, parse_json, read_json
from kit.system.errors import KitError, problem


def record_beside(path: Path) -> dict[str, Any] | None:
    """The record beside a submission; None if there is none, or a JSON object of something else.

    Raises `KitError` for a damaged one.
    """
    record = path.with_suffix(".json")
    if not record.is_file() or record == path:
        return None
    with contextlib.suppress(ValueError, OSError):
        content = parse_json(record.read_text(encoding="utf-8"))
        if not (isinstance(content, dict) and {CHECKSUM, "sha256", "members"} & content.keys()):
            return None
    return read_json(record, "delete it, for the submission stands alone, or make both again")


def is_replaceable(record: Path) -> bool:
    """True if a file is a record that a submission made anew may replace, whole or damaged."""
    try:
        content = parse_json(record.read_text(encoding="utf-8")) if record.is_file() else None
    except (ValueError, OSError):
        return False
    return isinstance(content, dict) and {"kit", "sha256", "members"} <= content.keys()


def check_record(path: Path) -> None:
    """Raise `KitError` if the record beside a submission is damaged, or of another one."""
    record = record_beside(path) if path.exists() else None
    if record is not None and record.get("sha256") != file_hash(path):
        name = path.with_suffix(".json").name
        raise problem(
            path,
            f"is not the file that {name} beside it describes: it is damaged, or was changed",
            remedy="make it again by the record's command, or give a changed one another name",
        )


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a submission; None without a whole one, or if it is of another file."""
    try:
        record = record_beside(path)
        return record if record and record.get("sha256") == file_hash(path) else None
    except KitError:
        return None
