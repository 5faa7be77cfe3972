"""Submissions that a killed process has begun: the record, which comes first, stands alone."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kit.system.disk import read_json, write_json
from kit.system.errors import KitError


def made_by(record: dict[str, Any]) -> str:
    """The command line that made the submission of a record; empty if it says none."""
    return str(record.get("remade_by") or record.get("command") or "")


def is_unfinished(path: Path, command: str) -> bool:
    """True if a command line was killed before it had written its submission to `path`.

    The record is written before the submission, and stands there alone.
    """
    record = path.with_suffix(".json")
    if not command or path.exists() or not record.exists():
        return False
    try:
        return made_by(read_json(record)) == command
    except KitError:
        return False


@contextlib.contextmanager
def begun(path: Path, record: dict[str, Any]) -> Iterator[None]:
    """Let the record of a submission to come stand alone while the block writes what belongs to it.

    If the process is killed, the same command knows those files as its own.
    """
    beside = path.with_suffix(".json")
    if path.exists() or not made_by(record):
        yield
        return
    write_json(beside, record | {"sha256": ""}, force=True)
    try:
        yield
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
