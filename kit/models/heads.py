"""A network's head: its outputs, and the logits of all classes that follow from them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kit.models.architecture import Architecture

# Cao et al., NeurIPS 2019 (LDAM): the scale of the cosines.
COSINE_SCALE = 30.0


class Cosine(nn.Module):
    """A last layer for LDAM: `COSINE_SCALE` times the cosines of features and class weights."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, features))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """The scaled cosines (N, outputs) of features (N, features)."""
        # 30 in bf16 has steps of 1/8; torch's meta device, on which costs are counted, has no
        # autocast.
        kind = "cpu" if features.is_meta else features.device.type
        with torch.autocast(kind, enabled=False):
            cosines = functional.linear(
                functional.normalize(features.float()), functional.normalize(self.weight)
            )
            return COSINE_SCALE * cosines


def combine(outputs: Tensor, architecture: Architecture) -> Tensor:
    """Logits (N, C) of a head's outputs (N, `architecture.outputs`).

    With a head for each task they are the logarithms of the products of the tasks' probabilities.
    """
    if architecture.head == "classes":
        return outputs
    table = torch.zeros(())
    parts = outputs.float().split(architecture.task_outputs, dim=1)
    for i, (part, ordered) in enumerate(zip(parts, architecture.ordered)):
        ordinal = ordered and architecture.head == "ordinal"
        logs = conditional_logs(part) if ordinal else part.log_softmax(dim=1)
        table = table[..., None] + logs.view(len(logs), *[1] * i, -1) if i else logs
    return table.flatten(1)


def probabilities(logits: Tensor, architecture: Architecture) -> Tensor:
    """Probabilities (N, C) float32 of logits (N, C): their softmax, or of labels each sigmoid."""
    if architecture.several_labels:
        return logits.float().sigmoid()
    return logits.float().softmax(dim=1)


def conditional_logs(questions: Tensor) -> Tensor:
    """Log-probabilities (N, c) of ordered classes from c - 1 log-odds (N, c - 1).

    Each is that of being above a class if not below it (Shi et al., Deep Neural Networks for
    Rank-Consistent Ordinal Regression Based On Conditional Probabilities (CORN), 2021).
    """
    above = functional.logsigmoid(questions).cumsum(dim=1)
    here = functional.logsigmoid(-questions)
    reached = torch.cat([torch.zeros_like(above[:, :1]), above], dim=1)
    return reached + functional.pad(here, (0, 1))
