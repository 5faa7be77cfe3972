"""The photos and labels that a fold is trained and validated on, and its loaders."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.cache import PixelCache, pixel_cache
from kit.data.loader import PhotoDataset, batches_of, iterate, make_loader
from kit.data.targets import targets
from kit.recipe import Recipe
from kit.scoring.class_counts import class_counts
from kit.system.errors import KitError
from kit.system.profiler import stage
from kit.task import Task
from kit.training.batches import EpochBatches
from kit.training.job import FoldJob
from kit.training.mirror import CountingAugment

_VALID_BATCH = 32


def valid_batch(batch_size: int) -> int:
    """The number of photos of a validation batch, if training takes `batch_size` of them."""
    return min(_VALID_BATCH, batch_size)


def limited(photos: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` of the photos (0: all), the same ones every time, drawn over all of them."""
    if not limit or len(photos) <= limit:
        return photos
    digests = photos["image"].map(lambda image: hashlib.sha256(image.encode()).hexdigest())
    return photos.loc[digests.sort_values().index[:limit].sort_values()]


def ordered_task(recipe: Recipe, competition: Competition) -> Task:
    """The task that a recipe's `edges` and `drop` change.

    Raises `KitError` for a competition that does not have exactly one ordered task with a column of
    numbers.
    """
    tasks = [task for task in competition.tasks if task.ordered and task.column]
    field = "edges" if recipe.edges is not None else "drop"
    line = f"recipe {recipe.name}: {field}={getattr(recipe, field)!r}"
    if len(tasks) != 1:
        raise KitError(
            f"{line} needs one ordered task with a column of numbers, and the competition "
            f"{competition.name} has {len(tasks) or 'no'} such task{'s'[: len(tasks)]}; take it out"
        )
    wanted = len(tasks[0].classes) - 1
    if recipe.edges is not None and len(recipe.edges) != wanted:
        than = (
            f", as {tasks[0].edges} are"
            if tasks[0].edges
            else f", one less than {wanted + 1} classes"
        )
        raise KitError(f"{line} must be {wanted} numbers{than}")
    return tasks[0]


def training_labels(
    recipe: Recipe, photos: pd.DataFrame, competition: Competition
) -> tuple[np.ndarray, np.ndarray]:
    """The photos that a recipe trains on, bool (N,), and their classes (N,) or labels (N, C).

    `photos` are N rows of the plan. The recipe's `edges` move classes of the ordered task, and its
    `drop` leaves photos out. Photos that validate are neither moved nor left out.
    """
    labels, used = targets(photos, competition), np.ones(len(photos), bool)
    if recipe.edges is None and recipe.drop is None:
        return used, labels
    task = ordered_task(recipe, competition)
    numbers = photos[task.column].to_numpy()
    if recipe.drop is not None:
        used = (numbers < recipe.drop[0]) | (numbers > recipe.drop[1])
    if recipe.edges is not None:
        answers = list(competition.decode(labels))
        answers[competition.tasks.index(task)] = task.class_of(numbers, recipe.edges)
        labels = competition.encode(answers)
    return used, labels


@dataclass(frozen=True)
class FoldData:
    """The photos that a fold is trained and validated on, as rows of the plan.

    `labels` are the classes (N,) or labels (N, C) of the training photos, as the recipe wants them,
    and `mirrored` those of the photos in a mirror; `counts` (C,) are the training photos a class.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    labels: np.ndarray
    mirrored: np.ndarray
    counts: np.ndarray

    @cached_property
    def targets(self) -> np.ndarray:
        """The classes (2N,) or labels (2N, C) by the numbers that a loader gives to photos.

        Those from N on are mirrored photos.
        """
        return np.concatenate([self.labels, self.mirrored])


def split_fold(job: FoldJob) -> FoldData:
    """The photos that a fold is trained and validated on; raises `KitError` if they are too few."""
    recipe, plan, limit = job.recipe, job.plan, job.options.limit
    held = (plan.photos["fold"] == job.fold).to_numpy()
    train = plan.photos[~held]
    used, _ = training_labels(recipe, train, job.competition)
    train = limited(train[used], limit)
    if len(train) < 2:
        raise KitError(
            f"recipe {recipe.name}: {len(train)} photos are left to train on; let drop take fewer"
        )
    _, labels = training_labels(recipe, train, job.competition)
    counts = class_counts(labels, job.competition.num_classes)
    mirrored = in_mirror(labels, job.competition)
    return FoldData(train, limited(plan.photos[held], limit), labels, mirrored, counts)


def in_mirror(labels: np.ndarray, competition: Competition) -> np.ndarray:
    """The classes (N,) or labels (N, C) that a mirror makes of photos of these."""
    swap = competition.mirrored
    return labels[:, swap] if labels.ndim == 2 else swap[labels]


def open_cache(job: FoldJob, build: bool = True) -> PixelCache | None:
    """The pixel cache of the photos of all folds; None without one."""
    if not job.options.cache:
        return None
    images, geometry = job.plan.photos["image"].tolist(), job.recipe.geometry(job.competition)
    folder, read = job.options.compute.cache_dir or job.runs / "pixels", job.competition.read
    return pixel_cache(folder, job.data.train_images, images, geometry, build, read)


@dataclass(frozen=True)
class FoldLoaders:
    """The loaders of a fold: of training, by `batches`, and of validation."""

    batches: EpochBatches
    train: Any
    valid: Any

    def steps(self) -> Iterator[list[tuple[Any, Any]]]:
        """The rest of an epoch: for each step its batches, as (indices, photos)."""
        passing = iterate(self.train)
        for sizes in self.batches.sizes[self.batches.start :]:
            with stage("data"):
                step = [(at, photos) for at, (photos,) in (next(passing) for _ in sizes)]
            yield step


def fold_loaders(
    job: FoldJob, parts: FoldData, cache: PixelCache | None, workers: int, at_once: int = 0
) -> FoldLoaders:
    """The loaders of a fold.

    Validation takes batches of `at_once` photos, or, for 0, of as many as training is known to fit.
    """
    recipe, root = job.recipe, job.data.train_images
    geometry, read = recipe.geometry(job.competition), job.competition.read
    augment = recipe.augment
    if augment is not None and job.competition.mirror:
        augment = CountingAugment(augment)
    train, valid = (
        PhotoDataset(root, part["image"].tolist(), [geometry], transform, cache, read)
        for part, transform in ((parts.train, augment), (parts.valid, None))
    )
    batches = EpochBatches(recipe, parts.labels, job.fold)
    valid_batches = batches_of(len(parts.valid), at_once or valid_batch(recipe.batch_size))
    return FoldLoaders(
        batches,
        make_loader(train, batches, workers, job.device),
        make_loader(valid, valid_batches, workers, job.device),
    )
