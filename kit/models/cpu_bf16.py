"""Layers that a CPU is slow at in bf16, replaced by faster ones."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from kit.models.network import Network

try:
    from timm.models._efficientnet_blocks import SqueezeExcite
# timm's own affair: where it has moved, its networks run as they are, more slowly in bf16 on a CPU
except ImportError:

    class SqueezeExcite(nn.Module):  # type: ignore[no-redef]
        """None of a network's modules."""


class _Squeeze(SqueezeExcite):  # type: ignore[misc]
    """timm's squeeze and excitation, with a mean over a photo that is fast in bf16 on a CPU.

    torch takes ten times as long for it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Photos' features (N, C, height, width), each channel scaled."""
        mean = functional.avg_pool2d(x, x.shape[2:])
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(mean))))


class _Depthwise(nn.Conv2d):
    """A depthwise convolution in fp32 within mixed precision.

    In bf16 a CPU takes 3 to 10 times as long for its backward.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of (N, C, height, width), in the type of its input."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def patch_slow_means(body: nn.Module) -> None:
    """Give a body's squeeze and excitation a mean that is fast in bf16 on a CPU."""
    for module in body.modules():
        if type(module) is SqueezeExcite:
            module.__class__ = _Squeeze


def patch_slow_bf16_layers(network: nn.Module) -> None:
    """Replace the layers that a CPU trains slowly in bf16; weights and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _Depthwise
        elif type(module) is SqueezeExcite:
            module.__class__ = _Squeeze


def unpatched_copy(network: Network) -> Network:
    """A copy of a network for inference, as it was before `patch_slow_bf16_layers`."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if type(module) is _Depthwise:
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
        elif type(module) is _Squeeze:
            module.__class__ = SqueezeExcite  # type: ignore[assignment]
    return copied
