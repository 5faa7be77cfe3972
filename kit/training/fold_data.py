"""The photos and labels that a fold is trained and validated on, and its loaders."""

import hashlib
import math
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
from kit.scoring.losses import LOSSES
from kit.system.errors import KitError
from kit.system.profiler import stage
from kit.task import Task
from kit.training.batches import EpochBatches, step_sizes
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
        raise KitError(f"{line} makes another number of classes; take {wanted} numbers{than}")
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


def shared_cache(job: FoldJob) -> PixelCache | None:
    """The pixel cache, which one process of a group builds on each machine; the others wait."""
    builds = not job.group.ranks.local_rank
    if not builds:
        job.group.barrier()
    cache = open_cache(job, build=builds and not job.options.limit)  # a trial does not build it
    if builds:
        job.group.barrier()
    return cache


@dataclass(frozen=True)
class FoldLoaders:
    """The loaders of a fold: of training, by `batches`, and of validation.

    They load this process's share. `rounds` are the most batches of validation that any process of
    the group has.
    """

    batches: EpochBatches
    train: Any
    valid: Any
    rounds: int

    def steps(self) -> Iterator[list[tuple[Any, Any]]]:
        """The rest of an epoch: for each step this process's batches, as (indices, photos)."""
        passing, batches = iterate(self.train), self.batches
        for step in range(batches.start, batches.steps):
            with stage("data"):
                share = (next(passing) for _ in batches.share(step))
                loaded = [(at, photos) for at, (photos,) in share]
            yield loaded


def check_shares(job: FoldJob, photos: int) -> None:
    """Raise `KitError` if a group has more processes than a step has batches.

    `photos` are the photos to train on.
    """
    recipe, size = job.recipe, job.group.size
    batches = min(map(len, step_sizes(recipe, photos)))
    if size <= batches:
        return
    if LOSSES[recipe.loss].whole_batch:
        remedy = f"loss={recipe.loss!r} is of a whole batch: start one process"
    else:
        remedy = f"start at most {batches}, or raise accumulate, which is {recipe.accumulate}"
    are = "es are" if batches > 1 else " is"
    raise KitError(
        f"recipe {recipe.name}: a step's {batches} batch{are} too few for {size} processes, of "
        f"which each takes whole batches; {remedy}"
    )


def fold_loaders(
    job: FoldJob, parts: FoldData, cache: PixelCache | None, workers: int, at_once: int = 0
) -> FoldLoaders:
    """The loaders of a fold.

    Validation takes batches of `at_once` photos, or, for 0, of as many as training is known to fit.
    """
    recipe, root, group = job.recipe, job.data.train_images, job.group
    geometry, read = recipe.geometry(job.competition), job.competition.read
    augment = recipe.augment
    if augment is not None and job.competition.mirror:
        augment = CountingAugment(augment)
    size = at_once or valid_batch(recipe.batch_size)
    number = math.ceil(len(parts.valid) / size)
    share = group.share_of(number)  # whole batches, as one process has them
    held = parts.valid[share.start * size : share.stop * size]
    train, valid = (
        PhotoDataset(root, part["image"].tolist(), [geometry], transform, cache, read)
        for part, transform in ((parts.train, augment), (held, None))
    )
    batches = EpochBatches(recipe, parts.labels, job.fold, group)
    return FoldLoaders(
        batches,
        make_loader(train, batches, workers, job.device),
        make_loader(valid, batches_of(len(held), size), workers, job.device),
        math.ceil(number / group.size),
    )
