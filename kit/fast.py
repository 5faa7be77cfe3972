"""Networks made ready for inference, and the way they run best on this machine, found by a short probe and kept."""

import copy
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from kit.console import say
from kit.device import autocast, choose_precision, clock, device_name, half_precision, out_of_memory, peak_memory, precision_name
from kit.errors import KitError
from kit.models import Network, combine
from kit.pixels import Geometry
from kit.tables import read_json, text_hash, write_json

try:
    from timm.models._efficientnet_blocks import SqueezeExcite
except ImportError:  # timm's own affair: where it has moved, its networks run as they are, more slowly in bf16 on a CPU
    class SqueezeExcite(nn.Module):  # type: ignore[no-redef]
        """None of a network's modules."""


@dataclass(frozen=True)
class Way:
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


# Of the spread of logits, by how much those of a copy of a network may differ. fp32 with other roundings comes to thousandths,
# 16 bits to hundredths, a copy that was made wrong to about all of it.
_SAME_FP32: Final = 0.01
_SAME_HALF: Final = 0.1
_PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def read_way(content: Any) -> Way:
    """A way from what `describe` has made of it; raises `ValueError` for anything else."""
    photos = content.get("photos") if isinstance(content, dict) else None
    if type(photos) is not int or not 1 <= photos <= 4096 or content.get("precision") not in list(_PRECISIONS):
        raise ValueError(f"{content} names no precision and number of photos")
    return Way(_PRECISIONS[content["precision"]], content["photos"])


# ---------------------------------------------------------------- what a CPU is slow at in bf16

class _Squeeze(SqueezeExcite):  # type: ignore[misc]
    """timm's squeeze and excitation, whose mean over a photo torch takes at a tenth of the speed in bf16 on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, height, width) -> the same, each channel scaled."""
        mean = functional.avg_pool2d(x, x.shape[2:])
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(mean))))


class _Depthwise(nn.Conv2d):
    """A depthwise convolution in fp32 within mixed precision: in bf16 a CPU takes 3 to 10 times as long for its backward."""

    def forward(self, x: Tensor) -> Tensor:
        """What it does to (N, C, height, width), in the type of its input."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def ease_training(network: nn.Module) -> None:
    """Have a network that is trained in bf16 on a CPU go round what is slow there; its weights and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _Depthwise
        elif type(module) is SqueezeExcite:
            module.__class__ = _Squeeze


def _copied(network: Network) -> Network:
    """A copy of a network for inference, as it was before `ease_training`."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if type(module) is _Depthwise:
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
        elif type(module) is _Squeeze:
            module.__class__ = SqueezeExcite  # type: ignore[assignment]
    return copied


# ---------------------------------------------------------------- batch norms

class _Leaves(fx.Tracer):
    """Traces a network down to its convolutions and batch norms; timm's own are classes of its own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) or super().is_leaf_module(m, module_qualified_name)


