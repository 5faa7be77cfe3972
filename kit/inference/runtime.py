"""Networks as inference runs them."""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from kit.inference.fusion import _probe_photo, fuse_conv_bn, same_outputs
from kit.models.cpu_bf16 import patch_slow_means, unpatched_copy
from kit.models.heads import combine
from kit.models.network import Network
from kit.system.device import out_of_memory
from kit.system.precision import autocast, precision_name


@dataclass(frozen=True)
class InferenceMode:
    """How networks are run: the precision, and how many photos go through one at once."""

    precision: torch.dtype
    photos: int

    @property
    def name(self) -> str:
        """The precision as a word."""
        return precision_name(self.precision)

    def describe(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"precision": self.name, "photos": self.photos}


_SAME_HALF: Final = 0.1


_PRECISIONS: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def read_mode(content: Any) -> InferenceMode:
    """A way from what `describe` has made of it; raises `ValueError` for anything else."""
    photos = content.get("photos") if isinstance(content, dict) else None
    if (
        type(photos) is not int
        or not 1 <= photos <= 4096
        or content.get("precision") not in list(_PRECISIONS)
    ):
        raise ValueError(f"{content} names no precision and number of photos")
    return InferenceMode(_PRECISIONS[content["precision"]], content["photos"])


def _halved(network: Network, precision: torch.dtype) -> Network | None:
    """A copy of a network whose features are of 16 bits and whose head is of 32; None where it
    cannot be parted so.

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
            body.forward_features(_probe_photo(network))
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
        for own in (*body.parameters(recurse=False), *body.buffers(recurse=False)):
            if own.is_floating_point():
                own.data = own.data.to(precision)
    if network.mean.device.type == "cpu":
        patch_slow_means(body)
    return changed


class InferenceModel(nn.Module):
    """A network as inference runs it: photos (N, 3, height, width) in 0..1 -> probabilities (N, 18)
    float32.

    Batch norms are folded. With 16 bits the features are computed in them throughout, and the head
    in fp32; an architecture that does not come in those two parts, or comes out different, runs in
    mixed precision. Of one in 16 bits, `source` is the network itself, for photos that they are too
    narrow for.
    """

    def __init__(self, network: Network, way: InferenceMode) -> None:
        super().__init__()
        self.geometry, self.way = network.geometry, way
        self.source = network if way.precision != torch.float32 else None
        self.network, self.halved = fuse_conv_bn(network), False
        if way.precision != torch.float32:
            half = _halved(self.network, way.precision)
            if half is not None:
                whole, self.network, self.halved = self.network, half, True
                try:
                    self.halved = same_outputs(network, self.logits, _SAME_HALF)
                # types that do not fit, features that are a list: each architecture has its own
                except Exception as error:
                    if out_of_memory(error):
                        raise
                    self.halved = False
                if not self.halved:
                    self.network = whole

    def logits(self, photos: Tensor) -> Tensor:
        """The logits of photos, (N, 18)."""
        network = self.network
        if self.halved:
            features = network.body.forward_features(
                ((photos - network.mean) / network.std).to(self.way.precision)
            )
            return combine(network.body.forward_head(features.float()), network.head)
        with autocast(photos.device, self.way.precision):
            return network(photos)  # type: ignore[no-any-return]

    def forward(self, photos: Tensor) -> Tensor:
        """The probabilities of photos."""
        return self.logits(photos).float().softmax(dim=1)
