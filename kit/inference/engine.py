"""Where and how the networks of checkpoints run, and how many of them memory holds."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from kit.data.loader import PhotoDataset, batches_of, default_workers, make_loader
from kit.inference.autotune import autotune, exact_mode
from kit.inference.member import Checkpoint
from kit.inference.runtime import InferenceMode, InferenceModel
from kit.models.architecture import Architecture
from kit.models.checkpoint import load
from kit.scale.job import Place
from kit.system.device import free_memory, out_of_memory
from kit.system.errors import KitError
from kit.system.profiler import stage

BATCH_SIZE: Final = 32


@dataclass(frozen=True)
class Compute:
    """Where and how networks run.

    `device` is a name (None: the first GPU, else the CPU), `workers` the number of loader
    processes. Each architecture runs in the mode that `modes` has by its name, or in the fastest
    one, by measurement; with `exact`, in fp32. With `fresh` no kept probabilities are read. Pixel
    caches lie in `cache_dir` (None: beside the runs, or a temporary folder). Where there is a
    `place`, its processes run the networks of the photos to predict.
    """

    device: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    exact: bool = False
    fresh: bool = False
    modes: Mapping[str, InferenceMode] = dataclasses.field(default_factory=dict)
    cache_dir: Path | None = None
    place: Place | None = None

    def placed(self) -> "Compute":
        """The same for a process in any folder, of the place if there is one: absolute paths."""
        folder = self.cache_dir.absolute() if self.cache_dir is not None else None
        device = self.place.device if self.place is not None else self.device
        return dataclasses.replace(self, device=device, cache_dir=folder, place=None)

    def mode(self, architecture: Architecture, device: torch.device) -> InferenceMode:
        """The mode in which networks of an architecture run on a device."""
        if self.exact:
            mode = exact_mode(device)
        elif architecture.name in self.modes:
            mode = self.modes[architecture.name]
        else:
            mode = autotune(architecture, device)
        return dataclasses.replace(mode, photos=min(mode.photos, self.batch_size or mode.photos))

    def loader(
        self, photos: PhotoDataset, device: torch.device, at_once: int = 0, few: bool = False
    ) -> Any:
        """A loader that gives every photo once, in order.

        Its batches are of at least `at_once` photos, those that go through a network at once. For a
        `few` photos no processes are started.
        """
        workers = default_workers(device.type) if self.workers is None else self.workers
        size = self.batch_size or max(BATCH_SIZE, at_once)
        return make_loader(photos, batches_of(len(photos), size), 0 if few else workers, device)


@contextlib.contextmanager
def explain_out_of_memory(compute: Compute, device: torch.device) -> Iterator[None]:
    """Raise a `KitError` that names --batch-size in place of an error of memory."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        size = compute.batch_size
        batch = f"{size} photos a batch" if size else "a batch of photos"
        raise KitError(
            f"the memory of {device} is too small for {batch}; take a smaller --batch-size, or "
            "another --device"
        ) from error


def load_inference_model(
    checkpoint: Checkpoint, compute: Compute, device: torch.device
) -> InferenceModel:
    """The network of a checkpoint, ready to run."""
    with stage("load"):
        mode = compute.mode(checkpoint.architecture, device)
        return InferenceModel(load(checkpoint.path, device), mode)


def weight_bytes(checkpoint: Checkpoint, compute: Compute, device: torch.device) -> int:
    """The bytes that a network's weights take in memory.

    One in 16 bits holds those of fp32 as well, and in mixed precision twice.
    """
    precision = compute.mode(checkpoint.architecture, device).precision
    return checkpoint.info.parameters * (4 if precision.itemsize == 4 else 8)


def memory_groups(
    checkpoints: Sequence[Checkpoint], compute: Compute, device: torch.device
) -> list[list[Checkpoint]]:
    """The checkpoints in groups whose networks are in memory together.

    All are one group, if half of the free memory is enough. If not, each group has as many of one
    geometry as that holds, so that a pixel cache serves it.
    """
    room = free_memory(device) // 2
    need = {c.hash: weight_bytes(c, compute, device) for c in checkpoints}
    if sum(need.values()) <= room:
        return [list(checkpoints)]
    groups: list[list[Checkpoint]] = []
    for geometry in dict.fromkeys(c.geometry for c in checkpoints):
        groups.append([])
        for checkpoint in [c for c in checkpoints if c.geometry == geometry]:
            taken = sum(need[other.hash] for other in groups[-1])
            if groups[-1] and taken + need[checkpoint.hash] > room:
                groups.append([])
            groups[-1].append(checkpoint)
    return groups
