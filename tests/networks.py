"""Networks, members and passes that tests share."""

import contextlib
import dataclasses
import pickle
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
from helpers import World, small
from torch import nn

from kit.competitions.mask import competition as MASK
from kit.data.folder import DataFolder, read_test
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.inference.blocks import Blocks
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member, member_passes
from kit.inference.members import find_members
from kit.inference.photo_set import PhotoSet
from kit.inference.runtime import InferenceMode
from kit.inference.views import make_views
from kit.models.architecture import Architecture, architecture_of
from kit.models.network import Network
from kit.results.probs import Probs
from kit.scale.job import Ended, Job, Place
from kit.system.errors import KitError

CPU = torch.device("cpu")


COMPUTE = Compute("cpu", 0)


def pickled(jobs: Sequence[Job]) -> Generator[Ended, None, None]:
    """A runner as that of other processes: it calls copies, the last job first."""
    for job in reversed(jobs):
        call, arguments = pickle.loads(pickle.dumps((job.call, job.arguments)))
        try:
            yield Ended(job, call(*arguments))
        except KitError as error:
            yield Ended(job, error=error)


ELSEWHERE = dataclasses.replace(COMPUTE, place=Place(pickled, "cpu", "elsewhere", slots=2))


HALF_MODE, FP32_MODE = InferenceMode(torch.bfloat16, 4), InferenceMode(torch.float32, 4)


SHAPE = MASK.shape


def members_of(world: World, *paths: Path) -> list[Member]:
    """The members that paths name, by default the world's run."""
    return find_members(paths or [world.runs / "small"], world.plan, read_test(world.folder))


def checkpoints_of(path: Path, world: World) -> list[Checkpoint]:
    """The checkpoints that a path names."""
    return [c for member in members_of(world, path) for c in member.checkpoints]


def run_all_passes(
    checkpoints: list[Checkpoint], root: Path, ids: list[str], tta: str, compute: Compute
) -> tuple[dict[tuple[int, str], Probs], int]:
    """The probabilities of each checkpoint, by its number, and view, and how many passes ran."""
    views = make_views(tta)
    passes = member_passes([Member("all", tuple(checkpoints))], views)
    blocks = Blocks(passes, PhotoSet(root, tuple(ids)), views, compute)
    numbers = [(c, view) for view in views for c in range(len(checkpoints))]
    tables = {
        key: Probs(np.array(ids), table) for key, table in zip(numbers, tables_of_all(blocks))
    }
    return tables, blocks.networks.computed // len(ids)


def tables_of_all(blocks: Blocks) -> list[np.ndarray]:
    """The probabilities (N, C) of each pass, run in full."""
    parts = []
    with contextlib.closing(blocks):
        for b in range(len(blocks)):
            with blocks.open(b) as block:
                block.run_all()
                parts.append([block.table(p).copy() for p in range(len(blocks.passes))])
    return [np.concatenate(of_pass) for of_pass in zip(*parts)]


def blocks_of(world: World, run: Path, tta: str = "hflip", compute: Compute = COMPUTE) -> Blocks:
    """The blocks of the photos to predict, by the passes of a run."""
    (member,), views = members_of(world, run), make_views(tta)
    photos = PhotoSet(world.folder.test_images, tuple(read_test(world.folder)))
    return Blocks(member_passes([member], views), photos, views, compute)


def photos_of(folder: DataFolder) -> PhotoDataset:
    """The photos to predict as the small recipe's networks see them."""
    geometry = small().geometry(MASK)
    return PhotoDataset(folder.test_images, read_test(folder), [geometry])


def loader_of(photos: PhotoDataset) -> object:
    """A loader of photos in batches of 32."""
    return make_loader(photos, batches_of(len(photos), 32), 0, CPU)


class Symmetric(nn.Module):
    """A network that cannot tell left from right: it sees colour averages."""

    def __init__(self) -> None:
        super().__init__()
        self.architecture = architecture_of(small(), MASK)
        self.geometry, self.parameters_count = self.architecture.geometry, 72
        self.head = nn.Linear(3, 18)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.head(photos.mean(dim=(2, 3)))


def mask_architecture(
    model: str, size: tuple[int, int], head: str = "classes", crop: tuple[int, int] = (400, 300)
) -> Architecture:
    """An architecture for the mask competition."""
    ordered = tuple(task.ordered for task in MASK.tasks)
    return Architecture(model, Geometry(crop, size, MASK.frame), head, False, SHAPE, ordered)


def settled(model: str, size: tuple[int, int], seed: int = 0) -> Network:
    """A network in evaluation mode whose batch norms have seen something."""
    network = Network(mask_architecture(model, size))
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network.eval()
