"""What a fold is trained and validated on, and its loaders."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kit.competitions.mask import NUM_CLASSES
from kit.data.cache import PixelCache
from kit.data.loader import PhotoDataset, batches_of, iterate, make_loader
from kit.data.plan import Plan
from kit.recipe import Recipe
from kit.system.errors import KitError
from kit.system.profiler import stage
from kit.training.batches import EpochBatches, training_labels

_VALID_BATCH = 32


def limited(photos: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` of the photos (0: all), the same ones every time, drawn over all of them."""
    if not limit or len(photos) <= limit:
        return photos
    digests = photos["image"].map(lambda image: hashlib.sha256(image.encode()).hexdigest())
    return photos.loc[digests.sort_values().index[:limit].sort_values()]


@dataclass(frozen=True)
class FoldData:
    """What a fold is trained and validated on, as rows of the plan; training labels as the recipe
    wants them.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    labels: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The training photos a class, (18,)."""
        return np.bincount(self.labels, minlength=NUM_CLASSES)


def _split(recipe: Recipe, plan: Plan, fold: int, limit: int) -> FoldData:
    held = (plan.photos["fold"] == fold).to_numpy()
    train = plan.photos[~held]
    taken, _ = training_labels(recipe, train["label"].to_numpy(), train["age"].to_numpy())
    train = limited(train[taken], limit)
    if len(train) < 2:
        raise KitError(
            f"recipe {recipe.name}: {len(train)} photos are left to train on; drop fewer ages"
        )
    _, labels = training_labels(recipe, train["label"].to_numpy(), train["age"].to_numpy())
    return FoldData(train, limited(plan.photos[held], limit), labels)


def fold_loaders(
    recipe: Recipe,
    parts: FoldData,
    root: Path,
    cache: PixelCache | None,
    batches: EpochBatches,
    workers: int,
    device: torch.device,
    at_once: int = 0,
) -> tuple[Any, Any]:
    """The loaders of training and validation; the latter in batches of `at_once`, or, for 0, of
    what training is known to fit.
    """
    seen, unseen = (
        PhotoDataset(root, part["image"].tolist(), [recipe.geometry], augment, cache)
        for part, augment in ((parts.train, recipe.augment), (parts.valid, None))
    )
    return (
        make_loader(seen, batches, workers, device),
        make_loader(
            unseen,
            batches_of(len(parts.valid), at_once or min(_VALID_BATCH, recipe.batch_size)),
            workers,
            device,
        ),
    )


def batches_of_steps(loader: Any) -> Iterator[list[tuple[Any, Any]]]:
    """The rest of an epoch: the batches of each step, as (indices, photos)."""
    passing, batches = iterate(loader), loader.batch_sampler
    for sizes in batches.sizes[batches.start :]:
        with stage("data"):
            batches_of_step = [(at, photos) for at, (photos,) in (next(passing) for _ in sizes)]
        yield batches_of_step
