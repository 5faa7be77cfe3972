"""The number of CPU threads of a training, which shares the cores with others on the machine."""

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
    """The folder with a locked file for each training of this user on this machine.

    The kernel releases a lock when its training ends. Raises `OSError` if the folder cannot be made
    or is another user's.
    """
    folder = Path(tempfile.gettempdir()) / f"kfold-kit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


@contextlib.contextmanager
def count_training() -> Iterator[None]:
    """Count this process among the machine's trainings while the block runs.

    If no file can be written for it, it does not count.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = _trainings() / f"{os.getpid()}.lock"
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(lock_file(path))
        yield


def other_trainings() -> int:
    """The number of other processes of this user that train on this machine now."""
    number, paths = 0, list[Path]()
    with contextlib.suppress(OSError):
        paths = list(_trainings().glob("*.lock"))
    for path in paths:
        if path.stem == str(os.getpid()):
            continue
        with contextlib.suppress(OSError), open(path, "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)  # its training was killed
            except BlockingIOError:
                number += 1
    return number


def share_threads(begun_with: int | None = None) -> int:
    """Set torch's number of CPU threads, and return it: `begun_with`, else this training's share.

    Trainings side by side share the cores: with more threads than cores each thread waits,
    spinning, for one that has no core, and all trainings take several times as long. The number
    changes how sums are rounded, so that a resumed training keeps the one it began with.
    `OMP_NUM_THREADS` overrides both.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(
            min(begun_with, _THREADS) if begun_with else max(1, _THREADS // (1 + other_trainings()))
        )
    return torch.get_num_threads()


_taken: list[int] = []  # the cores that this process was given as its share, if it was


def take_cores(number: int) -> None:
    """Let this process use `number` cores, as its share of a machine that runs several jobs.

    `cores` and the threads of a training follow from it, whatever OMP_NUM_THREADS says.
    """
    _taken[:] = [max(1, number)]


def cores() -> int:
    """The number of processor cores that this process may use."""
    number = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min([number, *_taken])
