import pytest
import torch
from networks import settled
from torch import nn

from kit.inference.fusion import fuse_conv_bn


@pytest.mark.parametrize(
    "model, size",
    [
        ("test_efficientnet", (96, 72)),
        ("test_resnet", (96, 72)),
        ("test_byobnet", (96, 96)),
        ("mobilenetv3_small_100", (64, 48)),
        ("densenet121", (64, 64)),
        ("resnetv2_50", (64, 64)),
    ],
)
def test_folding_batch_norms_changes_the_network_and_not_what_it_says(model, size):
    network = settled(model, size)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = fuse_conv_bn(network)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (network, fast)]
    assert (
        norms[1] < norms[0]
        and fast.geometry == network.geometry
        and fast.parameters_count == network.parameters_count
    )
    photos = torch.rand(3, 3, *size)
    with torch.inference_mode():
        assert torch.allclose(fast(photos), network(photos), atol=1e-4)
    assert all(
        torch.equal(value, before[name]) for name, value in network.state_dict().items()
    )  # itself it is as it was


@pytest.mark.parametrize(
    "model, size", [("test_convnext", (64, 64)), ("test_vit", (160, 160)), ("vgg11_bn", (64, 48))]
)
def test_what_has_no_batch_norm_or_cannot_be_traced_is_left_alone(model, size):
    network = settled(model, size)
    assert fuse_conv_bn(network) is network


def test_a_network_in_training_is_not_folded():
    network = settled("test_resnet", (64, 48)).train()
    assert fuse_conv_bn(network) is network
    shared = settled("test_resnet", (64, 48))
    shared.body.conv1 = (
        nn.Sequential(shared.body.conv1)
        if isinstance(shared.body.conv1, nn.Conv2d)
        else shared.body.conv1
    )
    assert torch.allclose(
        fuse_conv_bn(shared)(torch.ones(1, 3, 64, 48)), shared(torch.ones(1, 3, 64, 48)), atol=1e-4
    )


def test_a_fold_that_would_say_something_else_is_not_taken(monkeypatch):
    network = settled("test_resnet", (64, 48))
    monkeypatch.setattr(
        "kit.inference.fusion.fuse_conv_bn_weights",
        lambda weight, bias, *_: (nn.Parameter(weight * 3), nn.Parameter(torch.ones(len(weight)))),
    )
    assert fuse_conv_bn(network) is network
