"""Networks as inference runs them."""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from kit.inference.fusion import fuse_conv_bn, noise_photo, same_outputs
from kit.models.cpu_bf16 import patch_slow_means, unpatched_copy
from kit.models.heads import combine, probabilities
from kit.models.network import Network
from kit.system.device import out_of_memory
from kit.system.precision import autocast, precision_name

_SAME_HALF: Final = 0.1  # the tolerance of `same_outputs` for 16 bits
_PRECISIONS: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class InferenceMode:
    """How a network runs: the precision, and how many photos go through it at once."""

    precision: torch.dtype
    photos: int

    @property
    def name(self) -> str:
        """The precision as a word."""
        return precision_name(self.precision)

    def describe(self) -> dict[str, Any]:
        """The mode as JSON has it."""
        return {"precision": self.name, "photos": self.photos}


def read_mode(content: Any) -> InferenceMode:
    """The mode that `describe` has recorded; raises `ValueError` for anything else."""
    photos = content.get("photos") if isinstance(content, dict) else None
    known = isinstance(content, dict) and content.get("precision") in list(_PRECISIONS)
    if type(photos) is not int or not 1 <= photos <= 4096 or not known:
        raise ValueError(f"{content} names no precision and number of photos")
    return InferenceMode(_PRECISIONS[content["precision"]], photos)


def _halved(network: Network, precision: torch.dtype) -> Network | None:
    """A copy of a network with features of 16 bits and a head of 32; None if it has no such parts.

    The head is what `forward_features` does not run: in 8 bits of mantissa its logits would be
    rounded to a hundredth of themselves.
    """
    changed = unpatched_copy(network)
    body, ran = changed.body, set[nn.Module]()
    hooks = [
        module.register_forward_pre_hook(lambda module, _: ran.add(module))
        for module in body.modules()
    ]
    try:
        with torch.inference_mode():
            body.forward_features(noise_photo(network))
    except Exception as error:  # no timm network, or one of another build
        if out_of_memory(error):
            raise
        return None
    finally:
        for hook in hooks:
            hook.remove()
    with torch.no_grad():
        for child in body.children():
            if not ran.isdisjoint(child.modules()):
                child.to(precision)
        for tensor in (*body.parameters(recurse=False), *body.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(precision)
    if network.mean.device.type == "cpu":
        patch_slow_means(body)
    return changed


class InferenceModel(nn.Module):
    """A network as inference runs it: photos (N, channels, height, width) -> probabilities (N, C).

    Photos are in 0..1, probabilities float32. Batch norms are fused. In 16 bits the features are
    computed in 16 bits throughout, and the head in fp32; an architecture that does not come in
    those two parts, or whose copy gives other logits, runs in mixed precision. `source` is then the
    network itself, for photos that overflow in 16 bits.
    """

    def __init__(self, network: Network, mode: InferenceMode) -> None:
        super().__init__()
        self.geometry, self.mode = network.geometry, mode
        self.architecture = network.architecture
        self.classes = network.architecture.classes
        self.source = network if mode.precision != torch.float32 else None
        self.network, self.halved = fuse_conv_bn(network), False
        half = _halved(self.network, mode.precision) if self.source is not None else None
        if half is not None:
            whole, self.network, self.halved = self.network, half, True
            try:
                self.halved = same_outputs(network, self.logits, _SAME_HALF)
            # Types that do not fit, features that are a list: each architecture has its own.
            except Exception as error:
                if out_of_memory(error):
                    raise
                self.halved = False
            if not self.halved:
                self.network = whole

    def logits(self, photos: Tensor) -> Tensor:
        """The logits of photos, (N, C)."""
        network = self.network
        if self.halved:
            normalized = ((photos - network.mean) / network.std).to(self.mode.precision)
            features = network.body.forward_features(normalized).float()
            return combine(network.body.forward_head(features), network.architecture)
        with autocast(photos.device, self.mode.precision):
            return network(photos)  # type: ignore[no-any-return]

    def forward(self, photos: Tensor) -> Tensor:
        """The probabilities of photos."""
        return probabilities(self.logits(photos), self.architecture)
