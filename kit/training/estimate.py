"""How long a training will take, by a batch of each stage."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from kit.data.cache import pixel_cache
from kit.data.folder import check_data, train_images
from kit.data.loader import PhotoDataset, batches_of, default_workers, make_loader
from kit.data.plan import Plan
from kit.inference.autotune import prepare
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.recipe import Recipe, check_augment
from kit.system.console import duration, say, show_table
from kit.system.device import choose_device, clock, peak_memory
from kit.system.errors import KitError
from kit.system.threads import cores
from kit.training.batches import EpochBatches
from kit.training.fold import _device_name
from kit.training.fold_data import _split, batches_of_steps, fold_loaders
from kit.training.learner import Learner
from kit.training.memory import explain_out_of_memory
from kit.training.schedule import learning_rate


def dry_run(
    recipe: Recipe,
    plan: Plan,
    data: Path,
    folds: Sequence[int],
    runs: Path,
    device_name: str | None = None,
    workers: int | None = None,
    limit: int = 0,
    cache: bool = True,
) -> None:
    """Try a batch of each stage of the first fold, and print seconds, memory and how long all will
    take; writes nothing.
    """
    check_data(data, plan)
    check_augment(recipe)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    parts, root = _split(recipe, plan, folds[0], limit), train_images(data)
    batches = EpochBatches(recipe, parts.labels, folds[0])
    pixels = (
        pixel_cache(
            runs / "pixels", root, plan.photos["image"].tolist(), recipe.geometry, build=False
        )
        if cache
        else None
    )
    loader, valid_loader = fold_loaders(recipe, parts, root, pixels, batches, 0, device)
    labels = torch.from_numpy(parts.labels)
    some, fresh = next(iter(batches)), PhotoDataset(root, loader.dataset.images, [recipe.geometry])
    some_valid = next(iter(valid_loader.batch_sampler))
    seen = PhotoDataset(
        root, [valid_loader.dataset.images[i] for i in some_valid], [recipe.geometry], cache=pixels
    )
    valid_loader = make_loader(seen, batches_of(len(seen), len(seen)), 0, device)

    started = clock(device)
    plain = [fresh[i] for i, _ in some]
    decoded = (clock(device) - started) / len(plain)
    started = clock(device)
    step = next(batches_of_steps(loader))
    size = sum(len(at) for at, _ in step)
    loaded = clock(device) - started
    took, rate = [], learning_rate(recipe, 0.5 / batches.steps)
    with explain_out_of_memory(recipe, device):
        learner = Learner(recipe, parts.counts, device)
        for n in range(3):  # the first one sets things up
            started = clock(device)
            loss = float(learner.step([(images, labels[at]) for at, images in step], rate, n))
            took.append(clock(device) - started)
        network = prepare(learner.used.eval(), device)
        for _ in range(2):  # here, too
            started = clock(device)
            predict([network], valid_loader, make_views("none"), device)
            validated = clock(device) - started
    stepped = min(took[1:])
    if not math.isfinite(loss):
        raise KitError(
            f"recipe {recipe.name}: the loss of the first steps is {loss}; lower lr or set clip"
        )
    caching = 0.0
    if (
        cache and pixels is None and not limit
    ):  # then these did what will be done once, by all cores
        loaded, validated = (
            max(loaded - decoded * size, 1e-4),
            max(validated - decoded * len(some_valid), 1e-4),
        )
        caching = decoded * len(plan.photos) / cores()
    per_step = max(stepped, loaded / workers) if workers else stepped + loaded
    epoch = per_step * batches.steps + validated * len(parts.valid) / len(some_valid)
    memory = peak_memory(device)
    show_table(
        f"{recipe.name}, fold {folds[0]}: {recipe.model}, {_device_name(learner)}, {size} photos "
        "a step",
        ["stage", "seconds", "photos/s"],
        [
            [name, f"{seconds:.3f}", f"{n / seconds:,.0f}"]
            for name, seconds, n in (
                ("decode, crop, resize", decoded * len(plain), len(plain)),
                ("load and augment", loaded, size),
                ("training step", stepped, size),
                ("validation batch", validated, len(some_valid)),
            )
        ],
    )
    fold_seconds = epoch * recipe.epochs
    say(
        f"peak memory {memory / 1e9:.1f} GB; an epoch about {duration(epoch)} ({batches.steps} "
        "steps), a fold at most "
        f"{duration(fold_seconds)} ({recipe.epochs} epochs)"
        + (
            f", the {len(folds)} folds {duration(fold_seconds * len(folds))}"
            if len(folds) > 1
            else ""
        )
        + (f", and {duration(caching)} once for the pixel cache" if caching else "")
        + "; nothing was written"
    )
