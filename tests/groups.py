"""Groups of processes that tests share: by torchrun, and of threads of this process."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from kit.scale.group import Group
from kit.scale.ranks import Ranks


def torchrun(size: int, *words: object) -> subprocess.Popen:
    """Start a script, or `-m` and a module, in so many processes."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "0"]
    return subprocess.Popen(
        [*start, "--nproc-per-node", str(size), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def signal_rank(process: subprocess.Popen, rank: int, number: signal.Signals) -> None:
    """Send a signal to one of the processes that a torchrun has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    of_rank = f"RANK={rank}".encode()
    (pid,) = [
        p for p in children if of_rank in Path(f"/proc/{p}/environ").read_bytes().split(b"\0")
    ]
    os.kill(int(pid), number)


@dataclasses.dataclass(frozen=True)
class Threads(Group):
    """One of a group of threads, which meet to add up their tensors."""

    parts: dict[int, list[torch.Tensor]] = dataclasses.field(default_factory=dict)
    meeting: threading.Barrier = threading.Barrier(1)

    def sum(self, tensors: Any) -> None:
        self.parts[self.ranks.rank] = [tensor.detach().clone() for tensor in tensors]
        self.meeting.wait(60)
        for n, tensor in enumerate(tensors):
            with torch.no_grad():
                tensor.copy_(sum(self.parts[rank][n] for rank in range(self.size)))
        self.meeting.wait(60)


def in_threads(
    size: int, make: Callable[[Group], Any], work: Callable[[Any], Any]
) -> Iterator[Any]:
    """What `work` returns, in each of a group of threads, of what `make` has made for its group.

    By rank. All are made first, for threads share torch's random numbers.
    """
    parts, meeting = {}, threading.Barrier(size)
    groups = [Threads(Ranks(rank, size), None, parts, meeting) for rank in range(size)]
    made = [make(group) for group in groups]
    with ThreadPoolExecutor(size) as pool:
        return pool.map(work, made)
