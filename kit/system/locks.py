"""File locks, which the kernel releases when their process ends, however it ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.system.console import warn
from kit.system.errors import problem

# A forked loader process inherits open files and their locks, and would hold these beyond the end
# of its parent: it closes them.
_locks: set[IO[str]] = set()

os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


@contextmanager
def lock_file(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a file in the block.

    If another process holds it, calls `waiting`, which may raise, and waits; without `waiting`
    raises `BlockingIOError`.
    """
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        _locks.add(file)
        try:
            yield
        finally:
            _locks.discard(file)


@contextmanager
def lock_folder(folder: Path, waiting: str = "") -> Iterator[None]:
    """Hold the lock of a folder in the block, and remove what a killed process left half-written.

    If another process holds it, warns with the text `waiting`, and waits; without a text raises
    `KitError`.
    """

    def report() -> None:
        if not waiting:
            raise problem(
                folder,
                "another process is training this fold",
                remedy="wait for it, or stop it first",
            )
        warn(f"{folder}: {waiting}")

    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / ".lock", report):
        for temporary in folder.glob(".*.tmp"):
            temporary.unlink()
        yield
