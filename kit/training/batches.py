"""Batches whose order and randomness follow from seed, fold, epoch and step alone."""

import hashlib
import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from kit.recipe import Recipe
from kit.scale.group import Group

# Photos (N, height, width, channels) uint8, and their classes (N,) or labels (N, C).
Batch = tuple[Tensor, Tensor]


class EpochBatches:
    """A batch sampler: an epoch's batches, one after another, as lists of (index, seed).

    The seed is that of the photo's augmentation. A step takes at most `accumulate` batches of at
    most `batch_size` photos. An epoch's photos are split evenly, first over its steps and then over
    a step's batches, so that none is left out and none forms a tiny last batch, which would disturb
    batch norm. `labels`, classes (N,) or labels (N, C), are those that the sampler balances:
    `plain` takes each photo once an epoch; `balanced` and `sqrt` draw as many, with replacement,
    every class alike or by the square root of its size. Of several labels a photo its rarest
    counts, and photos without any are one more class.

    Order and seeds follow from seed, fold and `epoch` alone; `start` is the step to begin at. A
    process of a `group` is given its share of each step's batches alone.
    """

    def __init__(
        self, recipe: Recipe, labels: np.ndarray, fold: int, group: Group = Group()
    ) -> None:
        self.n, self.recipe, self.stream = len(labels), recipe, f"{recipe.seed}/{fold}"
        self.epoch, self.start, self.group = 0, 0, group
        self.sizes = step_sizes(recipe, self.n)
        counts = sizes_of_classes(labels)
        power = {"plain": 0.0, "balanced": -1.0, "sqrt": -0.5}[recipe.sampler]
        self._shares = np.cumsum(counts.astype(np.float64) ** power)

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return len(self.sizes)

    def share(self, step: int) -> range:
        """The numbers of this process's batches of a step."""
        return self.group.share_of(len(self.sizes[step]))

    def __len__(self) -> int:
        return sum(len(self.share(step)) for step in range(self.start, self.steps))

    def seed(self, what: object) -> int:
        """A seed of this epoch for `what`: 0..2**32-1.

        By SHA-256: a checksum such as CRC-32 is linear, so that sorting by it puts the same photos
        side by side in every epoch.
        """
        return int.from_bytes(
            hashlib.sha256(f"{self.stream}/{self.epoch}/{what}".encode()).digest()[:4], "big"
        )

    def seeds(self, step: int) -> list[int]:
        """The seed of each batch of a step."""
        number = len(self.sizes[step])
        return [self.seed(f"step/{step}" + f"/{n}" * (n > 0)) for n in range(number)]

    def order(self) -> np.ndarray:
        """The photos of this epoch, (N,), in their order."""
        drawn = np.array([self.seed(i) for i in range(self.n)])
        if self.recipe.sampler == "plain":
            return np.argsort(drawn, kind="stable")
        return np.searchsorted(self._shares, (drawn + 0.5) / 2**32 * self._shares[-1])

    def photos(self, step: int) -> np.ndarray:
        """The photos of a step, in their order."""
        at = sum(map(sum, self.sizes[:step]))
        return self.order()[at : at + sum(self.sizes[step])]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.order()
        at = sum(map(sum, self.sizes[: self.start]))
        for step in range(self.start, self.steps):
            for number, size in enumerate(self.sizes[step]):
                if number in self.share(step):
                    # By position: a photo that is drawn twice is augmented in two ways.
                    yield [(int(order[k]), self.seed(f"augment/{k}")) for k in range(at, at + size)]
                at += size


def step_sizes(recipe: Recipe, n: int) -> list[list[int]]:
    """The numbers of photos in each step's batches, of an epoch of `n` photos."""
    steps = math.ceil(n / (recipe.batch_size * recipe.accumulate))
    return [_split(size, math.ceil(size / recipe.batch_size)) for size in _split(n, steps)]


def sizes_of_classes(labels: np.ndarray) -> np.ndarray:
    """The photos (N,) of each photo's class, of classes (N,) or labels (N, C): its rarest one."""
    if labels.ndim == 1:
        return np.bincount(labels)[labels]
    has = labels > 0
    rarest = np.where(has, has.sum(axis=0), len(labels)).min(axis=1)
    empty = ~has.any(axis=1)
    return np.where(empty, empty.sum(), rarest)


def _split(n: int, parts: int) -> list[int]:
    """`n` as `parts` sizes that differ by one at most, the larger ones first."""
    return [n // parts + (i < n % parts) for i in range(parts)]
