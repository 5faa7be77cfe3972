"""Locks that the kernel lets go of when their process ends, however it ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.system.console import warn
from kit.system.errors import problem

# A forked loader process inherits the open files, and with them the locks, which it would hold
# beyond the end of its parent.
_locks: set[IO[str]] = set()


os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


@contextmanager
def lock_file(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file; where another process does, raise `BlockingIOError`, or call `waiting`,
    which may raise, and wait.
    """
    with open(path, "w") as file:
        try:
            # The kernel lets go of it when the process ends, however it ends.
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
    """Hold a folder against a second process, and clear what a killed one left half-written.

    If another process holds it, raises `KitError`, or, with `waiting`, says that and waits.
    """

    def taken() -> None:
        if not waiting:
            raise problem(
                folder,
                "another process is training this fold",
                remedy="wait for it, or stop it first",
            )
        warn(f"{folder}: {waiting}")

    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / ".lock", taken):
        for half in folder.glob(".*.tmp"):
            half.unlink()
        yield
