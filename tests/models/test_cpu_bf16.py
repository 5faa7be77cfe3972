"""What is slow in bf16 on a CPU: training goes round it, and inference knows nothing of it."""

import copy as copying

import pytest
import torch
from networks import FP32_MODE, HALF_MODE, settled
from torch import nn

from kit.inference.runtime import InferenceModel
from kit.models.cpu_bf16 import patch_slow_bf16_layers, patch_slow_means, unpatched_copy


@pytest.mark.parametrize(
    "model, size", [("efficientnet_b0", (64, 48)), ("test_convnext", (64, 64))]
)
def test_training_goes_round_what_is_slow_in_bf16_and_inference_knows_nothing_of_it(model, size):
    network = settled(model, size)
    eased = copying.deepcopy(network)
    patch_slow_bf16_layers(eased)
    kinds = {type(module).__name__ for module in eased.modules()}
    assert "_Depthwise" in kinds and ("_Squeeze" in kinds) == (model == "efficientnet_b0")
    assert list(eased.state_dict()) == list(network.state_dict())
    photos = torch.rand(2, 3, *size)
    with torch.inference_mode():
        assert torch.allclose(eased(photos), network(photos), atol=1e-4)
        for way in (HALF_MODE, FP32_MODE):
            own = InferenceModel(eased, way)
            assert own.halved == (way is HALF_MODE)
            assert (
                "_Depthwise" not in {type(module).__name__ for module in own.network.modules()}
                or own.network is eased
            )
            assert (
                torch.equal(own(photos), InferenceModel(network, way)(photos))
                or model == "efficientnet_b0"
            )
            assert torch.allclose(own(photos), InferenceModel(network, way)(photos), atol=1e-2)
    gradients = []
    for own, mixed in ((network, False), (eased, True), (eased, False)):
        own.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            own(photos).square().mean().backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None])
        )
    exact, near, same = gradients
    assert torch.nn.functional.cosine_similarity(exact, near, dim=0) > 0.98
    assert torch.allclose(same, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
    assert any(type(m).__name__ == "_Depthwise" for m in eased.modules())  # itself it is as it was


def test_an_unpatched_copy_has_timms_layers_and_the_same_weights():
    network = settled("test_efficientnet", (64, 48))
    kinds = [type(module) for module in network.modules()]
    patch_slow_bf16_layers(network)
    copied = unpatched_copy(network)
    assert [type(module) for module in copied.modules()] == kinds
    assert [type(module) for module in network.modules()] != kinds
    for name, value in network.state_dict().items():
        assert torch.equal(value, copied.state_dict()[name])


def test_a_mean_is_the_same_in_either_way():
    network = settled("test_efficientnet", (64, 48))
    photos = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        before = network(photos)
        patch_slow_means(network.body)
        assert torch.allclose(network(photos), before, atol=1e-5)
    assert not any(type(m).__name__ == "_Depthwise" for m in network.modules())
    assert any(type(m) is nn.Conv2d for m in network.modules())
