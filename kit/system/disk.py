"""Files: atomic writes, hashes, JSON, and the places that nothing may be written to."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.system.errors import KitError, did_you_mean, problem


@contextmanager
def atomic_write(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place if the block ends well, else leave
    nothing behind.

    An existing `path` is refused unless `force`, before the block runs.
    """
    if not force:
        refuse_existing(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
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
            pass  # The place itself is the problem, and was named above.


def refuse_existing(*paths: Path) -> None:
    """Raise if any of the outputs exists: nothing is overwritten without `--force`."""
    found = [path for path in paths if path.exists()]
    if found:
        raise problem(
            found[0], "exists already", remedy="choose another name, or --force to overwrite it"
        )


def refuse_input(out: Path, inputs: Iterable[Path]) -> None:
    """Raise `KitError` if an output would lie over or in an input, whatever `--force` says."""
    place = out.resolve()
    if any(path.resolve() in (place, *place.parents) for path in inputs):
        raise problem(out, "is a place of input files", remedy="choose another place")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    try:
        with open(path, "rb") as file:
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
    """Write a dict as JSON that people can read."""
    with atomic_write(path, force) as temporary:
        temporary.write_bytes(json_bytes(content))


def json_bytes(content: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a path that is no UTF-8: escaped, it can be read back
        return (json.dumps(content, indent=1) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise problem(path, f"is no JSON ({error})", remedy="make it again") from error
    if not isinstance(content, dict):
        raise problem(path, "holds no JSON object", remedy="make it again")
    return content


def unreadable(path: Path, error: OSError) -> KitError:
    return problem(path, f"cannot be read: {error.strerror or error}", remedy="check the path")


def check_writable(path: Path) -> None:
    """Raise `KitError` where a file could not be written for its folder."""
    place = next(folder for folder in path.absolute().parents if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise problem(
            path,
            f"cannot be written: {place} is read-only, or no folder",
            remedy="choose another place",
        )


def near(path: Path) -> str:
    """The name beside a path that is not there which was most likely meant, for a message."""
    try:
        return did_you_mean(
            str(path), [str(path.parent / other.name) for other in path.parent.iterdir()]
        )
    except OSError:
        return ""
