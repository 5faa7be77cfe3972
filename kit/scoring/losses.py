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
    """A loss: `value(logs, terms)` is the sum over the photos.

    With `whole_batch` it is one value for the batch instead, which no sum over parts of the batch
    equals. With `cosine` the network's last layer must give cosines.
    """

    value: Callable[[Tensor, LossTerms], Tensor]
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
    probs, goal = logs.exp(), target * (1 - smooth) + smooth / target.shape[1] * present
    f1 = 2 * (probs * goal).sum(dim=0) / (probs + goal).sum(dim=0).clamp_min(1e-9)
    return 1 - (f1 * present * terms.weight).sum() / (present * terms.weight).sum()


LOSSES: Final = {
    "ce": LossKind(cross_entropy),
    "focal": LossKind(focal),
    "f1": LossKind(soft_f1, whole_batch=True),
    "ldam": LossKind(ldam, cosine=True),
}
