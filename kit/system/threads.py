"""The number of CPU threads of a training, which shares the cores with others on the machine."""

import contextlib
import fcntl
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from kit.system.locks import lock_file, user_folder

_CGROUPS = Path("/sys/fs/cgroup")


def quota(groups: Path = _CGROUPS) -> float:
    """The cores' worth of time that this process's container may take; infinite without a limit.

    `groups` is where control groups are mounted, of version 2 (`cpu.max`) or version 1.
    """
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            text = " ".join((groups / name).read_text(encoding="utf-8") for name in names)
        except OSError:
            continue
        numbers = re.fullmatch(r"(\d+)\s+([1-9]\d*)\s*", text)  # else max, or -1: no limit
        return int(numbers[1]) / int(numbers[2]) if numbers else math.inf
    return math.inf


def machine_cores() -> int:
    """The processor cores that this process may use: its affinity, and its container's quota."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return max(1, math.ceil(min(len(affinity), quota())))


def limit_threads() -> int:
    """The number of torch's threads, which are no more than `machine_cores` from here on.

    torch starts one for each core of the machine, of which a container may use a few.
    `OMP_NUM_THREADS` overrides it.
    """
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > machine_cores():
        torch.set_num_threads(machine_cores())
    return torch.get_num_threads()


_THREADS = limit_threads()
_taken: list[int] = []  # the cores that this process was given as its share, if it was


@contextlib.contextmanager
def count_training() -> Iterator[None]:
    """Count this process among the machine's trainings while the block runs.

    It has a locked file, whose lock the kernel releases when it ends. If no file can be written or
    locked for it, it does not count.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = user_folder() / f"{os.getpid()}.lock"
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(lock_file(path, strict=True))
        yield


def other_trainings() -> int:
    """The number of other processes of this user that train on this machine now."""
    number, paths = 0, list[Path]()
    with contextlib.suppress(OSError):
        paths = list(user_folder().glob("*.lock"))
    for path in paths:
        if path.stem == str(os.getpid()):
            continue
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
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
    changes how sums are rounded, so that a resumed training keeps the one it began with. The share
    is what `take_cores` has said; else `OMP_NUM_THREADS` overrides both.
    """
    if _taken:
        torch.set_num_threads(min(begun_with or _taken[0], machine_cores()))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(
            min(begun_with, _THREADS) if begun_with else max(1, _THREADS // (1 + other_trainings()))
        )
    return torch.get_num_threads()


def wanted_threads(most: int) -> int:
    """The threads for a job that has `most` cores of a CPU: fewer if OMP_NUM_THREADS says so."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(most, int(wanted))) if wanted.isdecimal() else most


def take_cores(number: int) -> None:
    """Let this process use `number` cores, as its share of a machine that runs several jobs.

    `cores` and the threads of a training follow from it, whatever OMP_NUM_THREADS says.
    """
    _taken[:] = [max(1, number)]


def cores() -> int:
    """The number of processor cores that this process may use."""
    return min([machine_cores(), *_taken])
