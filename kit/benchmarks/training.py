"""The speed of training."""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from kit.benchmarks.loops import matrix_peak, timm_loader
from kit.benchmarks.synthetic import PhotoSet, drawn_folder, training_photos
from kit.benchmarks.timing import SeparateProcess, Table, ratio_text, self_timed_in_turns
from kit.competition import Competition
from kit.competitions import DEFAULT, find_competition
from kit.data.cache import pixel_cache
from kit.data.folder import DataFolder
from kit.data.loader import PhotoDataset, default_workers, iterate, make_loader
from kit.data.recorded import own_competition
from kit.models.architecture import architecture_of
from kit.models.network import cost
from kit.recipe import Recipe, load_recipe
from kit.system.device import choose_device, clock, peak_memory
from kit.system.errors import KitError
from kit.system.precision import choose_precision, precision_name
from kit.training.batches import EpochBatches
from kit.training.learner import Learner
from kit.training.losses import one_hot
from kit.training.memory import explain_out_of_memory


def _timed_steps(
    batches: Iterable[Any],
    train: Callable[[Any], None],
    steps: int,
    device: torch.device,
    ready: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """The seconds of `steps` steps, and those of them spent waiting for photos.

    The first step, which starts the loader and sets things up, is not counted; after it `ready` is
    called. A GPU is waited for before and after the steps only.
    """
    waited = started = asked = 0.0
    for n, batch in enumerate(batches):
        waited += time.perf_counter() - asked if n else 0.0
        train(batch)
        if n == 0:
            clock(device)
            ready()
        asked = clock(device) if n in (0, steps) else time.perf_counter()
        started = started or asked
        if n == steps:
            return asked - started, waited
    raise KitError(
        f"kit.bench train: there are too few photos for {steps + 1} steps; take fewer --steps, or "
        "drawn photos"
    )


@dataclass(frozen=True)
class Steps:
    """What is measured: a recipe for a competition, in so many `steps`, on a device."""

    recipe: Recipe
    competition: Competition
    steps: int
    workers: int
    device: torch.device


def kit_training(
    measured: Steps, photos: PhotoSet, cache_folder: Path | None
) -> Callable[..., tuple[float, float]]:
    """A loop of training as `kit.train` does it, with a pixel cache in `cache_folder`.

    For None there is no cache, and neither the layout nor the precision that make it fast. The loop
    may be given a function to call before the steps that count.
    """
    recipe, competition = measured.recipe, measured.competition
    geometry, read = recipe.geometry(competition), competition.read
    cache = None
    if cache_folder is not None:
        cache = pixel_cache(cache_folder, photos.root, photos.images, geometry, read=read)
    dataset = PhotoDataset(photos.root, photos.images, [geometry], recipe.augment, cache, read)
    labels = torch.arange(len(photos.images)) % competition.num_classes
    if competition.several_labels:
        labels = one_hot(labels, competition.num_classes)
    counts, plain = np.ones(competition.num_classes), cache_folder is None
    learner = Learner(recipe, competition, counts, measured.device, plain=plain)

    def train(batch: Any) -> None:
        rows, (pixels,) = batch
        learner.step([(pixels, labels[rows])], recipe.lr, [0])

    def loop(ready: Callable[[], object] = lambda: None) -> tuple[float, float]:
        batches = EpochBatches(recipe, labels.numpy(), 0)
        loader = make_loader(dataset, batches, measured.workers, measured.device)
        return _timed_steps(iterate(loader), train, measured.steps, measured.device, ready)

    return loop


def other_training(
    path: Path, competition: dict[str, Any], photos: PhotoSet, steps: int, workers: int, name: str
) -> dict[str, Callable[[], tuple[float, float]]]:
    """Loops of training the recipe in a file: by the kit's plain parts, and by timm.

    Neither has what makes the kit fast.
    """
    recipe = quick(load_recipe(path))
    device, classes = torch.device(name), own_competition(competition)
    measured = Steps(recipe, classes, steps, workers, device)
    model = timm.create_model(recipe.model, num_classes=classes.num_classes).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr)

    def train(batch: Any) -> None:
        pixels, targets = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(pixels), targets, label_smoothing=recipe.label_smoothing
        ).backward()
        optimizer.step()

    def with_timm() -> tuple[float, float]:
        size = recipe.geometry(classes).size
        loader = timm_loader(photos.links, size, recipe.batch_size, workers, device, True)
        return _timed_steps(loader, train, steps, device)

    plain = kit_training(measured, photos, None)
    return {"the same without what makes it fast": plain, "timm's loader and model": with_timm}


