"""Networks x views x photos -> probabilities; every photo is read and decoded once, whatever the networks and views."""

import functools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kit.console import Progress
from kit.errors import KitError, problem
from kit.labels import NUM_CLASSES
from kit.models import Network, folded
from kit.pixels import Photos, one_pass
from kit.views import View


def choose_device(name: str | None) -> torch.device:
    """The device to compute on: `--device`, else the first GPU, else the CPU; raises `KitError` for one that is not there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise KitError(f"--device {name}: no such device; take cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise KitError(f"--device {name}: the kit computes on cpu or cuda")
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise KitError(f"--device {name}: torch sees {torch.cuda.device_count()} GPUs; take cpu, or check the driver")
        torch.cuda.set_device(device)  # pinned memory and the like would else go by way of the first GPU
    return device


# Photos that go through a network at once on a CPU: what it writes stays in the cache for the next layer. Against 32 at once, on
# two cores, EfficientNet-b4 and b3 at 300 x 225 are 1.4 to 1.7 times as fast, ResNet50 1.1, EfficientNet-lite0 1.3.
_CPU_PHOTOS = 8

# bf16 on a CPU with its own instructions for it, against fp32, in training at 224 x 168 on two cores: ResNet18 1.8 times as
# fast, ResNet50 1.9, VGG19 1.8, EfficientNet-b3 and b4 1.25; EfficientNet-b0 (5 M weights) 0.8.
_BF16_WEIGHTS = 10_000_000


@functools.cache
def _cpu_has_bf16() -> bool:
    try:
        return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", Path("/proc/cpuinfo").read_text(encoding="utf-8")))
    except OSError:
        return False


def choose_precision(device: torch.device, parameters: int) -> torch.dtype:
    """The precision that pays on a device for a network of so many weights.

    On GPUs bf16 from Ampere on, fp16 with tensor cores before it; on CPUs with bf16 instructions bf16 for networks of 10 M
    weights or more; else fp32.
    """
    if device.type == "cpu":
        return torch.bfloat16 if parameters >= _BF16_WEIGHTS and _cpu_has_bf16() else torch.float32
    generation = torch.cuda.get_device_capability(device)[0]
    return torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Mixed precision, or none for fp32."""
    return torch.autocast(device.type, precision if precision != torch.float32 else None, precision != torch.float32)


def to_device(photos: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A batch of photos (N, height, width, 3) uint8 as (N, 3, height, width) float in 0..1, channels last, on `device`."""
    # The permuted view of a packed NHWC batch is channels_last already: nothing is copied.
    return photos.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255


def check_views(networks: Sequence[Network], views: dict[str, View], device: torch.device) -> None:
    """Raise `KitError` for a view whose size a network does not take: some architectures are built for one size."""
    with torch.inference_mode():
        for network in networks:
            plain = torch.zeros(1, 3, *network.geometry.size, device=device)
            for name, view in views.items():
                seen = view(plain)
                if seen.shape == plain.shape:
                    continue
                try:
                    network(seen)
                except Exception as error:  # each architecture says it in its own way
                    height, width = network.geometry.size
                    raise KitError(f"view {name}: a network of {height} x {width} takes no photos of {seen.shape[2]} x "
                                   f"{seen.shape[3]} ({str(error)[:100]}); leave it out of --tta") from error


def predict(networks: Sequence[Network], loader: Any, views: dict[str, View], device: torch.device,
            progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, softmax per network and view, float32 (networks, views, photos, 18), and the seconds each view took.

    `loader` gives every one of its photos once, without augmentation. The networks must be on `device`, in evaluation
    mode, and each of one of the photos' geometries. Raises `KitError` where a network gives something not finite.
    """
    photos: Photos = loader.dataset
    networks = [folded(network) for network in networks]
    probs, seconds = np.empty((len(networks), len(views), len(photos), NUM_CLASSES), np.float32), np.zeros(len(views))
    with torch.inference_mode():
        for at, batch in one_pass(loader):
            size = _CPU_PHOTOS if device.type == "cpu" else len(at)
            for geometry, fitted in zip(photos.geometries, batch):
                for rows, part in zip(at.split(size), fitted.split(size)):
                    plain = to_device(part, device)
                    for v, view in enumerate(views.values()):
                        started = time.perf_counter()
                        seen = view(plain)
                        for n, network in enumerate(networks):
                            if network.geometry == geometry:
                                with autocast(device, choose_precision(device, network.parameters_count)):
                                    logits = network(seen)
                                probs[n, v, rows.numpy()] = logits.float().softmax(dim=1).cpu().numpy()
                        seconds[v] += time.perf_counter() - started  # reading the results has waited for a GPU
            if progress is not None:
                progress.advance(len(at))
    wrong = np.flatnonzero(~np.isfinite(probs).all(axis=(0, 1, 3)))
    if len(wrong):
        raise problem(photos.root, "photos for which a network's output is not finite", [photos.images[i] for i in wrong],
                      "the network has diverged: train it anew with a lower lr")
    return probs, seconds
