"""Where and how networks run."""

import pytest
import torch
from helpers import everywhere
from networks import COMPUTE, CPU, HALF_MODE, checkpoints_of, mask_architecture

import kit.system.device
from kit.inference.autotune import exact_mode
from kit.inference.engine import Compute, explain_out_of_memory, memory_groups, weight_bytes
from kit.inference.runtime import InferenceMode
from kit.system.errors import KitError


def test_exact_is_fp32_and_a_record_has_the_last_word():
    network = mask_architecture("m", (32, 24))
    assert Compute(exact=True, modes={"m 32 x 24": HALF_MODE}).mode(network, CPU) == exact_mode(CPU)
    assert Compute(modes={"m 32 x 24": HALF_MODE}).mode(network, CPU) == HALF_MODE
    assert Compute(batch_size=2, modes={"m 32 x 24": HALF_MODE}).mode(
        network, CPU
    ) == InferenceMode(torch.bfloat16, 2)


def test_networks_come_in_groups_of_one_geometry_that_memory_holds(world, monkeypatch):
    checkpoints = checkpoints_of(world.runs / "small", world)
    assert memory_groups(checkpoints, COMPUTE, CPU) == [checkpoints]
    need = weight_bytes(checkpoints[0], COMPUTE, CPU)
    assert need == 4 * checkpoints[0].info.parameters
    for free, sizes in ((6 * need, [3]), (4 * need, [2, 1]), (need, [1, 1, 1])):
        everywhere(monkeypatch, kit.system.device, "free_memory", lambda _, n=free: n)
        assert [len(group) for group in memory_groups(checkpoints, COMPUTE, CPU)] == sizes


def test_an_error_of_memory_names_the_batch_size():
    with pytest.raises(KitError, match="too small for a batch of photos; take a smaller"):
        with explain_out_of_memory(COMPUTE, CPU):
            raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="another"):
        with explain_out_of_memory(COMPUTE, CPU):
            raise RuntimeError("another")
