"""Inference as one would write it without the kit, and timm's own loader, to measure against."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ttach
from timm.data import ImageDataset, create_loader  # type: ignore[attr-defined]

from kit.benchmarks.synthetic import PhotoSet
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, batches_of, iterate, make_loader
from kit.inference.engine import BATCH_SIZE
from kit.inference.views import make_views
from kit.models.architecture import Architecture
from kit.models.network import Network
from kit.system.device import clock, to_device

# Batches of photos with their rows.
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def timm_loader(
    folder: Path,
    size: tuple[int, int],
    batch: int,
    workers: int,
    device: torch.device,
    training: bool,
) -> Any:
    """timm's loader of the photos below a folder, at a size (height, width).

    It is made as timm's own scripts make it.
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
    """The GFLOP/s of multiplying two large square matrices in a precision.

    A network can come near to it at best.
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


def other_inference(
    weights: Path, architecture: Architecture, photos: PhotoSet, workers: int, device_name: str
) -> dict[str, Callable[[], np.ndarray]]:
    """Loops that give the classes (N,) of photos by folds and two views, written without the kit.

    `weights` are the state dicts of the folds' networks.
    """
    device, geometry = torch.device(device_name), architecture.geometry
    folds: list[torch.nn.Module] = []
    for state in torch.load(weights, map_location="cpu", weights_only=True):
        network = Network(architecture).eval()
        network.load_state_dict(state)
        last = torch.nn.Sigmoid() if architecture.several_labels else torch.nn.Softmax(dim=1)
        folds.append(torch.nn.Sequential(network.to(device), last))
    mirror = ttach.Compose([ttach.HorizontalFlip()])
    wrapped = [ttach.ClassificationTTAWrapper(fold, mirror) for fold in folds]
    views = list(make_views("hflip").values())
    from_kit = functools.partial(_kit_batches, photos, geometry, workers, device)
    from_timm = functools.partial(_timm_batches, photos, geometry, workers, device)
    return {
        "a loop over folds and views": lambda: _classes(folds, views, from_kit),
        "ttach's wrapper a fold": lambda: _classes(wrapped, [lambda batch: batch], from_kit),
        "timm's loader, a loop": lambda: _classes(folds, views, from_timm),
    }


def _classes(
    networks: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    views: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    batches: Callable[[], Batches],
) -> np.ndarray:
    """The classes (N,) by the mean of the probabilities of networks and views.

    Each network with each view takes its own pass of the loader.
    """
    passes = []
    with torch.no_grad():
        for network in networks:
            for view in views:
                rows, probs = [], []
                for at, batch in batches():
                    rows.append(at.numpy())
                    probs.append(network(view(batch)).cpu().numpy())
                passes.append(np.concatenate(probs)[np.argsort(np.concatenate(rows))])
    return np.sum(passes, axis=0, dtype=np.float64).argmax(axis=1)


def _kit_batches(
    photos: PhotoSet, geometry: Geometry, workers: int, device: torch.device
) -> Batches:
    """Batches of the kit's loader."""
    loader = make_loader(
        PhotoDataset(photos.root, photos.images, [geometry]),
        batches_of(len(photos.images), BATCH_SIZE),
        workers,
        device,
    )
    for at, (batch,) in iterate(loader):
        yield at, to_device(batch, device).contiguous()


def _timm_batches(
    photos: PhotoSet, geometry: Geometry, workers: int, device: torch.device
) -> Batches:
    """Batches of timm's loader."""
    at = 0
    for batch, _ in timm_loader(
        photos.links, geometry.size, BATCH_SIZE, workers, device, training=False
    ):
        yield torch.arange(at, at + len(batch)), batch.to(device)
        at += len(batch)
