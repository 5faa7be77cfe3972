"""One training step, and all that it changes: batches, learning rate, network, optimizer, moving average.

Whatever is random in a step follows from the recipe's seed, the fold, the epoch and the step alone: a run that continues
from any step needs no saved state of a random generator to equal an uninterrupted one.
"""

import contextlib
import hashlib
import math
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kit.device import autocast, choose_precision, out_of_memory, to_device
from kit.errors import KitError
from kit.fast import ease_training
from kit.labels import NUM_CLASSES, encode
from kit.labels import decode as decode_label
from kit.losses import make_loss, mix, one_hot
from kit.models import COSINE_SCALE, Network, build
from kit.profile import stage, step
from kit.recipe import Recipe

Batch = tuple[Tensor, Tensor]  # photos (N, height, width, 3) uint8, labels (N,)


def training_labels(recipe: Recipe, labels: np.ndarray, ages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What training takes of photos with `labels` (N,) and `ages` (N,) in years: a mask of those it keeps, and all labels (N,).

    Shifts the boundary to the oldest class and leaves out ages as the recipe says; validation never does.
    """
    mask, gender, age = decode_label(labels)
    shifted = np.where(ages >= recipe.age_boundary, 2, np.minimum(age, 1))
    low, high = recipe.drop_ages or (0, -1)
    return (ages < low) | (ages > high), encode(mask, gender, shifted)


class EpochBatches:
    """A batch sampler: the batches of one epoch after another, as lists of (index, seed of its augmentation).

    A step takes at most `accumulate` batches of at most `batch_size` photos. An epoch's photos are split evenly, first over
    its steps and then over a step's batches, so that none is left out and none forms a tiny last batch, which would disturb
    batch norm. `labels` (N,) are those that the sampler balances: `plain` takes each photo once an epoch; `balanced` and
    `sqrt` draw as many, with replacement, every class alike or by the square root of its size.

    Order and seeds follow from seed, fold and `epoch` alone; `start` is the step to begin at.
    """

    def __init__(self, recipe: Recipe, labels: np.ndarray, fold: int) -> None:
        self.n, self.recipe, self.stream = len(labels), recipe, f"{recipe.seed}/{fold}"
        self.epoch, self.start = 0, 0
        steps = math.ceil(self.n / (recipe.batch_size * recipe.accumulate))
        self.sizes = [_split(size, math.ceil(size / recipe.batch_size)) for size in _split(self.n, steps)]
        counts = np.bincount(labels, minlength=NUM_CLASSES)[labels]
        power = {"plain": 0.0, "balanced": -1.0, "sqrt": -0.5}[recipe.sampler]
        self._shares = np.cumsum(counts.astype(np.float64)**power)

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return len(self.sizes)

    def __len__(self) -> int:
        return sum(map(len, self.sizes[self.start:]))

    def seed(self, what: object) -> int:
        """A seed of this epoch for `what`: 0..2**32-1.

        By SHA-256: a checksum such as CRC-32 is linear, so that sorting by it puts the same photos side by side in
        every epoch.
        """
        return int.from_bytes(hashlib.sha256(f"{self.stream}/{self.epoch}/{what}".encode()).digest()[:4], "big")

    def order(self) -> np.ndarray:
        """The photos of this epoch, (N,), in their order."""
        drawn = np.array([self.seed(i) for i in range(self.n)])
        if self.recipe.sampler == "plain":
            return np.argsort(drawn, kind="stable")
        return np.searchsorted(self._shares, (drawn + 0.5) / 2**32 * self._shares[-1])

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.order()
        at = sum(map(sum, self.sizes[:self.start]))
        for size in (size for step in self.sizes[self.start:] for size in step):
            # By position: a photo that is drawn twice is augmented in two ways.
            yield [(int(order[k]), self.seed(f"augment/{k}")) for k in range(at, at + size)]
            at += size


def _split(n: int, parts: int) -> list[int]:
    """`n` as `parts` sizes that differ by one at most, the larger ones first."""
    return [n // parts + (i < n % parts) for i in range(parts)]


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate after `epoch` (a fraction counts) epochs: a linear warm-up to `recipe.lr`, then the schedule.

    The formulas are torch's CosineAnnealingLR, StepLR and OneCycleLR (its default shape), as a function of the position.
    """
    def cosine(start: float, end: float, share: float) -> float:
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))

    if recipe.schedule == "onecycle":
        rise, low = 0.3 * recipe.epochs, recipe.lr / 25
        if epoch < rise:
            return cosine(low, recipe.lr, epoch / rise)
        return cosine(recipe.lr, low / 1e4, (epoch - rise) / (recipe.epochs - rise))
    if epoch < recipe.warmup:
        return recipe.lr * epoch / recipe.warmup
    if recipe.schedule == "cosine":
        return cosine(recipe.lr, 0.0, (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1e-9))
    if recipe.schedule == "step":
        return float(recipe.lr * recipe.lr_factor ** (epoch // recipe.lr_step))
    return recipe.lr


class Learner:
    """A network in training, with its optimizer, scaler and moving average, on a device.

    `counts` (18,) are the training photos a class. `plain` trains without what makes it fast, the channels-last layout and
    the precision that pays: to measure those by.
    """

    def __init__(self, recipe: Recipe, counts: np.ndarray, device: torch.device, plain: bool = False) -> None:
        from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
        from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
        self.recipe, self.device = recipe, device
        self.layout = torch.contiguous_format if plain else torch.channels_last
        self.network: Network = build(recipe).to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.precision = torch.float32 if plain else choose_precision(device, self.network.parameters_count)
        if device.type == "cpu" and self.precision == torch.bfloat16:
            ease_training(self.network)
        self.optimizer = create_optimizer_v2(
            self.network.body, opt=recipe.optimizer, lr=recipe.lr, weight_decay=recipe.decay,
            layer_decay=recipe.layer_decay if recipe.layer_decay < 1 else None, fused=True)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)
        # The warm-up lets the average forget the first, random head.
        self.average = ModelEmaV3(self.network, decay=recipe.ema, use_warmup=True) if recipe.ema else None
        self.loss = make_loss(recipe, counts, COSINE_SCALE, device)
        self.count = 0  # steps in the moving average

    @property
    def used(self) -> Network:
        """The network that is validated and saved: the moving average, where the recipe has one."""
        used: Network = self.network if self.average is None else self.average.module
        return used

    def step(self, batches: Sequence[Batch], rate: float, seed: int) -> Tensor:
        """One step of the optimizer on batches of photos and labels, with the learning rate `rate`; the loss, on the device."""
        recipe = self.recipe
        torch.manual_seed(seed)  # dropout, stochastic depth and mixes, on every device
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        with stage("copy"):
            every = [one_hot(labels.to(self.device, non_blocking=True)) for _, labels in batches]
            norms = torch.stack([self.loss.norms(targets) for targets in every]).sum(dim=0)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for (pixels, _), plain in zip(batches, every):
            with stage("copy"):  # a batch at a time: as floats they take four times the memory
                photos, targets = mix(recipe, to_device(pixels, self.device), plain)
            with stage("forward"):
                with autocast(self.device, self.precision):
                    logits = self.network(photos.contiguous(memory_format=self.layout))
                loss = (self.loss.sums(logits, targets) / norms).sum()
            with stage("backward"):
                self.scaler.scale(loss).backward()
            total += loss.detach()
        with stage("optimizer"):
            if recipe.clip:
                self.scaler.unscale_(self.optimizer)
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
            self.scaler.step(self.optimizer)
            scale = self.scaler.get_scale() if self.average is not None else 0.0
            self.scaler.update()
            # A step whose gradients overflowed was left out, which a scaler tells by its lower scale; without one none is.
            if self.average is not None and self.scaler.get_scale() >= scale:
                self.count += 1
                self.average.update(self.network, step=self.count)
        step()
        return total

    @property
    def stalled(self) -> bool:
        """Whether fp16's gradients have overflowed so often, step after step, that nothing is learned any more."""
        return self.scaler.is_enabled() and self.scaler.get_scale() < 1e-4

    def state(self) -> dict[str, Any]:
        """All that steps change, as plain types and tensors."""
        return {"network": self.network.body.state_dict(), "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(), "count": self.count,
                "average": self.average.module.body.state_dict() if self.average is not None else {}}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.body.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where the steps before were not in fp16
            self.scaler.load_state_dict(state["scaler"])
        self.count = state["count"]
        if self.average is not None:
            self.average.module.body.load_state_dict(state["average"])


def fitting_batch(recipe: Recipe, device: torch.device) -> int | None:
    """The largest half, quarter, ... of a recipe's batch size with which steps fit into the device's memory; None if none."""
    size = recipe.batch_size // 2
    while size >= 3:  # the least that a recipe takes
        try:
            batch = (torch.zeros(size, *recipe.size, 3, dtype=torch.uint8), torch.zeros(size, dtype=torch.int64))
            learner = Learner(recipe, np.ones(NUM_CLASSES), device)
            for seed in range(2):  # the optimizer's own memory comes with the first step
                learner.step([batch], 0.0, seed)
            return size
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            learner = None  # type: ignore[assignment]
            size //= 2
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return None


@contextlib.contextmanager
def enough_memory(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Raise `KitError` where the block runs out of the device's memory, with the batch size that fits."""
    try:
        yield
        return
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold what did not fit: activations, most of all
        if device.type == "cuda":
            torch.cuda.empty_cache()
    fits = fitting_batch(recipe, device)
    line = f"recipe {recipe.name}: the memory of {device} is too small for batch_size={recipe.batch_size} at " \
           f"{recipe.size[0]} x {recipe.size[1]}; "
    if fits is None:
        raise KitError(line + "no smaller one fits either: lower size, or free the device")
    if recipe.loss == "f1":
        raise KitError(line + f"{fits} fits: set batch_size={fits}")
    steps = math.ceil(recipe.batch_size / fits)
    same = ", and the steps stay the same" if steps * fits == recipe.batch_size else ", for steps of about as many photos"
    raise KitError(line + f"{fits} fits: set batch_size={fits}, accumulate={steps * recipe.accumulate}{same}")
