"""Processes that work on one thing together, by torch.distributed, or a process that works alone.

Tensors on a GPU travel by NCCL, all others by gloo. What may take one process much longer than
the others, and the end of a process, goes through the store by which they found each other:
it has no time limit, and a signal ends the waiting.
"""

import contextlib
import datetime
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from kit.scale.ranks import Ranks
from kit.system.console import mute
from kit.system.device import out_of_memory
from kit.system.errors import KitError, problem
from kit.system.signals import be_patient
from kit.system.threads import cores, take_cores

# How long a process waits for the others in one exchange, before it ends with an error.
_TIMEOUT: Final = datetime.timedelta(minutes=10)
# How long the others wait for process 0 when all stop: it tells how to go on.
_GOODBYE: Final = datetime.timedelta(seconds=3)
_ENDED: Final = "kit: ended"  # in the store: how many processes have ended by an exception
_LAST_WORD: Final = "kit: last word"  # in the store, when process 0 has ended


@dataclass(frozen=True)
class Group:
    """The group that this process is in, with its `ranks`: what the processes do together.

    Every process must call each method, in the same order. A group of one does nothing, and needs
    no torch.distributed. A process that another one does not answer raises `KitError`.
    """

    ranks: Ranks = Ranks()
    store: Any = None

    @property
    def size(self) -> int:
        """The number of processes."""
        return self.ranks.size

    @property
    def leads(self) -> bool:
        """True in process 0, which writes all files, and alone prints."""
        return self.ranks.rank == 0

    def share_of(self, number: int) -> range:
        """This process's share of so many things in order: as many as another's, or one less."""
        rank, size = self.ranks.rank, self.size
        return range(number * rank // size, number * (rank + 1) // size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes, each in its own memory layout.

        Those of one type travel as one flat tensor.
        """
        if self.size == 1:
            return
        with torch.no_grad(), _answered():
            for kind in dict.fromkeys((tensor.device, tensor.dtype) for tensor in tensors):
                alike = [tensor for tensor in tensors if (tensor.device, tensor.dtype) == kind]
                flat = torch.cat([tensor.flatten() for tensor in alike])
                dist.all_reduce(flat)
                for tensor, part in zip(alike, flat.split([t.numel() for t in alike])):
                    tensor.copy_(part.view(tensor.shape))

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The rows (N, ...) of all processes, one after another by rank."""
        if self.size == 1:
            return rows
        with _answered():
            tensor, number = torch.from_numpy(np.array(rows)), torch.tensor([len(rows)])
            numbers = [torch.zeros_like(number) for _ in range(self.size)]
            dist.all_gather(numbers, number)
            most = max(map(int, numbers))
            filled = torch.zeros(most, *tensor.shape[1:], dtype=tensor.dtype)
            filled[: len(tensor)] = tensor
            parts = [torch.empty_like(filled) for _ in range(self.size)]
            dist.all_gather(parts, filled)
        return np.concatenate([part[: int(n)].numpy() for part, n in zip(parts, numbers)])

    def gather_values(self, value: Any) -> list[Any]:
        """A value of plain JSON from each process, by rank."""
        if self.size == 1:
            return [value]
        text = np.frombuffer(json.dumps(value).encode() + b"\n", np.uint8)
        return [json.loads(line) for line in self.gather(text).tobytes().splitlines()]

    def share(self, value: Any) -> Any:
        """The value of plain JSON that process 0 has."""
        return self.gather_values(value)[0]

    def stop(self, asked: bool) -> None:
        """Raise `KeyboardInterrupt` in all processes if it was `asked` for in any."""
        if self.size == 1:
            return
        number = torch.tensor([int(asked)])
        self.sum([number])
        if number:
            raise KeyboardInterrupt

    def barrier(self) -> None:
        """Wait for all processes, as long as it takes; a signal ends the waiting."""
        if self.size == 1:
            return
        with _answered():
            keys = [f"kit: barriers of {rank}" for rank in range(self.size)]
            turn = self.store.add(keys[self.ranks.rank], 1)
            while True:
                ended = self.store.add(_ENDED, 0)  # first: who has passed may have ended since
                if all(self.store.add(key, 0) >= turn for key in keys):
                    return
                if ended:
                    raise _no_answer()
                time.sleep(0.05)

    def device(self, name: str | None) -> str | None:
        """The device of this process, if the command line names `name`: of several, its own GPU."""
        if self.size == 1 or name == "cpu":
            return name
        if name not in (None, "cuda"):
            raise KitError(
                f"--device {name}: torchrun gives each process a GPU of its own; take cuda or cpu"
            )
        gpu = name == "cuda" or torch.cuda.is_available()
        return f"cuda:{self.ranks.local_rank}" if gpu else "cpu"


def _no_answer() -> KitError:
    return problem(
        "torchrun",
        "another process of this training has ended, or does not answer",
        remedy="the same command goes on from the last save",
    )


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Raise `KitError` where torch.distributed fails in the block: another process is gone."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):  # of what is exchanged
            raise
        raise _no_answer() from error


def _connect(ranks: Ranks) -> Any:
    """The store of the processes, which have found each other."""
    gpu = torch.cuda.is_available() and dist.is_nccl_available()
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=_TIMEOUT)))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=_TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        raise problem(
            "torchrun",
            f"process {ranks.rank} of {ranks.size} does not find the others ({str(error)[:160]})",
            remedy="start all of them by one torchrun command a machine",
        ) from error
    return store


@contextlib.contextmanager
def joined(ranks: Ranks) -> Iterator[Group]:
    """The group of the processes that torchrun has started, while the block runs.

    Each has its share of its machine's cores. The first process that ends by an error tells of it,
    and the others, which the error leaves without an answer, end in silence.
    """
    if ranks.size == 1:
        yield Group()
        return
    take_cores(cores() // ranks.local_size)
    mute(not Group(ranks).leads)
    store = _connect(ranks)
    be_patient()  # a scheduler's signal comes from torchrun once more
    try:
        yield Group(ranks, store)
    except BaseException as error:
        with contextlib.suppress(RuntimeError):  # the store ends with torchrun
            first = store.add(_ENDED, 1) == 1
            if isinstance(error, KitError):
                mute(not first)
            elif ranks.rank and isinstance(error, KeyboardInterrupt):
                store.wait([_LAST_WORD], _GOODBYE)
        raise
    else:
        dist.destroy_process_group()
    finally:
        if not ranks.rank:
            with contextlib.suppress(RuntimeError):
                store.set(_LAST_WORD, "")
