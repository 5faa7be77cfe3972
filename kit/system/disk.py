"""Files: atomic writes, hashes, JSON, and where an output may be written."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kit.system.checksum import DAMAGED, with_checksum, without_checksum
from kit.system.durable import make_folder, move, sync_file, sync_folder
from kit.system.errors import did_you_mean, problem, unreadable
from kit.system.inputs import open_input, read_input
from kit.system.temporary import remove_left, temporary_path

_LARGEST_JSON: Final = 2**30  # bytes; a plan's record of a million photos has some 100 MB

# The checks of folders that are guarded in this process.
_guards: dict[Path, Callable[[], None]] = {}


@contextmanager
def guarded(folder: Path, check: Callable[[], None]) -> Iterator[None]:
    """Call `check`, which may raise, before anything in a folder is replaced or removed.

    This holds in the block, for this process, and for what `atomic_write` and `remove` do.
    """
    place = folder.resolve()
    _guards[place] = check
    try:
        yield
    finally:
        del _guards[place]


def check_guard(path: Path) -> None:
    """Run the check of a guarded folder that is `path` or holds it."""
    place = path.resolve() if _guards else path
    for folder in [place, *place.parents]:
        if folder in _guards:
            _guards[folder]()


def remove(*paths: Path) -> None:
    """Remove files that exist, if their folders' guards do not raise, for good.

    What is written from here on is written after that, even if the power fails.
    """
    removed = dict[Path, None]()
    for path in paths:
        check_guard(path)
        with suppress(FileNotFoundError):
            path.unlink()
            removed[path.parent] = None
    for folder in removed:
        sync_folder(folder)


@contextmanager
def atomic_write(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path, and move the file to `path` if the block ends well.

    Otherwise nothing is left behind; what a killed process left of the same file goes first. The
    file is on the disk before it is moved, and the move is before this returns. Raises `KitError`
    before the block runs if `path` exists, unless `force`, and at its end what the guard of the
    folder raises.
    """
    if not force:
        refuse_existing(path)
    temporary = temporary_path(path)
    try:
        make_folder(path.parent)
        remove_left(path)
        yield temporary
        sync_file(temporary)
        check_guard(path)  # as late as can be
        move(temporary, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise problem(
            path,
            f"cannot be written: {error.strerror or error}",
            remedy="free some space, and start again" if full else "name another place",
        ) from error
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # the folder itself is the problem, which the error above names


def check_output(
    path: Path,
    what: str = "",
    *,
    suffixes: Sequence[str] = (),
    option: str = "--out",
    inputs: Iterable[Path] = (),
    force: bool = False,
) -> None:
    """Raise `KitError` unless an output may be written to `path`.

    Its name must end in one of `suffixes` (in that error `what` is the output, such as `a page`,
    and `option` names it); it must not lie over or in one of `inputs`, nor exist, unless `force`;
    and its folder must be writable.
    """
    if suffixes and path.suffix not in suffixes:
        remedy = f"let {option} end in {' or '.join(suffixes)}"
        raise problem(path, f"is no name for {what}", remedy=remedy)
    refuse_input(path, inputs)
    if not force:
        refuse_existing(path)
    elif path.is_dir():
        raise problem(path, "is a folder", remedy="choose another name")
    check_writable(path)


def refuse_existing(*paths: Path) -> None:
    """Raise `KitError` if an output exists: nothing is overwritten without `--force`."""
    existing = [path for path in paths if path.exists()]
    if existing:
        raise problem(
            existing[0], "exists already", remedy="choose another name, or --force to overwrite it"
        )


def refuse_input(path: Path, inputs: Iterable[Path]) -> None:
    """Raise `KitError` if an output would lie over or in an input, even with `--force`.

    Inputs are files and folders.
    """
    place = path.resolve()
    over = [source for source in inputs if source.resolve() in (place, *place.parents)]
    if over:
        remedy = f"choose a place outside of {over[0].resolve()}"
        raise problem(path, "is a place of input files", remedy=remedy)


def check_writable(path: Path) -> None:
    """Raise `KitError` if the folder of a file cannot be written to, or made."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise problem(
            path,
            f"cannot be written: {folder} is read-only, or no folder",
            remedy="choose another place",
        )


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open_input(path) as file:
        try:
            return (
                hashlib.file_digest(file, "sha256").hexdigest()
                if hasattr(hashlib, "file_digest")
                else hashlib.sha256(file.read()).hexdigest()
            )
        except OSError as error:
            raise unreadable(path, error) from error


def text_hash(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, content: dict[str, Any], force: bool = False) -> None:
    """Write a dict as JSON that people can read, with its checksum."""
    with atomic_write(path, force) as temporary:
        temporary.write_bytes(json_bytes(with_checksum(content)))


def json_bytes(content: dict[str, Any]) -> bytes:
    """A dict as JSON in UTF-8, a line a value.

    Text that is no UTF-8, such as a path, is escaped.
    """
    try:
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # escaped, it can be read back
        return (json.dumps(content, indent=1) + "\n").encode()


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The dict that `write_json` has written, checked by its checksum."""
    try:
        content = parse_json(read_input(path, _LARGEST_JSON, remedy).decode("utf-8"))
    except ValueError as error:
        raise problem(path, f"is no JSON ({error})", remedy=remedy) from error
    if not isinstance(content, dict):
        raise problem(path, "holds no JSON object", remedy=remedy)
    try:
        return without_checksum(content)
    except ValueError as error:
        raise problem(path, DAMAGED, remedy=remedy) from error


def parse_json(text: str) -> Any:
    """What a text of JSON says; raises `ValueError` for one that is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def near(path: Path) -> str:
    """` (did you mean X?)` for a missing `path`, by the most similar name in its folder."""
    try:
        return did_you_mean(
            str(path), [str(path.parent / other.name) for other in path.parent.iterdir()]
        )
    except OSError:
        return ""
