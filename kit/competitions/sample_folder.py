"""The folder of a drawn sample: filled whole or not at all, and replaced only if it is one."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit import __version__
from kit.system.durable import make_folder, move
from kit.system.errors import problem
from kit.system.temporary import remove_left, temporary_path


@contextlib.contextmanager
def new_sample(out: Path, record: Mapping[str, object], force: bool) -> Iterator[Path]:
    """A folder to fill, which becomes `out` at the end, with `record` in its `sample.json`.

    `force` replaces a folder that this function has made, and no other. Raises `KitError` when
    `out` exists and may not be replaced.
    """
    out = Path(out).resolve()  # `.` and links have a parent and a name for the renames
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not force:
            remedy = "choose another --out, or --force to draw it anew"
            raise problem(out, "exists already", remedy=remedy)
        if not _is_sample(out):
            what = "is no drawn sample (it has no sample.json of this command), so --force leaves "
            raise problem(out, f"{what}it alone", remedy="choose another --out")
    with _renamed_at_the_end(out) as folder:
        yield folder
        made = {"made_by": "kit.sample", "kit": __version__, **record}
        write_text(folder / "sample.json", json.dumps(made, indent=2) + "\n")


def check_sizes(sizes: Mapping[str, tuple[int, int, str]]) -> None:
    """Raise `KitError` for an option below its least value; `sizes` has value, least and why."""
    for option, (value, least, why) in sizes.items():
        if value < least:
            reason = f", {why}" if why else ""
            raise problem(option, f"is {value}", remedy=f"take {least} or more{reason}")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8 with the same line ends on any machine."""
    path.write_text(text, encoding="utf-8", newline="\n")


def _is_sample(folder: Path) -> bool:
    try:
        record = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("made_by") == "kit.sample"


@contextlib.contextmanager
def _renamed_at_the_end(out: Path) -> Iterator[Path]:
    """A sibling folder to fill, renamed to `out` at the end and removed when filling it fails.

    What a killed process left of it goes first. Its files, of which there may be thousands, are
    synced all at once before it is renamed.
    """
    make_folder(out.parent)
    remove_left(out)
    new, old = (temporary_path(out.with_name(f"{out.name}.{end}")) for end in ("new", "old"))
    new.mkdir()
    try:
        yield new
        os.sync()
        if out.exists():
            out.rename(old)
        try:
            move(new, out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    if old.exists():
        shutil.rmtree(old)
