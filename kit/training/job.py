"""One fold to train: a recipe, a plan, a fold's number and place, and how to train it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.loader import default_workers
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.models.pretrained import weights_path
from kit.recipe import Recipe
from kit.results.run import Fold, origin_of
from kit.scale.group import Group
from kit.system.device import choose_device
from kit.training.history import Row


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train, beside the recipe; of these only `compute` and `limit` change a result.

    `compute` says on which device, with how many loader processes. `force` trains anew and replaces
    an earlier training, `resume` raises `KitError` without an earlier one to go on with. `limit`
    photos of each part make a trial (0: all of them). With `cache` photos are decoded once, into
    the pixel cache. `last.pt` is written every `save_minutes` within an epoch. The weights of the
    last `keep_epochs` epochs are kept for `kit.soup`. `track` names a tracker; one that does not
    start is an error if `must_track`, else a warning. With `profile` each fold's folder gets a
    profile of its training. `lock_seconds` are waited for the lock of a fold that another process
    trains, before that is an error. `weights` is the file that the recipe's `pretrained` names, as
    it was found before; without it, it is found by the training. The processes of a `group` train
    each fold together. `watch` is given the epochs so far before each one, and what it raises ends
    the training, which can be resumed.
    """

    compute: Compute = Compute()
    force: bool = False
    resume: bool = False
    limit: int = 0
    cache: bool = True
    save_minutes: float = 10
    keep_epochs: int = 0
    track: str | None = None
    must_track: bool = True
    profile: bool = False
    lock_seconds: float = 0
    weights: Path | None = None
    group: Group = Group()
    watch: Callable[[Sequence[Row]], None] | None = None


@dataclass(frozen=True)
class FoldJob:
    """One `fold` of a `plan` to train by a `recipe`, on photos of `data`, into a folder `runs`."""

    recipe: Recipe
    plan: Plan
    data: DataFolder
    fold: int
    runs: Path
    options: TrainOptions

    @property
    def name(self) -> str:
        """What the fold is called in messages."""
        return f"{self.recipe.name}/fold{self.fold}"

    @property
    def competition(self) -> Competition:
        """The competition that the plan records."""
        return self.plan.competition

    @property
    def group(self) -> Group:
        """The processes that train the fold together."""
        return self.options.group

    @cached_property
    def files(self) -> Fold:
        """The files of the fold, in `runs/<recipe>/fold<k>`."""
        return Fold(self.runs / self.recipe.name / f"fold{self.fold}")

    @cached_property
    def origin(self) -> str:
        """What the fold's metrics are of: its recipe and its plan."""
        return origin_of(self.recipe.describe(), self.plan.hash, self.fold)

    @cached_property
    def device(self) -> torch.device:
        """The device to train on; raises `KitError` if it does not exist."""
        return choose_device(self.options.compute.device)

    def placed(self) -> "FoldJob":
        """The same job for a process in any folder, or on another machine with the same mounts.

        Its paths are absolute, the file of pretrained weights with the environment variables of
        this process. What is recorded of the job is the same; messages name absolute paths.
        """
        compute, weights = self.options.compute, self.options.weights
        if weights is None and isinstance(self.recipe.pretrained, str):
            weights = weights_path(self.recipe.pretrained)
        options = dataclasses.replace(
            self.options,
            compute=compute.placed(),
            weights=weights.absolute() if weights is not None else None,
        )
        data = dataclasses.replace(self.data, root=self.data.root.absolute())
        return dataclasses.replace(self, data=data, runs=self.runs.absolute(), options=options)

    @property
    def located_recipe(self) -> Recipe:
        """The recipe to build the network by: `pretrained` is the file that was found before.

        The one that is recorded is `recipe`, as it was written.
        """
        weights = self.options.weights
        pretrained = self.recipe.pretrained if weights is None else str(weights)
        return dataclasses.replace(self.recipe, pretrained=pretrained)

    @property
    def workers(self) -> int:
        """The number of loader processes."""
        workers = self.options.compute.workers
        return default_workers(self.device.type) if workers is None else workers
