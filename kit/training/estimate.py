"""The dry run: how long a training will take, by a batch of each stage."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from kit.data.folder import DataFolder, check_data
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.data.plan import Plan
from kit.inference.autotune import prepare
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.recipe import Recipe
from kit.system.console import duration, say, show_table
from kit.system.device import clock, peak_memory
from kit.system.errors import KitError
from kit.system.threads import cores
from kit.training.checks import check_recipe
from kit.training.fold_data import FoldData, FoldLoaders, fold_loaders, open_cache, split_fold
from kit.training.job import FoldJob, TrainOptions
from kit.training.learner import Learner
from kit.training.memory import explain_out_of_memory
from kit.training.schedule import learning_rate

# What is left of a stage without its decoding is no less: nothing that can be told from noise.
_LEAST: Final = 1e-4  # seconds


@dataclass(frozen=True)
class Stage:
    """The `seconds` that a stage takes for so many `photos`."""

    name: str
    seconds: float
    photos: int

    @property
    def each(self) -> float:
        """The seconds a photo."""
        return self.seconds / self.photos

    def row(self) -> list[str]:
        """Its name, the seconds and the photos a second, if there is enough to tell."""
        rate = f"{self.photos / self.seconds:,.0f}" if self.seconds > _LEAST else "-"
        return [self.name, f"{self.seconds:.3f}", rate]


@dataclass(frozen=True)
class Measured:
    """The seconds of a batch of each stage: `decoding`, `loading`, `step`, `validation`.

    Loading includes augmentation; a step is one of training. `place` is the device and the
    precision; `memory` is the peak in bytes.
    """

    decoding: Stage
    loading: Stage
    step: Stage
    validation: Stage
    place: str
    memory: int

    def without_decoding(self) -> "Measured":
        """The same measurement for photos that come from the pixel cache."""
        loading, validation = (
            dataclasses.replace(
                stage, seconds=max(stage.seconds - self.decoding.each * stage.photos, _LEAST)
            )
            for stage in (self.loading, self.validation)
        )
        return dataclasses.replace(self, loading=loading, validation=validation)

    def epoch(self, steps: int, photos: int, workers: int) -> float:
        """The seconds of an epoch: its steps, and the validation of so many photos."""
        step, loading = self.step.seconds, self.loading.seconds
        per_step = max(step, loading / workers) if workers else step + loading
        return per_step * steps + self.validation.each * photos


def estimate(
    recipe: Recipe,
    plan: Plan,
    data: DataFolder,
    folds: Sequence[int],
    runs: Path,
    options: TrainOptions = TrainOptions(),
) -> None:
    """Try a batch of each stage of the first fold, and print how long the training will take.

    Prints seconds and memory as well; writes nothing. Raises `KitError` in a group of processes.
    """
    if options.group.size > 1:
        raise KitError("--dry-run measures one process; start it without torchrun")
    check_data(data, plan)
    check_recipe(recipe, plan.competition)
    job = FoldJob(recipe, plan, data, folds[0], runs, options)
    parts, cache = split_fold(job), open_cache(job, build=False)
    loaders = fold_loaders(job, parts, cache, workers=0)
    measured = measure(job, parts, loaders)
    decoding, steps = 0.0, loaders.batches.steps
    if options.cache and cache is None and not options.limit:
        # The stages decoded what will be decoded once, by all cores.
        decoding = measured.decoding.each * len(plan.photos) / cores()
        measured = measured.without_decoding()
    stages = (measured.decoding, measured.loading, measured.step, measured.validation)
    show_table(
        f"{recipe.name}, fold {job.fold}: {recipe.model}, {measured.place}, "
        f"{measured.step.photos} photos a step",
        ["stage", "seconds", "photos/s"],
        [stage.row() for stage in stages],
    )
    several = len(folds) > 1
    fold_seconds = recipe.epochs * measured.epoch(steps, len(parts.valid), job.workers)
    say(
        f"peak memory {measured.memory / 1e9:.1f} GB; an epoch about "
        f"{duration(fold_seconds / recipe.epochs)} ({steps} steps), a fold at most "
        f"{duration(fold_seconds)} ({recipe.epochs} epochs)"
        + (f", the {len(folds)} folds {duration(fold_seconds * len(folds))}" if several else "")
        + (f", and {duration(decoding)} once for the pixel cache" if decoding else "")
        + "; nothing was written"
    )


def measure(job: FoldJob, parts: FoldData, loaders: FoldLoaders) -> Measured:
    """The seconds of a batch of each stage, measured now.

    Raises `KitError` for a loss that is not finite, or a batch too large for the memory.
    """
    recipe, device, labels = job.recipe, job.device, torch.from_numpy(parts.targets)
    decoding = _measure_decoding(job, loaders)
    started = clock(device)
    step = next(loaders.steps())
    size = sum(len(at) for at, _ in step)
    loading = Stage("load and augment", clock(device) - started, size)
    batches, seconds = [(photos, labels[at]) for at, photos in step], []
    rate = learning_rate(recipe, 0.5 / loaders.batches.steps)
    with explain_out_of_memory(recipe, job.competition, device):
        learner = Learner(job.located_recipe, job.competition, parts.counts, device)
        for n in range(3):  # the first one sets things up
            started = clock(device)
            loss = float(learner.step(batches, rate, range(n, n + len(batches))))
            seconds.append(clock(device) - started)
        if not math.isfinite(loss):
            raise KitError(
                f"recipe {recipe.name}: the loss of the first steps is {loss}; lower lr or set clip"
            )
        validation = _measure_validation(job, loaders, learner)
    training = Stage("training step", min(seconds[1:]), size)
    return Measured(decoding, loading, training, validation, learner.place, peak_memory(device))


def _measure_decoding(job: FoldJob, loaders: FoldLoaders) -> Stage:
    """The seconds of the first batch's photos without cache and augmentation."""
    batch = next(iter(loaders.batches))
    seen = loaders.train.dataset
    photos = PhotoDataset(seen.root, seen.images, seen.geometries, read=seen.read)
    started = clock(job.device)
    for i, _ in batch:
        photos[i]
    return Stage("decode, crop, resize", clock(job.device) - started, len(batch))


def _measure_validation(job: FoldJob, loaders: FoldLoaders, learner: Learner) -> Stage:
    """The seconds of the first batch of validation."""
    device, seen = job.device, loaders.valid.dataset
    batch = next(iter(loaders.valid.batch_sampler))
    images = [seen.images[i] for i in batch]
    photos = PhotoDataset(seen.root, images, seen.geometries, cache=seen.cache, read=seen.read)
    loader = make_loader(photos, batches_of(len(batch), len(batch)), 0, device)
    network = prepare(learner.used.eval(), device)
    for _ in range(2):  # the first one sets things up
        started = clock(device)
        predict([network], loader, make_views("none"), device)
        seconds = clock(device) - started
    return Stage("validation batch", seconds, len(batch))