def quick(recipe: Recipe) -> Recipe:
    """A recipe with random weights, whose steps are one batch each."""
    return dataclasses.replace(recipe, pretrained=False, accumulate=1)


def bench_train(
    path: Path,
    rounds: int,
    steps: int,
    data: DataFolder | None = None,
    device_name: str | None = None,
    workers: int | None = None,
) -> Table:
    """Photos a second of training the recipe in a file, and the share of time it waits for them.

    Weights are random. Each round takes `steps` steps as `kit.train` does them, as the same loop
    without layout, cache, memory kept, or choice of precision, and with timm's own loader,
    transforms and model.
    """
    recipe = quick(load_recipe(path))
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    competition = data.competition if data else find_competition(DEFAULT)
    measured = Steps(recipe, competition, steps, workers, device)
    with (
        tempfile.TemporaryDirectory() as temporary,
        explain_out_of_memory(recipe, competition, device),
    ):
        folder, number = Path(temporary), recipe.batch_size * (steps + 1)
        photos = training_photos(data or drawn_folder(folder, number), folder, number)
        described = competition.describe()
        others = SeparateProcess(
            other_training, path, described, photos, steps, workers, str(device)
        )
        with contextlib.closing(others):
            loop = kit_training(measured, photos, folder / "pixels")
            times = self_timed_in_turns({"kit.train": loop, **others.loops}, rounds, "train")
        memory = peak_memory(device)
    return _table(measured, times, memory)


def _table(measured: Steps, times: Mapping[str, np.ndarray], memory: int) -> Table:
    """The table of each loop's seconds, in all and of waiting for photos, (rounds, 2).

    `memory` is in bytes.
    """
    recipe, device = measured.recipe, measured.device
    base, photos = times["kit.train"][:, 0], recipe.batch_size * measured.steps
    rate = {name: photos / float(np.median(values[:, 0])) for name, values in times.items()}
    waiting = {
        name: float(np.median(values[:, 1] / values[:, 0])) for name, values in times.items()
    }
    rows = [
        [name, f"{rate[name]:.2f}", f"{100 * waiting[name]:.1f} %", ratio_text(values[:, 0], base)]
        for name, values in times.items()
    ]
    architecture = architecture_of(recipe, measured.competition)
    parameters, gflop = cost(architecture)
    precision = choose_precision(device, parameters)
    peak = matrix_peak(device, precision)
    reached = 3 * gflop * rate["kit.train"]  # a step takes three times the forward pass
    return Table(
        f"Training {recipe.name} ({architecture.name}, batches of {recipe.batch_size}, {device}, "
        f"{precision_name(precision)}), medians of {len(base)}",
        ["loop", "photos/s", "waiting for data", "times kit.train's time"],
        rows,
        f"kit.train: {reached:,.0f} GFLOP/s of the {peak:,.0f} that this machine multiplies "
        f"matrices with in {precision_name(precision)} ({reached / peak:.0%}); peak memory "
        f"{memory / 1e9:.1f} GB",
        {
            "precision": precision_name(precision),
            "batch_size": recipe.batch_size,
            "peak_bytes": memory,
            "gflops": reached,
            "matrix_gflops": peak,
            "photos_per_second": rate,
            "waiting": waiting,
            "times_kit_train": {
                name: float(np.median(values[:, 0] / base)) for name, values in times.items()
            },
        },
    )
