"""The speed of decoding, resizing and augmenting photos."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import affine_grid, grid_sample

from kit.benchmarks.synthetic import drawn_folder, training_photos
from kit.benchmarks.timing import Table, in_turns, ratio_text
from kit.data.cache import pixel_cache
from kit.data.folder import DataFolder
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset
from kit.data.photos import crop_and_resize, decode
from kit.recipe import Recipe
from kit.system.device import choose_device, clock, to_device
from kit.system.errors import KitError

_PHOTOS: Final = 128
Loop = Callable[[], Any]


def augment_on_device(photos: torch.Tensor) -> torch.Tensor:
    """Photos (N, 3, height, width) in 0..1, each moved and coloured at random.

    It does about as much as the recipes' transforms.
    """
    n = len(photos)

    def uniform_(low: float, high: float) -> torch.Tensor:
        return torch.empty(n, device=photos.device).uniform_(low, high)

    angle, scale, mirror = uniform_(-0.17, 0.17), uniform_(0.9, 1.1), uniform_(-1, 1).sign()
    rows = [
        torch.stack(
            [angle.cos() * mirror / scale, -angle.sin() / scale, uniform_(-0.1, 0.1)], dim=1
        ),
        torch.stack(
            [angle.sin() * mirror / scale, angle.cos() / scale, uniform_(-0.1, 0.1)], dim=1
        ),
    ]
    grid = affine_grid(torch.stack(rows, dim=1), list(photos.shape), align_corners=False)
    moved = grid_sample(photos, grid, padding_mode="reflection", align_corners=False)
    bright, contrast, colour = (uniform_(0.8, 1.2)[:, None, None, None] for _ in range(3))
    grey = moved.mean(dim=1, keepdim=True)
    moved = (grey + (moved - grey) * colour - 0.5) * contrast + 0.5
    return (moved * bright + 0.02 * torch.randn_like(moved)).clamp(0, 1)


def bench_photos(
    recipe: Recipe, rounds: int, data: DataFolder | None = None, device_name: str | None = None
) -> Table:
    """Photos a second of decoding, of a recipe's resizing and of its augmentation.

    Each is measured beside other libraries.
    """
    device = choose_device(device_name)
    with tempfile.TemporaryDirectory() as folder:
        source = data or drawn_folder(Path(folder), _PHOTOS)
        geometry = recipe.geometry(source.competition)
        photos = training_photos(source, Path(folder), _PHOTOS)
        cache = pixel_cache(Path(folder) / "pixels", photos.root, photos.images, geometry)
        if cache is None:
            raise KitError(
                "kit.bench photos: the temporary folder has no room for a pixel cache; set TMPDIR "
                "to another disk"
            )
        cached = PhotoDataset(photos.root, photos.images, [geometry], cache=cache)
        paths = [photos.root / image for image in photos.images]
        stages = _decoding_loops(paths, cached, geometry)
        if recipe.augment:
            pixels = [crop_and_resize(decode(path)[0], geometry) for path in paths]
            stages["augment"] = _augmentation_loops(pixels, recipe.augment(), device)
        rows, rates = [], {}
        for stage, loops in stages.items():
            times, _ = in_turns(loops, rounds, stage)
            base = next(iter(times.values()))
            for name, seconds in times.items():
                rate = len(paths) / float(np.median(seconds))
                rates[f"{stage}: {name}"] = rate
                rows.append([f"{stage}: {name}", f"{rate:,.0f}", ratio_text(seconds, base)])
    height, width = geometry.size
    return Table(
        f"Photos of {'the competition' if data else 'the drawn sample'} at {height} x {width}, "
        f"one process; medians of {rounds}",
        ["", "photos/s", "times the first one's time"],
        rows,
        "OpenCV is fast, but returns a photo whose file ends too early half grey, without an error",
        rates,
    )


def _decoding_loops(
    paths: Sequence[Path], cached: PhotoDataset, geometry: Geometry
) -> dict[str, dict[str, Loop]]:
    """Loops over photos by stage: decoding alone, and with cropping and resizing."""

    def kit_resized() -> None:
        for path in paths:
            crop_and_resize(decode(path)[0], geometry)

    def pil_resized() -> None:
        for path in paths:
            _pil_resized(path, geometry)

    def opencv_resized() -> None:
        for path in paths:
            _opencv_resized(path, geometry)

    return {
        "decode": {
            "the kit's (PIL)": lambda: [decode(path) for path in paths],
            "OpenCV": lambda: [cv2.imread(str(path)) for path in paths],
        },
        "decode, crop, resize": {
            "the kit's (PIL, then OpenCV)": kit_resized,
            "PIL alone": pil_resized,
            "OpenCV alone": opencv_resized,
            "from the kit's pixel cache": lambda: [cached[i] for i in range(len(paths))],
        },
    }


def _pil_resized(path: Path, geometry: Geometry) -> np.ndarray:
    """A photo (height, width, 3), cropped and resized by PIL."""
    with Image.open(path) as file:
        photo = file.convert("RGB")
    w, h = photo.size
    left = w * (1 - geometry.crop[1] / geometry.frame[1]) / 2
    top = h * (1 - geometry.crop[0] / geometry.frame[0]) / 2
    box = (left, top, w - left, h - top)
    height, width = geometry.size
    return np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, box))


def _opencv_resized(path: Path, geometry: Geometry) -> np.ndarray:
    """A photo (height, width, 3), decoded, cropped and resized by OpenCV."""
    photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
    h, w = photo.shape[:2]
    left = round(w * (1 - geometry.crop[1] / geometry.frame[1]) / 2)
    top = round(h * (1 - geometry.crop[0] / geometry.frame[0]) / 2)
    height, width = geometry.size
    return cv2.resize(photo[top : h - top, left : w - left], (width, height))


def _augmentation_loops(
    pixels: Sequence[np.ndarray], transform: Callable[..., Any], device: torch.device
) -> dict[str, Loop]:
    """Loops that augment photos (height, width, 3) by a recipe's transform, and by torch."""
    stacked = torch.from_numpy(np.stack(pixels))

    def by_recipe() -> None:
        for photo in pixels:
            transform(image=photo)

    def by_torch() -> None:
        for batch in stacked.split(32):
            augment_on_device(to_device(batch, device))
        clock(device)

    return {"albumentations, as the recipe": by_recipe, f"torch on {device}, 32 at once": by_torch}
