"""Losses for hard or mixed targets, of all classes or of each task, with class weights.

Every head gives logits (N, C) (`kit.models.heads`). With a head for each task, the loss is the sum
of the tasks' losses, each of the marginals of the C probabilities over the other tasks; those of a
product of tasks are its factors. Targets are distributions over the C classes, so that the
marginals of a mix of two photos are the mix of their marginals.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from kit.recipe import Recipe
from kit.scoring.losses import LOSSES, LossTerms

# Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019: their setting for
# thousands of photos.
EFFECTIVE_BETA = 0.999
# Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019:
# the largest margin (the scale of the cosines is the head's, in `models`).
LDAM_MARGIN = 0.5


def other_axes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """For each task the axes of a table (N, *shape) that its marginal sums over."""
    axes = range(1, len(shape) + 1)
    return [tuple(axis for axis in axes if axis != task) for task in axes]


def marginals(log_probs: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
    """Each task's log-probabilities (N, c) from those of all classes (N, C).

    `shape` is the number of classes c of each task.
    """
    if len(shape) == 1:
        return [log_probs]
    table = log_probs.view(-1, *shape)
    return [table.logsumexp(dim=others) for others in other_axes(shape)]


def class_weights(counts: np.ndarray, how: str) -> np.ndarray:
    """The weights of classes of `counts` photos: `none` (all 1), `inverse` or `effective`.

    `effective` is by Cui et al., 2019. Those of classes that have photos have the mean 1; the
    others weigh 0.
    """
    if how == "none":
        return np.ones(len(counts))
    present = counts > 0
    counts = np.maximum(counts, 1).astype(np.float64)
    weights = (
        1 / counts if how == "inverse" else (1 - EFFECTIVE_BETA) / (1 - EFFECTIVE_BETA**counts)
    )
    normalized: np.ndarray = weights * present / weights[present].mean()
    return normalized


@dataclass(frozen=True)
class Loss:
    """A recipe's loss: a value for each task, or one for the head `classes`.

    Each value is a sum over photos, to be divided by `normalizers`. Both add up over the batches of
    a step, so that a step over several batches equals one over a large one. `shape` is the number
    of classes of each task, `weights` are each task's class weights and `margins` those of LDAM,
    (c,) a task.
    """

    recipe: Recipe
    shape: tuple[int, ...]
    weights: tuple[Tensor, ...]
    margins: tuple[Tensor, ...]

    def smoothed_targets(self, targets: Tensor) -> list[Tensor]:
        """The factors of each task's log-probabilities, (N, c): smoothed targets by class weights.

        `targets` are (N, C). A label's weight is that of its whole smoothed row. If each class of
        the row had its own weight, a common label would be outweighed by the rare classes that its
        row is smoothed over.
        """
        smooth = self.recipe.label_smoothing
        weighted = [task * weight for task, weight in zip(self.tasks(targets), self.weights)]
        return [
            task * (1 - smooth) + smooth / task.shape[1] * task.sum(dim=1, keepdim=True)
            for task in weighted
        ]

    def tasks(self, targets: Tensor) -> list[Tensor]:
        """The targets of each task, (N, c), of targets (N, C)."""
        if self.recipe.head == "classes" or len(self.shape) == 1:
            return [targets]
        table = targets.view(-1, *self.shape)
        return [table.sum(dim=others) for others in other_axes(self.shape)]

    def normalizers(self, targets: Tensor) -> Tensor:
        """The divisor of each task's sum, (tasks,): the summed weights of the photos' labels.

        It is 1 for a loss of the whole batch. A mix of photos within a batch has the same, for it
        only shares their targets out anew.
        """
        if LOSSES[self.recipe.loss].whole_batch:
            return torch.ones(len(self.weights), device=targets.device)
        return torch.stack(
            [(task * weight).sum() for task, weight in zip(self.tasks(targets), self.weights)]
        )

    def loss_sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each task's sum over photos, (tasks,), of logits (N, C) and targets (N, C)."""
        log_probs = logits.float().log_softmax(dim=1)
        whole = self.recipe.head == "classes"
        tasks = [log_probs] if whole else marginals(log_probs, self.shape)
        goals = self.smoothed_targets(targets)
        parts = zip(self.tasks(targets), goals, self.weights, self.margins)
        smoothing, gamma = self.recipe.label_smoothing, self.recipe.focal_gamma
        value = LOSSES[self.recipe.loss].value
        if value is None:
            raise ValueError(f"{self.recipe.loss} is a loss of several labels alone")
        return torch.stack(
            [value(logs, LossTerms(*part, smoothing, gamma)) for logs, part in zip(tasks, parts)]
        )


def make_loss(
    recipe: Recipe,
    shape: tuple[int, ...],
    counts: np.ndarray,
    scale: float,
    device: torch.device | str = "cpu",
) -> Loss:
    """The loss of a recipe for training photos of `counts` (C,) a class.

    `shape` is the number of classes of each task; `scale` is that of the LDAM head's cosines.
    """
    sizes = [counts]
    if recipe.head != "classes":
        table = counts.reshape(1, *shape)
        sizes = [table.sum(axis=others)[0] for others in other_axes(shape)]

    def tensors(values: list[np.ndarray]) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(v, dtype=torch.float32, device=device) for v in values)

    roots = [np.maximum(size, 1) ** -0.25 for size in sizes]
    return Loss(
        recipe,
        shape,
        tensors([class_weights(size, recipe.class_weights) for size in sizes]),
        tensors([scale * LDAM_MARGIN * root / root.max() for root in roots]),
    )


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Classes (N,) as distributions (N, C); labels (N, C) of 0 and 1 as they are."""
    return labels.float() if labels.ndim == 2 else functional.one_hot(labels, classes).float()


def mix(recipe: Recipe, photos: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A batch of photos (N, channels, height, width) and targets (N, C), mixed as the recipe says.

    Each photo is mixed with its neighbour in the batch. Randomness is torch's. `mixup` (Zhang et
    al., ICLR 2018) and `cutmix` (Yun et al., ICCV 2019) are torchvision's; `half` joins the left
    half of a photo, or the right one, with the other half of its neighbour: both keep half a face.
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
