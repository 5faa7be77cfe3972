"""How many threads compute on the CPU, shared with other trainings on the machine."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from kit.system.locks import lock_file

_THREADS = torch.get_num_threads()


def _trainings() -> Path:
    """Where the trainings of a machine and user find each other: a locked file each, which the
    kernel lets go of at its end.

    Raises `OSError` where there is no such place that is the user's own.
    """
    folder = Path(tempfile.gettempdir()) / f"kfold-kit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


@contextlib.contextmanager
def count_training() -> Iterator[None]:
    """Count this process among the machine's trainings as long as the block runs; where no file can
    be written, it is not.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = _trainings() / f"{os.getpid()}.lock"
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(lock_file(path))
        yield


def other_trainings() -> int:
    """How many other processes on this machine are training now, of this user."""
    number, paths = 0, list[Path]()
    with contextlib.suppress(OSError):
        paths = list(_trainings().glob("*.lock"))
    for path in paths:
        if path.stem == str(os.getpid()):
            continue
        with contextlib.suppress(OSError), open(path, "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)  # of one that was killed
            except BlockingIOError:
                number += 1
    return number


def share_threads(begun_with: int | None = None) -> int:
    """Set how many threads compute on the CPU, and return it: those that a training began with,
    else its share.

    Trainings side by side share the cores: with more threads than cores each one waits, spinning,
    for one that has no core, and all take several times as long. `OMP_NUM_THREADS` overrides both.
    The number changes how sums are rounded, so that a training keeps that which it began with.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(
            min(begun_with, _THREADS) if begun_with else max(1, _THREADS // (1 + other_trainings()))
        )
    return torch.get_num_threads()


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
