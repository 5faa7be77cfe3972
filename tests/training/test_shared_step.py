"""Steps whose batches several processes share, here threads, against those of one."""

import numpy as np
import pytest
import torch
from groups import in_threads
from helpers import MASK, small

from kit.scale.group import Group
from kit.training.learner import Learner

CPU, COUNTS = torch.device("cpu"), np.arange(18) * 5
SETTINGS = {"optimizer": "sgd", "clip": 1.0, "ema": 0.9, "class_weights": "inverse"}


def batches(seed):
    """Batches of a step, of different sizes."""
    random = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randint(256, (size, 32, 24, 3), dtype=torch.uint8, generator=random),
            torch.randint(18, (size,), generator=random),
        )
        for size in (5, 5, 4, 4, 3)
    ]


def learner_of(group):
    return Learner(small(**SETTINGS), MASK, COUNTS, CPU, group=group)


def trained(learner):
    losses = []
    for step in range(3):
        own = learner.group.share_of(5)
        mine = batches(step)[own.start : own.stop]
        losses.append(float(learner.step(mine, 0.05, range(5), own.start)))
        for weight in learner.network.parameters():
            assert weight.grad.stride() == weight.stride()
    return losses, {**learner.state()["network"], **prefixed(learner.state()["average"])}


def prefixed(tensors):
    return {f"average of {name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("size", [2, 3, 5])
def test_processes_that_share_a_step_s_batches_are_one_and_equal_each_other(size):
    losses, alone = trained(learner_of(Group()))
    several = list(in_threads(size, learner_of, trained))
    for others, tensors in several:
        assert others == several[0][0] and others == pytest.approx(losses, rel=1e-5)
        for name, tensor in tensors.items():
            assert torch.equal(tensor, several[0][1][name]), name
            torch.testing.assert_close(tensor, alone[name], rtol=1e-4, atol=1e-5)
    counted = [name for name in alone if name.endswith("num_batches_tracked")]
    assert counted and all(int(alone[name]) == 15 for name in counted if "average" not in name)
