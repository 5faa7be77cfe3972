"""The learning rate, as a function of the position in a training."""

import math

from kit.recipe import Recipe


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate after `epoch` epochs, a fraction counts.

    It is a linear warm-up to `recipe.lr`, then the schedule. The formulas are torch's
    CosineAnnealingLR, StepLR and OneCycleLR (its default shape), as a function of the position.
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
        return cosine(
            recipe.lr, 0.0, (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1e-9)
        )
    if recipe.schedule == "step":
        return float(recipe.lr * recipe.lr_factor ** (epoch // recipe.lr_step))
    return recipe.lr
