"""The speed of training."""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from kit.benchmarks.loops import _timm_loader, matrix_peak
from kit.benchmarks.synthetic import _link, _training_photos
from kit.benchmarks.timing import Apart, Table, _ratio, _rounds
from kit.competitions.mask import NUM_CLASSES
from kit.data.cache import pixel_cache
from kit.data.loader import PhotoDataset, default_workers, iterate, make_loader
from kit.models.network import cost
from kit.recipe import Recipe, load_recipe
from kit.system.device import choose_device, clock, peak_memory
from kit.system.errors import KitError
from kit.system.precision import choose_precision, precision_name
from kit.training.batches import EpochBatches
from kit.training.learner import Learner
from kit.training.memory import explain_out_of_memory


def _timed_steps(
    batches: Iterable[Any], work: Callable[[Any], Any], steps: int, device: torch.device
) -> tuple[float, float]:
    """Seconds of the steps after the first, which starts the loader and sets things up, and of
    waiting for photos in them.

    A GPU is waited for before and after them only.
    """
    waited = started = asked = 0.0
    for n, batch in enumerate(batches):
        waited += time.perf_counter() - asked if n else 0.0
        work(batch)
        asked = clock(device) if n in (0, steps) else time.perf_counter()
        started = started or asked
        if n == steps:
            return asked - started, waited
    raise KitError(
        f"kit.bench train: there are too few photos for {steps + 1} steps; take fewer --steps, or "
        "drawn photos"
    )


def _own_training(
    recipe: Recipe,
    root: Path,
    images: Sequence[str],
    folder: Path | None,
    steps: int,
    workers: int,
    device: torch.device,
) -> Callable[[], tuple[float, float]]:
    """Training as `kit.train` does it, with a pixel cache in `folder`; without one plainly, with no
    layout or precision.
    """
    labels = torch.arange(len(images)) % NUM_CLASSES
    cache = pixel_cache(folder, root, images, recipe.geometry) if folder else None
    learner = Learner(recipe, np.ones(NUM_CLASSES), device, plain=folder is None)

    def steps_of_it() -> tuple[float, float]:
        loader = make_loader(
            PhotoDataset(root, images, [recipe.geometry], recipe.augment, cache),
            EpochBatches(recipe, labels.numpy(), 0),
            workers,
            device,
        )
        return _timed_steps(
            iterate(loader),
            lambda batch: learner.step([(batch[1][0], labels[batch[0]])], recipe.lr, 0),
            steps,
            device,
        )

    return steps_of_it


def _other_training(
    path: Path,
    root: Path,
    images: Sequence[str],
    timms: Path,
    steps: int,
    workers: int,
    device_name: str,
) -> dict[str, Callable[[], tuple[float, float]]]:
    """Training of the recipe in a file as one would write it without the kit."""
    recipe, device = (
        dataclasses.replace(load_recipe(path), pretrained=False, accumulate=1),
        torch.device(device_name),
    )
    model = timm.create_model(recipe.model, num_classes=NUM_CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr)

    def step(batch: Any) -> None:
        photos, targets = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(photos), targets, label_smoothing=recipe.label_smoothing
        ).backward()
        optimizer.step()

    def with_timm() -> tuple[float, float]:
        return _timed_steps(
            _timm_loader(timms, recipe.size, recipe.batch_size, workers, device, True),
            step,
            steps,
            device,
        )

    return {
        "the same without what makes it fast": _own_training(
            recipe, root, images, None, steps, workers, device
        ),
        "timm's loader and model": with_timm,
    }


def bench_train(
    path: Path,
    rounds: int,
    steps: int,
    data: Path | None = None,
    device_name: str | None = None,
    workers: int | None = None,
) -> Table:
    """Photos a second of training the recipe in a file, and the share of time spent waiting for
    them; weights are random.

    Each round takes `steps` steps as `kit.train` does them, as the same loop without layout, cache,
    memory kept, or choice of precision, and with timm's own loader, transforms and model.
    """
    recipe = dataclasses.replace(load_recipe(path), pretrained=False, accumulate=1)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    with tempfile.TemporaryDirectory() as temporary, explain_out_of_memory(recipe, device):
        folder = Path(temporary)
        root, images = _training_photos(data, folder, recipe.batch_size * (steps + 1))
        _link(root, images, folder / "timm" / "photos")
        others = Apart(
            _other_training, path, root, images, folder / "timm", steps, workers, str(device)
        )
        with contextlib.closing(others) as apart:
            own = _own_training(recipe, root, images, folder / "pixels", steps, workers, device)
            found = _rounds({"kit.train": own, **apart.ways}, rounds, "train")
        memory = peak_memory(device)
    base = found["kit.train"][:, 0]
    rows = [
        [
            name,
            f"{recipe.batch_size * steps / np.median(values[:, 0]):.2f}",
            f"{100 * np.median(values[:, 1] / values[:, 0]):.1f} %",
            _ratio(values[:, 0], base),
        ]
        for name, values in found.items()
    ]
    parameters, gflop = cost(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam")
    precision = choose_precision(device, parameters)
    peak, reached = (
        matrix_peak(device, precision),
        3 * gflop * recipe.batch_size * steps / float(np.median(base)),
    )
    name = precision_name(precision)
    return Table(
        f"Training {recipe.name} ({recipe.model}, {recipe.size[0]} x {recipe.size[1]}, batches of "
        f"{recipe.batch_size}, "
        f"{device}, {name}), medians of {rounds}",
        ["loop", "photos/s", "waiting for data", "times kit.train's time"],
        rows,
        f"kit.train: {reached:,.0f} GFLOP/s of the {peak:,.0f} that this machine multiplies "
        f"matrices with in {name} "
        f"({reached / peak:.0%}); peak memory {memory / 1e9:.1f} GB",
        {
            "precision": name,
            "batch_size": recipe.batch_size,
            "peak_bytes": memory,
            "gflops": reached,
            "matrix_gflops": peak,
            "photos_per_second": {
                n: recipe.batch_size * steps / float(np.median(v[:, 0])) for n, v in found.items()
            },
            "waiting": {n: float(np.median(v[:, 1] / v[:, 0])) for n, v in found.items()},
            "times_kit_train": {n: float(np.median(v[:, 0] / base)) for n, v in found.items()},
        },
    )
