"""Losses of log-probabilities, by the names that a recipe gives them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LossTerms:
    """What a loss may use beside a task's log-probabilities (N, c).

    `target` (N, c) are the photos' distributions over the classes, and `goal` (N, c) the same,
    smoothed and times the class weights `weight` (c,). `margins` (c,) are those of LDAM,
    `smoothing` and `gamma` the recipe's numbers.
    """

    target: Tensor
    goal: Tensor
    weight: Tensor
    margins: Tensor
    smoothing: float
    gamma: float


@dataclass(frozen=True)
class LossKind:
    """A loss: `value(logs, terms)` is the sum over the photos, for one class a photo.

    `of_labels(logits, terms)` is the sum over photos and labels, for several labels a photo, with
    each label's binary loss times its weight; there, `goal` is smoothed alone. None means that
    there is no such form. With `whole_batch` it is one value for the batch instead, which no sum
    over parts of the batch equals. With `cosine` the network's last layer must give cosines.
    """

    value: Callable[[Tensor, LossTerms], Tensor] | None
    of_labels: Callable[[Tensor, LossTerms], Tensor] | None = None
    whole_batch: bool = False
    cosine: bool = False


def cross_entropy(logs: Tensor, terms: LossTerms) -> Tensor:
    """Cross-entropy."""
    return (-logs * terms.goal).sum()


def focal(logs: Tensor, terms: LossTerms) -> Tensor:
    """Focal loss (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017)."""
    return (-logs * (1 - logs.exp()).clamp_min(1e-6) ** terms.gamma * terms.goal).sum()


def ldam(logs: Tensor, terms: LossTerms) -> Tensor:
    """Label-distribution-aware margin loss (Cao et al., NeurIPS 2019)."""
    # For each class the log-probability with its own logit lowered by its margin: the row of a
    # photo's true class.
    lowered = logs[:, None, :] - torch.diag(terms.margins)
    return cross_entropy(functional.log_softmax(lowered, dim=2).diagonal(dim1=1, dim2=2), terms)


def soft_f1(logs: Tensor, terms: LossTerms) -> Tensor:
    """1 - the soft macro-F1 of the batch."""
    # Without the classes that the batch has not: they give the soft F1 no gradient, smoothed only a
    # false one, and its scale should not depend on them.
    target, smooth = terms.target, terms.smoothing
    present = target.sum(dim=0) > 0
    goal = target * (1 - smooth) + smooth / target.shape[1] * present
    return _soft_f1(logs.exp(), goal, present * terms.weight)


def labels_f1(logits: Tensor, terms: LossTerms) -> Tensor:
    """1 - the soft F1 of each label that the batch has, as a mean over these labels."""
    present = terms.target.sum(dim=0) > 0
    return _soft_f1(logits.sigmoid(), terms.goal, present * terms.weight)


def _soft_f1(probs: Tensor, goal: Tensor, weight: Tensor) -> Tensor:
    """1 - the mean of soft F1 (C,) by weights (C,)."""
    f1 = 2 * (probs * goal).sum(dim=0) / (probs + goal).sum(dim=0).clamp_min(1e-9)
    return 1 - (f1 * weight).sum() / weight.sum().clamp_min(1e-9)


def binary_cross_entropy(logits: Tensor, terms: LossTerms) -> Tensor:
    """Binary cross-entropy of each label."""
    return functional.binary_cross_entropy_with_logits(
        logits, terms.goal, terms.weight, reduction="sum"
    )


def binary_focal(logits: Tensor, terms: LossTerms) -> Tensor:
    """Focal loss of each label (Lin et al., ICCV 2017), without its alpha."""
    yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    of_yes = yes * no.exp().clamp_min(1e-6) ** terms.gamma * terms.goal
    of_no = no * yes.exp().clamp_min(1e-6) ** terms.gamma * (1 - terms.goal)
    return -((of_yes + of_no) * terms.weight).sum()


def asymmetric(logits: Tensor, terms: LossTerms) -> Tensor:
    """Asymmetric loss (Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021).

    The powers and the margin are the defaults of the authors' code; their own trainings take a
    power of 0 for a label that is there. A label that is not there counts by the fourth power of
    its probability, lowered by a margin of .05, and one that is there by the first power of 1 - its
    probability.
    """
    probs = logits.sigmoid()
    no = (1 - probs + ASL_MARGIN).clamp_max(1)
    of_yes = functional.logsigmoid(logits) * (1 - probs) ** ASL_GAMMAS[0] * terms.goal
    of_no = no.clamp_min(1e-8).log() * (1 - no) ** ASL_GAMMAS[1] * (1 - terms.goal)
    return -((of_yes + of_no) * terms.weight).sum()


ASL_GAMMAS: Final = (1, 4)  # of a label that is there, and of one that is not
ASL_MARGIN: Final = 0.05
LOSSES: Final = {
    "ce": LossKind(cross_entropy, binary_cross_entropy),
    "focal": LossKind(focal, binary_focal),
    "f1": LossKind(soft_f1, labels_f1, whole_batch=True),
    "ldam": LossKind(ldam, cosine=True),
    "bce": LossKind(None, binary_cross_entropy),
    "asl": LossKind(None, asymmetric),
}
