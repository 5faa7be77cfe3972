"""File locks, which the kernel releases when their process ends, however it ends."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from kit.system.console import duration, warn
from kit.system.errors import problem
from kit.system.temporary import is_left

# The errors of `flock` on file systems without locks: some of Lustre, FUSE and NFS.
_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
# A forked loader process inherits open files and their locks, and would hold these beyond the end
# of its parent: it closes them.
_locks: set[IO[str]] = set()
_unlocked: set[int] = set()  # the file systems without locks that were told of, by their numbers

os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


@contextmanager
def lock_file(
    path: Path, waiting: Callable[[], None] | None = None, seconds: float = 0, strict: bool = False
) -> Iterator[None]:
    """Hold the lock of a file in the block.

    If another process holds it, waits for so many `seconds`. If it still does, calls `waiting`,
    which may raise, and waits for as long as it takes; without `waiting` raises `BlockingIOError`.
    On a file system without locks the block runs without one, after one warning a process and file
    system; if `strict`, `OSError` is raised instead.
    """
    with open(path, "w") as file:
        try:
            if not _lock_within(file, seconds):
                if waiting is None:
                    raise BlockingIOError
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if strict or error.errno not in _NO_LOCKS:
                raise
            _warn_unlocked(path.parent, error)
        _locks.add(file)
        try:
            yield
        finally:
            _locks.discard(file)


def _lock_within(file: IO[str], seconds: float) -> bool:
    """True if this process has the lock of a file, after at most so many seconds."""
    end, told = time.monotonic() + seconds, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
        if not told:
            warn(f"{file.name}: another process has the lock; waiting up to {duration(seconds)}")
            told = True
        time.sleep(1)


def _warn_unlocked(folder: Path, error: OSError) -> None:
    """Warn, once for each file system, that a folder's files cannot be locked."""
    number = folder.stat().st_dev
    if number not in _unlocked:
        _unlocked.add(number)
        warn(
            f"{folder}: its file system has no locks ({error.strerror or error}): processes that "
            "write there at once are not kept apart; of two that train one fold, the file .owner "
            "stops the older one at its next write"
        )


@contextmanager
def lock_folder(folder: Path, waiting: str = "", seconds: float = 0) -> Iterator[None]:
    """Hold the lock of a folder in the block, and remove what a killed process left half-written.

    If another process holds it, warns with the text `waiting`, and waits; without a text raises
    `KitError`, after waiting for so many `seconds`: the server of a network file system keeps the
    lock of a lost machine for a while.
    """

    def report() -> None:
        if not waiting:
            raise problem(
                folder,
                "another process is training this fold",
                remedy="wait for it, or stop it first",
            ) from BlockingIOError()  # of the system, not of what is trained
        warn(f"{folder}: {waiting}")

    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / ".lock", report, seconds):
        for temporary in folder.glob(".*.tmp"):
            if is_left(temporary):
                temporary.unlink(missing_ok=True)
        yield
