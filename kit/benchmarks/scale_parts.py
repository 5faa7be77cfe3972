"""What several workers do at once, in parts: training, inference, and what they rest on."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kit.benchmarks.scale_table import STAGES
from kit.benchmarks.synthetic import PhotoSet
from kit.benchmarks.training import Steps, kit_training, quick
from kit.data.loader import PhotoDataset
from kit.data.recorded import own_competition
from kit.inference.engine import Compute
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel, read_mode
from kit.inference.views import make_views
from kit.models.architecture import architecture_of
from kit.models.network import Network
from kit.recipe import load_recipe
from kit.system.device import clock

_SIDE, _PRODUCTS = 256, 400  # matrices that caches hold
_BLOCK, _COPIES = 128 * 10**6, 10  # bytes, more than caches hold
# A part of the work: calls its argument when it is ready to begin, and returns its seconds.
Part = Callable[[Callable[[], object]], float]


@dataclass(frozen=True)
class Work:
    """What a worker measures, as its process is told."""

    recipe: Path
    competition: dict[str, Any]
    photos: PhotoSet
    cache: Path
    steps: int
    loaders: int
    mode: dict[str, Any]

    @property
    def amounts(self) -> dict[str, float]:
        """The photos of a call of each part, or the GFLOP, or the GB."""
        photos = float(len(self.photos.images))
        steps = float(quick(load_recipe(self.recipe)).batch_size * self.steps)
        gflop, gigabytes = _PRODUCTS * 2e-9 * _SIDE**3, _COPIES * _BLOCK / 1e9
        return dict(zip(STAGES, (steps, photos, photos, gflop, gigabytes)))


def parts(work: Work, device: torch.device) -> dict[str, Part]:
    """The parts of the work as they are done on a device, by their names."""
    recipe, competition = quick(load_recipe(work.recipe)), own_competition(work.competition)
    photos, geometry = work.photos, recipe.geometry(competition)
    measured = Steps(recipe, competition, work.steps, work.loaders, device)
    train = kit_training(measured, photos, work.cache)
    network = Network(architecture_of(recipe, competition)).eval()
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = InferenceModel(network, read_mode(work.mode))
    dataset = PhotoDataset(photos.root, photos.images, [geometry], read=competition.read)
    compute, views = Compute(str(device), work.loaders), make_views("none")

    def timed(run: Callable[[], object], ready: Callable[[], object]) -> float:
        ready()
        started = clock(device)
        run()
        return clock(device) - started

    def infer() -> None:
        predict([model], compute.loader(dataset, device, model.mode.photos), views, device)

    def read() -> None:
        for number in range(len(dataset)):
            dataset[number]

    infer()  # what happens once does not count
    loops: tuple[Part, ...] = (
        lambda ready: train(ready)[0],
        functools.partial(timed, infer),
        functools.partial(timed, read),
        multiply,
        copy,
    )
    return dict(zip(STAGES, loops))


def multiply(ready: Callable[[], object]) -> float:
    """The seconds of products of matrices that stay in a core's caches: the cores alone."""
    matrix = torch.rand(_SIDE, _SIDE)
    ready()
    started = time.perf_counter()
    for _ in range(_PRODUCTS):
        matrix @ matrix
    return time.perf_counter() - started


def copy(ready: Callable[[], object]) -> float:
    """The seconds of copies of a block that no cache holds: the memory alone."""
    source = np.ones(_BLOCK, np.uint8)
    target = np.zeros_like(source)
    ready()
    started = time.perf_counter()
    for _ in range(_COPIES):
        np.copyto(target, source)
    return time.perf_counter() - started
