"""What one would write without the kit."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ttach
from timm.data import ImageDataset, create_loader  # type: ignore[attr-defined]

from kit.competitions.mask import NUM_CLASSES
from kit.data.loader import PhotoDataset, batches_of, iterate, make_loader
from kit.inference.engine import BATCH_SIZE
from kit.inference.views import make_views
from kit.models.network import Network
from kit.system.device import clock, to_device


def _timm_loader(
    folder: Path,
    size: tuple[int, int],
    batch: int,
    workers: int,
    device: torch.device,
    training: bool,
) -> Any:
    """timm's loader of the photos below a folder, as its own scripts make it, at a size (height,
    width).
    """
    return create_loader(
        ImageDataset(str(folder)),
        (3, *size),
        batch,
        is_training=training,
        use_prefetcher=False,
        num_workers=workers,
        interpolation="bilinear",
        crop_pct=1.0,
        persistent_workers=False,
        pin_memory=device.type == "cuda",
        device=device,
    )


def matrix_peak(device: torch.device, precision: torch.dtype) -> float:
    """GFLOP/s of multiplying two large square matrices in a precision: what a network can at best
    come near.
    """
    # A GPU takes less time for such a product than to be asked for it: it gets many, and larger
    # ones.
    (side, products), best = (4096, 1) if device.type == "cpu" else (8192, 20), 0.0
    a = torch.randn(side, side, device=device).to(precision)
    for _ in range(4):
        started = clock(device)
        for _ in range(products):
            a @ a
        best = max(best, products * 2 * side**3 / (clock(device) - started) / 1e9)
    return best


def _other_inference(
    weights: Path,
    architecture: tuple[Any, ...],
    root: Path,
    images: Sequence[str],
    timms: Path,
    workers: int,
    device_name: str,
) -> dict[str, Callable[[], np.ndarray]]:
    """The classes (N,) of photos by folds and two views, as one would compute them
    without the kit.
    """
    device, networks, geometry = torch.device(device_name), [], architecture[1]
    for state in torch.load(weights, map_location="cpu", weights_only=True):
        networks.append(Network(*architecture).eval())
        networks[-1].load_state_dict(state)
        networks[-1].to(device)

    def own_batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        loader = make_loader(
            PhotoDataset(root, images, [geometry]),
            batches_of(len(images), BATCH_SIZE),
            workers,
            device,
        )
        for at, (batch,) in iterate(loader):
            yield at, to_device(batch, device).contiguous()

    def timms_batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        at = 0
        for batch, _ in _timm_loader(timms, geometry.size, BATCH_SIZE, workers, device, False):
            yield torch.arange(at, at + len(batch)), batch.to(device)
            at += len(batch)

    def loop(
        batches: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]], wrapped: bool
    ) -> np.ndarray:
        total = np.zeros((len(images), NUM_CLASSES))
        with torch.no_grad():
            for network in networks:
                softmax = torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
                wrapper = ttach.ClassificationTTAWrapper(
                    softmax, ttach.Compose([ttach.HorizontalFlip()])
                )
                for view in [lambda seen: seen] if wrapped else make_views("hflip").values():
                    for at, seen in batches():
                        total[at.numpy()] += (
                            (wrapper if wrapped else softmax)(view(seen)).cpu().numpy()
                        )
        return total.argmax(axis=1)

    return {
        "a loop over folds and views": lambda: loop(own_batches, False),
        "ttach's wrapper a fold": lambda: loop(own_batches, True),
        "timm's loader, a loop": lambda: loop(timms_batches, False),
    }
