"""Losses of 18-class targets, hard or mixed, for one head or three, with class weights.

Every head gives logits of the 18 classes (`models`); a loss of three heads is the sum of the losses
of the marginals over mask, gender and age, which of a product of three are the three themselves.
Targets are distributions over the 18 classes, so that a mix of two photos is the mix of their
marginals, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from kit.competitions.mask import AGES, GENDERS, MASKS, NUM_CLASSES
from kit.recipe import Recipe

# Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019: their setting for
# thousands of photos.
EFFECTIVE_BETA = 0.999


# Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019:
# the largest margin (the scale of the cosines is the head's, in `models`).
LDAM_MARGIN = 0.5


# The axes of (N, mask, gender, age) that a task's marginal sums over.
_OTHERS = {"mask": (2, 3), "gender": (1, 3), "age": (1, 2)}


_SHAPE = (len(MASKS), len(GENDERS), len(AGES))


def marginals(log_probs: Tensor) -> list[Tensor]:
    """The log-probabilities of mask (N, 3), gender (N, 2) and age (N, 3) of log-probabilities (N,
    18).
    """
    table = log_probs.view(-1, *_SHAPE)
    return [table.logsumexp(dim=others) for others in _OTHERS.values()]


def class_weights(counts: np.ndarray, how: str) -> np.ndarray:
    """The weights of classes of `counts` photos: `none` (all 1), `inverse` or `effective` (by Cui
    et al., 2019).

    Those of classes that have photos have the mean 1; the others weigh 0.
    """
    if how == "none":
        return np.ones(len(counts))
    there = counts > 0
    counts = np.maximum(counts, 1).astype(np.float64)
    weights = (
        1 / counts if how == "inverse" else (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA**counts)
    )
    found: np.ndarray = weights * there / weights[there].mean()
    return found


@dataclass(frozen=True)
class Loss:
    """A recipe's loss: a value for each task (one for the head of 18), each a sum over photos to be
    divided by `normalizers`.

    Sums and norms add up over the batches of a step, so that a step over several batches equals one
    over a large one. `weights` are each task's class weights, `margins` those of LDAM.
    """

    recipe: Recipe
    weights: tuple[Tensor, ...]
    margins: tuple[Tensor, ...]

    def smoothed_targets(self, targets: Tensor) -> list[Tensor]:
        """What each task's log-probabilities are weighed by, (N, classes), of targets (N, 18):
        smoothed, times class weights.

        A label's weight is that of its whole smoothed row. If each class of the row had its own
        weight, a common label would be outweighed by the rare classes that its row is smoothed
        over.
        """
        smooth = self.recipe.label_smoothing
        weighted = [task * weight for task, weight in zip(self.tasks(targets), self.weights)]
        return [
            task * (1 - smooth) + smooth / task.shape[1] * task.sum(dim=1, keepdim=True)
            for task in weighted
        ]

    def tasks(self, targets: Tensor) -> list[Tensor]:
        """The targets of each task, (N, classes), of targets (N, 18)."""
        table = targets.view(-1, *_SHAPE)
        return (
            [targets]
            if self.recipe.head == "classes"
            else [table.sum(dim=others) for others in _OTHERS.values()]
        )

    def normalizers(self, targets: Tensor) -> Tensor:
        """What each task's sum is divided by, (tasks,): the weights of the photos' labels; 1 for a
        loss of the whole batch.

        A mix of photos within a batch has the same, for it only shares their targets out anew.
        """
        if self.recipe.loss == "f1":
            return torch.ones(len(self.weights), device=targets.device)
        return torch.stack(
            [(task * weight).sum() for task, weight in zip(self.tasks(targets), self.weights)]
        )

    def loss_sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each task's sum over photos, (tasks,), of logits (N, 18) and targets (N, 18)."""
        log_probs = logits.float().log_softmax(dim=1)
        tasks = [log_probs] if self.recipe.head == "classes" else marginals(log_probs)
        if self.recipe.loss == "f1":
            return torch.stack(
                [self._f1(*task) for task in zip(tasks, self.tasks(targets), self.weights)]
            )
        return torch.stack(
            [self._one(*task) for task in zip(tasks, self.smoothed_targets(targets), self.margins)]
        )

    def _f1(self, logs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        # Without the classes that the batch has not: they give the soft F1 no gradient, smoothed
        # only a false one, and its scale should not depend on them.
        present, smooth = target.sum(dim=0) > 0, self.recipe.label_smoothing
        probs, goal = logs.exp(), target * (1 - smooth) + smooth / target.shape[1] * present
        f1 = 2 * (probs * goal).sum(dim=0) / (probs + goal).sum(dim=0).clamp_min(1e-9)
        return 1 - (f1 * present * weight).sum() / (present * weight).sum()

    def _one(self, logs: Tensor, goal: Tensor, margins: Tensor) -> Tensor:
        if self.recipe.loss == "ldam":
            # For each class the log-probability with its own logit lowered by its margin: the row
            # of a photo's true class.
            lowered = logs[:, None, :] - torch.diag(margins)
            logs = functional.log_softmax(lowered, dim=2).diagonal(dim1=1, dim2=2)
        loss = -logs
        if self.recipe.loss == "focal":
            loss = (
                loss * (1 - logs.exp()).clamp_min(1e-6) ** self.recipe.focal_gamma
            )  # Lin et al., ICCV 2017
        return (loss * goal).sum()


def make_loss(
    recipe: Recipe, counts: np.ndarray, scale: float, device: torch.device | str = "cpu"
) -> Loss:
    """The loss of a recipe for training photos of `counts` (18,) a class; `scale` is that of the
    LDAM head's cosines.
    """
    if recipe.head == "classes":
        groups: Sequence[np.ndarray] = [counts]
    else:
        groups = [
            counts.reshape(_SHAPE).sum(axis=tuple(a - 1 for a in others))
            for others in _OTHERS.values()
        ]

    def tensors(values: list[np.ndarray]) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(v, dtype=torch.float32, device=device) for v in values)

    roots = [np.maximum(group, 1) ** -0.25 for group in groups]
    return Loss(
        recipe,
        tensors([class_weights(group, recipe.class_weights) for group in groups]),
        tensors([scale * LDAM_MARGIN * root / root.max() for root in roots]),
    )


def one_hot(labels: Tensor) -> Tensor:
    """Labels (N,) as distributions (N, 18)."""
    return functional.one_hot(labels, NUM_CLASSES).float()


def mix(recipe: Recipe, photos: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A batch of photos (N, 3, height, width) and targets (N, 18), mixed with its neighbours in the
    batch by the recipe.

    Randomness is torch's. `mixup` (Zhang et al., ICLR 2018) and `cutmix` (Yun et al., ICCV 2019)
    are torchvision's; `half` joins the left half of a photo, or the right one, with the other half
    of its neighbour: both keep half a face.
    """
    if recipe.mix == "none" or float(torch.rand(())) >= recipe.mix_prob:
        return photos, targets
    if recipe.mix == "half":
        middle = photos.shape[3] // 2
        left = bool(torch.rand(()) < 0.5)
        share = middle / photos.shape[3] if left else 1 - middle / photos.shape[3]
        columns = slice(middle, None) if left else slice(None, middle)
        mixed = photos.clone()
        mixed[..., columns] = photos.roll(1, 0)[..., columns]
        return mixed, targets * share + targets.roll(1, 0) * (1 - share)
    mixer = (v2.MixUp if recipe.mix == "mixup" else v2.CutMix)(alpha=recipe.mix_alpha)
    both: tuple[Tensor, Tensor] = mixer(photos, targets)
    return both
