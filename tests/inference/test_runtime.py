"""Networks as inference runs them: 16 bits, and what cannot be taken apart."""

import re

import pytest
import torch
from helpers import everywhere
from networks import FP32_MODE, HALF_MODE, mask_architecture, settled

import kit.inference.fusion
import kit.inference.runtime
from kit.inference.runtime import InferenceModel
from kit.models.network import Network


@pytest.mark.parametrize(
    "model, size, head",
    [
        ("test_efficientnet", (96, 72), "classes"),
        ("test_resnet", (96, 72), "tasks"),
        ("mobilenetv3_small_100", (64, 48), "ordinal"),
        ("densenet121", (64, 64), "classes"),
        ("test_convnext", (64, 64), "classes"),
        ("test_vit", (160, 160), "classes"),
        ("resnetv2_50", (64, 64), "classes"),
        ("efficientnet_b0", (64, 48), "ordinal"),
    ],
)
def test_features_of_16_bits_and_a_head_of_32(model, size, head):
    torch.manual_seed(1)
    network = (
        settled(model, size)
        if head == "classes"
        else Network(mask_architecture(model, size, head)).eval()
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    half, full = InferenceModel(network, HALF_MODE), InferenceModel(network, FP32_MODE)
    assert half.halved and not full.halved
    kinds = {p.dtype for p in half.network.parameters()}
    assert kinds == {torch.bfloat16, torch.float32}
    last = half.network.body.get_classifier()
    assert all(p.dtype == torch.float32 for p in last.parameters())
    photos = torch.nn.functional.interpolate(torch.rand(3, 3, 8, 6), size, mode="bilinear")
    with torch.inference_mode():
        exact = network(photos).softmax(dim=1)
        assert torch.allclose(full(photos), exact, atol=1e-4)
        assert 0 < (half(photos) - exact).abs().max() < 0.1
        assert half(photos).dtype == torch.float32
    assert all(
        torch.equal(value, before[name]) for name, value in network.state_dict().items()
    )  # itself it is as it was


def test_features_that_are_a_list_run_in_mixed_precision():
    own = InferenceModel(settled("crossvit_tiny_240", (240, 240)), HALF_MODE)
    assert not own.halved
    with torch.inference_mode():
        assert own(torch.rand(1, 3, 240, 240)).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_while_one_is_made_ready_is_told(monkeypatch, error):
    def full(*args):
        raise error

    everywhere(monkeypatch, kit.inference.fusion, "same_outputs", full)
    with pytest.raises(type(error), match=re.escape(str(error))):
        InferenceModel(settled("test_convnext", (64, 64)), HALF_MODE)


def test_what_cannot_be_parted_or_says_something_else_runs_in_mixed_precision(monkeypatch):
    network = settled("test_resnet", (64, 48))
    broken = settled("test_resnet", (64, 48), seed=5)
    everywhere(monkeypatch, kit.inference.runtime, "_halved", lambda *_: broken.to(torch.bfloat16))
    assert not InferenceModel(
        network, HALF_MODE
    ).halved  # of other weights, or of types that do not fit
    monkeypatch.undo()
    everywhere(monkeypatch, kit.inference.runtime, "_halved", lambda *_: None)
    own = InferenceModel(network, HALF_MODE)
    with torch.inference_mode():
        assert not own.halved and own(torch.rand(1, 3, 64, 48)).sum() == pytest.approx(1, abs=1e-4)


def test_a_copy_that_is_off_by_a_third_of_the_spread_is_not_taken(monkeypatch):
    network, plain = settled("test_resnet", (64, 48)), InferenceModel.logits
    monkeypatch.setattr(InferenceModel, "logits", lambda own, photos: plain(own, photos) * 1.3)
    assert not InferenceModel(network, HALF_MODE).halved
    monkeypatch.setattr(InferenceModel, "logits", plain)
    assert InferenceModel(network, HALF_MODE).halved
