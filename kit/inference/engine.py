"""Where and how the networks of checkpoints run, and how many of them memory holds."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from kit.data.loader import PhotoDataset, batches_of, default_workers, make_loader
from kit.inference.autotune import autotune, exact_mode
from kit.inference.member import Checkpoint
from kit.inference.runtime import InferenceMode, InferenceModel
from kit.models.checkpoint import CheckpointInfo, load
from kit.system.device import free_memory, out_of_memory
from kit.system.errors import KitError
from kit.system.profiler import stage

BATCH_SIZE: Final = 32


@dataclass(frozen=True)
class Compute:
    """Where and how networks run: the device's name (None: the first GPU, else the CPU), loader
    processes, batch size.

    Each architecture runs in the way that is in `ways`, or in the fastest one, by measurement; with
    `exact`, in fp32. With `fresh` no probabilities that were kept are read.
    """

    device: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    exact: bool = False
    fresh: bool = False
    ways: Mapping[str, InferenceMode] = dataclasses.field(default_factory=dict)

    def way(self, card: CheckpointInfo, device: torch.device) -> InferenceMode:
        """How the network of a checkpoint runs."""
        if self.exact:
            way = exact_mode(device)
        elif architecture_name(card) in self.ways:
            way = self.ways[architecture_name(card)]
        else:
            way = autotune(card.model, card.geometry, card.head, card.cosine, device)
        return dataclasses.replace(way, photos=min(way.photos, self.batch_size or way.photos))

    def loader(
        self, photos: PhotoDataset, device: torch.device, at_once: int = 0, few: bool = False
    ) -> Any:
        """A loader that gives every photo once, in order, in batches of at least those that go
        through a network at once.

        For a `few` photos no processes are started.
        """
        workers = (
            0 if few else default_workers(device.type) if self.workers is None else self.workers
        )
        return make_loader(
            photos,
            batches_of(len(photos), self.batch_size or max(BATCH_SIZE, at_once)),
            workers,
            device,
        )


def architecture_name(card: CheckpointInfo) -> str:
    """An architecture at a size, whose networks all run in one way."""
    return f"{card.model} {card.size[0]} x {card.size[1]}"


@contextlib.contextmanager
def explain_out_of_memory_of_batch(engine: Compute, device: torch.device) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        size = f"{engine.batch_size} photos a batch" if engine.batch_size else "a batch of photos"
        raise KitError(
            f"the memory of {device} is too small for {size}; take a smaller --batch-size, or "
            "another "
            "--device"
        ) from error


def load_inference_model(
    checkpoint: Checkpoint, engine: Compute, device: torch.device
) -> InferenceModel:
    """The network of a checkpoint, ready to run."""
    with stage("load"):
        return InferenceModel(load(checkpoint.path, device), engine.way(checkpoint.card, device))


def weight_bytes(checkpoint: Checkpoint, engine: Compute, device: torch.device) -> int:
    """What a network's weights take in memory: one in 16 bits holds those of fp32 as well, and in
    mixed precision twice.
    """
    return checkpoint.card.parameters * (
        4 if engine.way(checkpoint.card, device).precision.itemsize == 4 else 8
    )


def _groups(
    checkpoints: Sequence[Checkpoint], engine: Compute, device: torch.device
) -> list[list[int]]:
    """The checkpoints, by number, whose networks are in memory together: all of them, if half of it
    is enough.

    If not, as many of one geometry as it holds, so that a pixel cache serves each group.
    """
    room, need = (
        free_memory(device) // 2,
        [weight_bytes(checkpoint, engine, device) for checkpoint in checkpoints],
    )
    if sum(need) <= room:
        return [list(range(len(checkpoints)))]
    groups: list[list[int]] = []
    for geometry in dict.fromkeys(checkpoint.card.geometry for checkpoint in checkpoints):
        groups.append([])
        for c in [
            c for c, checkpoint in enumerate(checkpoints) if checkpoint.card.geometry == geometry
        ]:
            if groups[-1] and sum(need[other] for other in groups[-1]) + need[c] > room:
                groups.append([])
            groups[-1].append(c)
    return groups
