"""One training step, and all that it changes: network, optimizer, moving average.

Whatever is random in a step follows from the recipe's seed, the fold, the epoch and the step alone:
a run that continues from any step needs no saved state of a random generator to equal an
uninterrupted one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor

from kit.competition import Competition
from kit.models.cpu_bf16 import patch_slow_bf16_layers
from kit.models.heads import COSINE_SCALE
from kit.models.network import Network, build
from kit.recipe import Recipe
from kit.system.device import to_device
from kit.system.precision import autocast, choose_precision, precision_name
from kit.system.profiler import stage, step
from kit.training.batches import Batch
from kit.training.label_losses import make_label_loss
from kit.training.losses import make_loss, mix, one_hot


class Learner:
    """A network in training, with its optimizer, scaler and moving average, on a device.

    `counts` (C,) are the training photos a class or label. `plain` trains without what makes it
    fast, the channels-last layout and the precision that pays: to measure those by.
    """

    def __init__(
        self,
        recipe: Recipe,
        competition: Competition,
        counts: np.ndarray,
        device: torch.device,
        plain: bool = False,
    ) -> None:
        self.recipe, self.device, self.classes = recipe, device, competition.num_classes
        self.layout = torch.contiguous_format if plain else torch.channels_last
        self.network: Network = build(recipe, competition).to(  # type: ignore[call-overload]
            device, memory_format=self.layout
        )
        self.precision = (
            torch.float32 if plain else choose_precision(device, self.network.parameters_count)
        )
        if device.type == "cpu" and self.precision == torch.bfloat16:
            patch_slow_bf16_layers(self.network)
        self.optimizer = create_optimizer_v2(
            self.network.body,
            opt=recipe.optimizer,
            lr=recipe.lr,
            weight_decay=recipe.decay,
            layer_decay=recipe.layer_decay if recipe.layer_decay < 1 else None,
            fused=True,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)
        # The warm-up lets the average forget the first, random head.
        self.average = (
            ModelEmaV3(self.network, decay=recipe.ema, use_warmup=True) if recipe.ema else None
        )
        self.loss = (
            make_label_loss(recipe, counts, device)
            if competition.several_labels
            else make_loss(recipe, competition.shape, counts, COSINE_SCALE, device)
        )
        self.count = 0  # steps in the moving average

    @property
    def place(self) -> str:
        """The device and the precision, in words."""
        return f"{self.device}, {precision_name(self.precision)}"

    @property
    def used(self) -> Network:
        """The network that is validated and saved: the moving average, where the recipe has one."""
        used: Network = self.network if self.average is None else self.average.module
        return used

    def step(self, batches: Sequence[Batch], rate: float, seed: int) -> Tensor:
        """The loss, on the device, of one step of the optimizer on batches of photos and labels.

        `rate` is the learning rate; `seed` decides all that is random in the step.
        """
        recipe = self.recipe
        torch.manual_seed(seed)  # dropout, stochastic depth and mixes, on every device
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        with stage("copy"):
            every = [
                one_hot(labels.to(self.device, non_blocking=True), self.classes)
                for _, labels in batches
            ]
            normalizers = torch.stack([self.loss.normalizers(targets) for targets in every]).sum(
                dim=0
            )
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for (pixels, _), plain in zip(batches, every):
            with stage("copy"):  # a batch at a time: as floats they take four times the memory
                photos, targets = mix(recipe, to_device(pixels, self.device), plain)
            with stage("forward"):
                with autocast(self.device, self.precision):
                    logits = self.network(photos.contiguous(memory_format=self.layout))
                loss = (self.loss.loss_sums(logits, targets) / normalizers).sum()
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
            # A step whose gradients overflowed was left out, which a scaler tells by its lower
            # scale; without one none is.
            if self.average is not None and self.scaler.get_scale() >= scale:
                self.count += 1
                self.average.update(self.network, step=self.count)
        step()
        return total

    @property
    def stalled(self) -> bool:
        """True if nothing is learned any more.

        That is when fp16's gradients have overflowed in so many steps in a row.
        """
        return self.scaler.is_enabled() and self.scaler.get_scale() < 1e-4

    def state(self) -> dict[str, Any]:
        """All that steps change, as plain types and tensors."""
        return {
            "network": self.network.body.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "count": self.count,
            "average": self.average.module.body.state_dict() if self.average is not None else {},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.body.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where the steps before were not in fp16
            self.scaler.load_state_dict(state["scaler"])
        self.count = state["count"]
        if self.average is not None:
            self.average.module.body.load_state_dict(state["average"])
