"""What stands at a network's end: its outputs, and the logits of all classes that they come to."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kit.competitions.mask import AGES, GENDERS, MASKS, NUM_CLASSES

# The outputs of each head. `ordinal`: the last two are the log-odds of 30 or older, and of 60 or
# older among those.
OUTPUTS = {
    "classes": NUM_CLASSES,
    "tasks": len(MASKS) + len(GENDERS) + len(AGES),
    "ordinal": len(MASKS) + len(GENDERS) + 2,
}


# Cao et al., NeurIPS 2019 (LDAM): the scale of the cosines.
COSINE_SCALE = 30.0


class Cosine(nn.Module):
    """A last layer whose logits are `COSINE_SCALE` times the cosines of features and class weights,
    as LDAM's margins need.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, features))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):  # 30 in bf16 has steps of 1/8
            cosines = functional.linear(
                functional.normalize(features.float()), functional.normalize(self.weight)
            )
            return COSINE_SCALE * cosines


def combine(outputs: Tensor, head: str) -> Tensor:
    """Logits (N, 18) of a head's outputs (N, OUTPUTS[head]).

    Of three heads they are the logarithms of the products of the tasks' probabilities. The ordinal
    age is that of Shi et al., Deep Neural Networks for Rank-Consistent Ordinal Regression Based On
    Conditional Probabilities (CORN), 2021: the probabilities of 30 or older, and of 60 or older if
    30 or older.
    """
    if head == "classes":
        return outputs
    mask, gender, age = outputs.float().split(
        [len(MASKS), len(GENDERS), outputs.shape[1] - len(MASKS) - len(GENDERS)], dim=1
    )
    if head == "ordinal":
        yes, no = functional.logsigmoid(age), functional.logsigmoid(-age)
        ages = torch.stack([no[:, 0], yes[:, 0] + no[:, 1], yes[:, 0] + yes[:, 1]], dim=1)
    else:
        ages = age.log_softmax(dim=1)
    table = (
        mask.log_softmax(dim=1)[:, :, None, None]
        + gender.log_softmax(dim=1)[:, None, :, None]
        + ages[:, None, None, :]
    )
    return table.flatten(1)
