"""File locks, which the kernel releases when their process ends, however it ends."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from kit.system.console import duration, warn
from kit.system.durable import make_folder
from kit.system.errors import problem
from kit.system.soft_lock import SoftLock
from kit.system.temporary import is_left

# The errors of `flock` on file systems without locks: some of Lustre, FUSE and NFS.
_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
# A forked loader process inherits open files and their locks, and would hold these beyond the end
# of its parent: it closes them.
_locks: set[IO[str]] = set()
_unlocked: set[int] = set()  # the file systems without locks that were told of, by their numbers

os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


class _KernelLock:
    """The lock of an open file, by `flock`."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def take(self) -> bool:
        """Take the lock if it is free; True if this process has it now."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self) -> None:
        """Take the lock as soon as it is free."""
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def release(self) -> None:
        """Leave the lock to the kernel, which gives it back when the file is closed."""


@contextmanager
def lock_file(
    path: Path, waiting: Callable[[], None] | None = None, seconds: float = 0, strict: bool = False
) -> Iterator[None]:
    """Hold the lock of a file in the block.

    If another process holds it, waits for so many `seconds`. If it still does, calls `waiting`,
    which may raise, and waits for as long as it takes; without `waiting` raises `BlockingIOError`.
    On a file system without locks a `SoftLock` stands for it, after one warning a process and file
    system; if `strict`, `OSError` is raised instead.
    """
    with open(path, "w", encoding="utf-8") as file:
        lock: _KernelLock | SoftLock = _KernelLock(file)
        try:
            taken = lock.take()
        except OSError as error:
            if strict or error.errno not in _NO_LOCKS:
                raise
            _warn_unlocked(path.parent, error)
            lock = SoftLock(path)
            taken = lock.take()
        if not taken and not _is_taken_within(lock, path, seconds):
            if waiting is None:
                raise BlockingIOError
            waiting()
            lock.wait()
        _locks.add(file)
        try:
            yield
        finally:
            _locks.discard(file)
            lock.release()


def _is_taken_within(lock: _KernelLock | SoftLock, path: Path, seconds: float) -> bool:
    """True if this process has taken a lock after at most so many seconds."""
    end = time.monotonic() + seconds
    if seconds:
        warn(f"{path}: another process has the lock; waiting up to {duration(seconds)}")
    while time.monotonic() < end:
        time.sleep(1)
        if lock.take():
            return True
    return False


def _warn_unlocked(folder: Path, error: OSError) -> None:
    """Warn, once for each file system, by what its files are locked instead."""
    number = folder.stat().st_dev
    if number not in _unlocked:
        _unlocked.add(number)
        warn(
            f"{folder}: its file system has no locks ({error.strerror or error}): instead a file "
            "beside each, *.held, names the host and the process that work there; should two train "
            "one fold all the same, the file .owner stops the older one at its next write"
        )


def user_folder() -> Path:
    """The folder of files that processes of this user on this machine lock.

    Raises `OSError` if it cannot be made or is another user's.
    """
    folder = Path(tempfile.gettempdir()) / f"kfold-kit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


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

    make_folder(folder)
    with lock_file(folder / ".lock", report, seconds):
        for temporary in folder.glob(".*.tmp"):
            # A folder is one of pixels, which the next process that makes such a one removes.
            if not temporary.is_dir() and is_left(temporary):
                temporary.unlink(missing_ok=True)
        yield
