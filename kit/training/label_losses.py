"""The loss of several labels a photo, each of which is a question of its own."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kit.recipe import Recipe
from kit.scoring.losses import LOSSES, LossTerms
from kit.training.losses import class_weights


@dataclass(frozen=True)
class LabelLoss:
    """A recipe's loss for labels (N, C) of 0 and 1, or of mixed photos between.

    It is the mean over photos and labels, of which each counts by its class weight (C,): a sum, to
    be divided by `normalizers`, which adds up over the batches of a step.
    """

    recipe: Recipe
    weights: Tensor

    def normalizers(self, targets: Tensor) -> Tensor:
        """The divisor of the sum, (1,): the summed weights of photos and labels.

        It is 1 for a loss of the whole batch.
        """
        if LOSSES[self.recipe.loss].whole_batch:
            return torch.ones(1, device=targets.device)
        return len(targets) * self.weights.sum()[None]

    def loss_sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over photos and labels, (1,), of logits (N, C) and targets (N, C)."""
        value, smooth = LOSSES[self.recipe.loss].of_labels, self.recipe.label_smoothing
        if value is None:
            raise ValueError(f"{self.recipe.loss} is no loss of several labels")
        goal = targets * (1 - smooth) + smooth / 2
        gamma = self.recipe.focal_gamma
        terms = LossTerms(targets, goal, self.weights, self.weights, smooth, gamma)
        return value(logits.float(), terms)[None]


def make_label_loss(
    recipe: Recipe, counts: np.ndarray, device: torch.device | str = "cpu"
) -> LabelLoss:
    """The loss of a recipe for training photos of `counts` (C,) a label."""
    weights = class_weights(counts, recipe.class_weights)
    return LabelLoss(recipe, torch.tensor(weights, dtype=torch.float32, device=device))