def folded(network: Network) -> Network:
    """A copy of a network in evaluation mode for inference, with batch norms folded into the convolutions before them.

    The same function but for rounding, with less to read and write: on two CPU cores EfficientNet-lite0 at 160 x 120 is 3 to 4
    times as fast, b4 at 300 x 225 1.1 to 1.5 times. Only where a batch norm is all that a convolution's output goes to, and
    weights are used as they are (no weight standardisation). What cannot be traced, or comes out different, is left as it is.
    """
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.norm_act import BatchNormAct2d
    from torch.nn.utils.fusion import fuse_conv_bn_weights
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    changed = _copied(network)
    try:
        nodes = list(_Leaves().trace(changed.body).nodes)
    except Exception:  # control flow that depends on the photos: each architecture fails in its own way
        return network
    modules = dict(changed.body.named_modules(remove_duplicate=False))
    calls = [id(modules[str(node.target)]) for node in nodes if node.op == "call_module"]
    done = 0
    for node in nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        conv, norm = modules[str(before.target)], modules[str(node.target)]
        if type(conv) not in (nn.Conv2d, Conv2dSame) or type(norm) not in (nn.BatchNorm2d, BatchNormAct2d) \
                or norm.running_mean is None or norm.training or calls.count(id(conv)) > 1 or calls.count(id(norm)) > 1:
            continue
        with torch.no_grad():
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                                                          norm.weight, norm.bias)
        rest = (norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else ()
        changed.body.set_submodule(str(node.target), nn.Sequential(*rest))
        done += 1
    return changed if done and _alike(network, changed, _SAME_FP32) else network


def _noise(network: Network, precision: torch.dtype = torch.float32) -> Tensor:
    """One photo of soft noise, always the same: of independent pixels, far from photos, rounding grows in deep networks."""
    coarse = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    noise = functional.interpolate(coarse, network.geometry.size, mode="bilinear", align_corners=False)
    return noise.to(network.mean.device, precision, memory_format=torch.channels_last)


def _alike(network: Network, other: Callable[[Tensor], Tensor], tolerance: float) -> bool:
    """True if a network's logits for noise and those of one made from it differ by less than such a share of their spread."""
    noise = _noise(network)
    with torch.inference_mode():
        logits = network(noise).float()
        return bool((other(noise).float() - logits).norm() < tolerance * (logits - logits.mean()).norm())


# ---------------------------------------------------------------- 16 bits

def _halved(network: Network, precision: torch.dtype) -> Network | None:
    """A copy of a network whose features are of 16 bits and whose head is of 32; None where it cannot be parted so.

    The head is what `forward_features` does not run: in 8 bits of mantissa its logits would be rounded to a hundredth of
    themselves.
    """
    changed = _copied(network)
    body, ran = changed.body, set[nn.Module]()
    hooks = [module.register_forward_pre_hook(lambda module, _: ran.add(module)) for module in body.modules()]
    try:
        with torch.inference_mode():
            body.forward_features(_noise(network))
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
    for module in body.modules():
        if type(module) is SqueezeExcite and network.mean.device.type == "cpu":
            module.__class__ = _Squeeze
    return changed


class Ready(nn.Module):
    """A network as inference runs it: photos (N, 3, height, width) in 0..1 -> probabilities (N, 18) float32.

    Batch norms are folded. With 16 bits the features are computed in them throughout, and the head in fp32; an architecture
    that does not come in those two parts, or comes out different, runs in mixed precision. Of one in 16 bits, `source` is the
    network itself, for photos that they are too narrow for.
    """

    def __init__(self, network: Network, way: Way) -> None:
        super().__init__()
        self.geometry, self.way = network.geometry, way
        self.source = network if way.precision != torch.float32 else None
        self.network, self.halved = folded(network), False
        if way.precision != torch.float32:
            half = _halved(self.network, way.precision)
            if half is not None:
                whole, self.network, self.halved = self.network, half, True
                try:
                    self.halved = _alike(network, self.logits, _SAME_HALF)
                except Exception as error:  # types that do not fit, features that are a list: each architecture has its own
                    if out_of_memory(error):
                        raise
                    self.halved = False
                if not self.halved:
                    self.network = whole

    def logits(self, photos: Tensor) -> Tensor:
        """The logits of photos, (N, 18)."""
        network = self.network
        if self.halved:
            features = network.body.forward_features(((photos - network.mean) / network.std).to(self.way.precision))
            return combine(network.body.forward_head(features.float()), network.head)
        with autocast(photos.device, self.way.precision):
            return network(photos)  # type: ignore[no-any-return]

    def forward(self, photos: Tensor) -> Tensor:
        """The probabilities of photos."""
        return self.logits(photos).float().softmax(dim=1)


def validation_way(network: Network, device: torch.device) -> Way:
    """How a network is validated: the precision of its training, and on a GPU as many photos at once as a probe found fastest.

    On a CPU the number is fixed, so that a measurement does not change the rounding of one training against another.
    """
    photos = measured_way(*network.architecture, device).photos if device.type == "cuda" else _AT_ONCE[device.type][0]
    return Way(choose_precision(device, network.parameters_count), photos)


def ready(network: "Network | Ready", device: torch.device) -> Ready:
    """A network as inference runs it, by `validation_way`; one that is ready already stays as it is."""
    return network if isinstance(network, Ready) else Ready(network, validation_way(network, device))


# ---------------------------------------------------------------- the probe

# Photos that go through a network at once; the first is taken unless another one is clearly faster. On a CPU few: what a layer
# writes may stay in the cache for the next one.
_AT_ONCE: Final = {"cpu": (16, 8, 32), "cuda": (64, 128, 256)}
# Of a GPU's memory, for one network and its photos: all networks and a larger view come to it.
_SHARE: Final = 0.4
# How much faster 16 bits, and another number of photos, must be: a choice should not hang on noise, and fp32 is exact.
_GAIN_PRECISION, _GAIN_PHOTOS = 1.15, 1.1
# Photos a second, in fp32 on a CPU, from which decoding them takes longer: 16 bits are not worth their rounding then.
_FAST_ENOUGH = 5_000
_PROBE_VERSION: Final = 2


def exact_way(device: torch.device) -> Way:
    """fp32, whatever is faster."""
    return Way(torch.float32, _AT_ONCE[device.type][0])


def photos_per_second(network: Ready, device: torch.device) -> float:
    """The photos of random pixels that a network takes a second, its `way.photos` at once."""
    photos = torch.rand(network.way.photos, 3, *network.geometry.size, device=device)
    photos = photos.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(4 if device.type == "cpu" else 100):  # the first one sets things up; a GPU's clock takes a while to rise
            started = clock(device)
            network(photos)
            times.append(clock(device) - started)
            if sum(times[1:]) > 1:
                break
    return network.way.photos / min(times[1:])


def probe(network: Network, device: torch.device) -> dict[Way, float]:
    """The ways that may pay on a device, with photos a second: each precision, and the better one with more and fewer photos.

    The way to take is the first; its rate is 0 where memory is too small for any.
    """
    def measure(way: Way) -> float:
        try:
            if device.type == "cuda":
                torch.cuda.empty_cache()  # what is reserved counts, and not what was before
                torch.cuda.reset_peak_memory_stats(device)
            rate = photos_per_second(Ready(network, way), device)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return 0.0
        fits = device.type == "cpu" or peak_memory(device) < _SHARE * torch.cuda.mem_get_info(device)[1]
        return rate if fits else 0.0

    first, *others = _AT_ONCE[device.type]
    rates: dict[Way, float] = {}
    while not rates.get(Way(torch.float32, first)):
        rates[Way(torch.float32, first)] = measure(Way(torch.float32, first))
        if first == 1 or rates[Way(torch.float32, first)]:
            break
        first, others = first // 2, []  # where not so many fit, more do not either
    full, half = Way(torch.float32, first), half_precision(device)
    best = full
    if half is not None and not (device.type == "cpu" and rates[full] > _FAST_ENOUGH):
        rates[Way(half, first)] = measure(Way(half, first))
        best = Way(half, first) if rates[Way(half, first)] > _GAIN_PRECISION * rates[full] else full
    for photos in others:
        way = Way(best.precision, photos)
        rates[way] = measure(way)
    faster = max((way for way in rates if way.precision == best.precision), key=lambda way: rates[way])
    best = faster if rates[faster] > _GAIN_PHOTOS * rates[best] else best
    return {best: rates[best], **{way: rate for way, rate in rates.items() if way != best}}


def _kept_place(key: str) -> Path | None:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return cache / "kfold-kit" / f"speed-{text_hash(key)[:16]}.json"


@functools.cache
def measured_way(model: str, geometry: Geometry, head: str, cosine: bool, device: torch.device) -> Way:
    """The way in which an architecture runs fastest on a device, by a short probe, said and kept for the next time.

    It is kept in the user's cache folder, by device, threads, torch's version and architecture; in memory alone where
    there is none.
    """
    key = "\t".join(map(str, (_PROBE_VERSION, torch.__version__, device_name(device), model, *geometry.size)))
    place = _kept_place(key)
    try:
        if place is not None and place.exists():
            return read_way(read_json(place))
    except (KitError, ValueError, OSError):
        pass  # damaged, or not to be read: measured again
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = Network(model, geometry, head, cosine).eval()
        rates = probe(network.to(device, memory_format=torch.channels_last), device)  # type: ignore[call-overload]
    best, *others = rates
    say(f"{model} at {geometry.size[0]} x {geometry.size[1]} on {device_name(device)}: {best.name}, {best.photos} photos at "
        f"once, {rates[best]:.3g} a second; tried beside it: "
        + ", ".join(f"{way.name} with {way.photos} {rates[way]:.3g}" for way in others))
    if place is not None and rates[best]:  # another process may have had the memory
        try:
            write_json(place, {"of": key, **best.describe(), "rates": {f"{w.name} {w.photos}": r for w, r in rates.items()}},
                       force=True)
        except KitError:
            pass  # a home that cannot be written: measured again the next time
    return best
