"""What a machine sees of what a command's jobs need, compared with what another one sees."""

import functools
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import kit
from kit.scale.job import Shared
from kit.system.disk import check_writable, file_hash
from kit.system.durable import make_folder
from kit.system.errors import KitError, problem
from kit.system.versions import versions

Sight = Mapping[str, str]  # what is seen, by the name of the package or by the path
_ABSENT = "nothing"
_WRITABLE = "the folder of results"


@contextmanager
def marked(folder: Path) -> Iterator[str]:
    """In the block a folder has a file of a new name, by which other machines know it."""
    check_writable(folder / "file")
    make_folder(folder)
    with tempfile.NamedTemporaryFile(prefix=".seen-", dir=folder) as file:
        yield Path(file.name).name


def look(shared: Shared, mark: str) -> Sight:
    """What this machine sees: versions of packages, hashes of files, and its folders.

    `mark` is the name of a file that the folder of results must have.
    """
    packages = {name: version.partition("+")[0] for name, version in versions().items()}
    packages |= {"Python": ".".join(map(str, sys.version_info[:2])), "kit": kit_hash()}
    files = {str(path): _look_at(path) for path in shared.read}
    return packages | files | {str(shared.written): _look_into(shared.written, mark)}


def check_sight(node: str, seen: Sight, here: Sight) -> None:
    """Raise `KitError` if a node sees anything else than this machine."""
    for name, value in here.items():
        other = seen.get(name, _ABSENT)
        if other == value:
            continue
        if name == "kit":
            what, remedy = "has another version of the kit", "install the same one on all machines"
        elif not name.startswith("/"):
            what = f"has {name} {other or _ABSENT}, this machine {value or _ABSENT}"
            remedy = "install the same versions on all machines"
        else:
            what = f"sees {other} at {name}, and this machine {value}"
            remedy = "mount the same folder at the same path on all machines"
        raise problem(f"node {node}", what, remedy=remedy)


@functools.cache
def kit_hash() -> str:
    """A hash over the kit's own code."""
    root, digest = Path(kit.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _look_at(path: Path) -> str:
    """What lies at a path, in words: a folder, a file by its hash, or nothing."""
    if path.is_dir():
        return "a folder"
    try:
        return f"the file {file_hash(path)[:12]}"
    except KitError:
        return _ABSENT


def _look_into(folder: Path, mark: str) -> str:
    """What a folder of results is, in words: the one with the mark, if it can be written to."""
    if not folder.is_dir():
        return _ABSENT
    if not (folder / mark).exists():
        return "another folder"
    try:
        with tempfile.NamedTemporaryFile(prefix=".seen-", dir=folder):
            return _WRITABLE
    except OSError as error:
        return f"a folder that cannot be written to ({error.strerror})"
