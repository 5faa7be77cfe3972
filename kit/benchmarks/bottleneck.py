"""What bounds inference: the networks, decoding, or storage."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, iterate
from kit.data.paths import photo_paths
from kit.inference.engine import Compute
from kit.system.threads import cores


@dataclass(frozen=True)
class Bottleneck:
    """Photos a second of the networks (all passes of a photo), of decoding, and of storage.

    `size` is that of a photo's file, the mean in bytes.
    """

    networks: float
    decoding: float
    storage: float
    size: float

    def line(self) -> str:
        """The three, the least of which bounds inference, in words."""
        rates = {"the networks": self.networks, "decoding": self.decoding, "storage": self.storage}
        said = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
        return (
            f"photos/s: {said} ({self.storage * self.size / 1e6:,.0f} MB/s, files that are not in "
            f"memory); the least bounds an ensemble: {min(rates, key=rates.__getitem__)}"
        )


def find_bottleneck(
    photos_per_second: float,
    root: Path,
    images: Sequence[str],
    geometry: Geometry,
    compute: Compute,
    device: torch.device,
) -> Bottleneck:
    """Photos a second of each, where the networks take so many.

    Decoding is by the loader's processes, and storage by as many threads as hash photos.
    """
    paths = [path for image in images for path in photo_paths(root, image)]
    started = time.perf_counter()
    with ThreadPoolExecutor(2 * cores()) as pool:
        size = sum(pool.map(_read_from_disk, paths))
    storage = len(images) / (time.perf_counter() - started)
    loader = compute.loader(PhotoDataset(root, images, [geometry]), device)
    started = time.perf_counter()
    count = sum(len(rows) for rows, _ in iterate(loader))
    decoding = count / (time.perf_counter() - started)
    return Bottleneck(photos_per_second, decoding, storage, size / len(images))


def _read_from_disk(path: Path) -> int:
    """The size of a file, all of which is read, from disk and not from memory where that can be."""
    with open(path, "rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return len(file.read())
