"""The speed of decoding, resizing and augmenting photos."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import affine_grid, grid_sample

from kit.benchmarks.synthetic import _training_photos
from kit.benchmarks.timing import Table, _ratio, in_turns
from kit.data.cache import pixel_cache
from kit.data.loader import PhotoDataset
from kit.data.photos import FRAME, decode
from kit.data.photos import crop_and_resize as fit_photo
from kit.recipe import Recipe
from kit.system.device import choose_device, clock, to_device
from kit.system.errors import KitError


def augment_on_device(photos: torch.Tensor) -> torch.Tensor:
    """Geometry and colour of a batch (N, 3, height, width) in 0..1 at once, about as the recipes'
    transforms have them.
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
    recipe: Recipe, rounds: int, data: Path | None = None, device_name: str | None = None
) -> Table:
    """Photos a second of decoding, of resizing as a recipe has it, and of its augmentation, each
    beside other ways.
    """
    device, geometry = choose_device(device_name), recipe.geometry
    height, width = geometry.size
    with tempfile.TemporaryDirectory() as folder:
        root, images = _training_photos(data, Path(folder), 128)
        paths = [root / image for image in images]
        share = geometry.crop[0] / FRAME[0], geometry.crop[1] / FRAME[1]

        def pil() -> None:
            for path in paths:
                with Image.open(path) as file:
                    photo = file.convert("RGB")
                w, h = photo.size
                left, top = w * (1 - share[1]) / 2, h * (1 - share[0]) / 2
                np.asarray(
                    photo.resize(
                        (width, height), Image.Resampling.BILINEAR, (left, top, w - left, h - top)
                    )
                )

        def opencv() -> None:
            for path in paths:
                photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
                h, w = photo.shape[:2]
                left, top = round(w * (1 - share[1]) / 2), round(h * (1 - share[0]) / 2)
                cv2.resize(photo[top : h - top, left : w - left], (width, height))

        cache = pixel_cache(Path(folder) / "pixels", root, images, geometry)
        if cache is None:
            raise KitError(
                "kit.bench photos: the temporary folder has no room for a pixel cache; set TMPDIR "
                "to another disk"
            )
        decoded = [decode(path)[0] for path in paths]
        kept, plain = (
            PhotoDataset(root, images, [geometry], cache=cache),
            [fit_photo(photo, geometry) for photo in decoded],
        )
        stacked = torch.from_numpy(np.stack(plain))
        transform = recipe.augment() if recipe.augment else None

        def augmented() -> None:
            for photo in plain:
                transform(image=photo)  # type: ignore[misc]

        def on_device() -> None:
            for batch in stacked.split(32):
                augment_on_device(to_device(batch, device))
            clock(device)

        groups: dict[str, dict[str, Callable[[], Any]]] = {
            "decode": {
                "the kit's (PIL)": lambda: [decode(path) for path in paths],
                "OpenCV": lambda: [cv2.imread(str(path)) for path in paths],
            },
            "decode, crop, resize": {
                "the kit's (PIL, then OpenCV)": lambda: [
                    fit_photo(decode(p)[0], geometry) for p in paths
                ],
                "PIL alone": pil,
                "OpenCV alone": opencv,
                "from the kit's pixel cache": lambda: [kept[i] for i in range(len(paths))],
            },
            "augment": {
                "albumentations, as the recipe": augmented,
                f"torch on {device}, 32 at once": on_device,
            },
        }
        if transform is None:
            del groups["augment"]
        rows, found = [], {}
        for stage, ways in groups.items():
            times, _ = in_turns(ways, rounds, stage)
            base = next(iter(times.values()))
            for name, own in times.items():
                found[f"{stage}: {name}"] = len(paths) / float(np.median(own))
                rows.append(
                    [f"{stage}: {name}", f"{len(paths) / np.median(own):,.0f}", _ratio(own, base)]
                )
    return Table(
        f"Photos of {'the competition' if data else 'the drawn sample'} at {height} x {width}, "
        "one process; medians of "
        f"{rounds}",
        ["", "photos/s", "times the first one's time"],
        rows,
        "OpenCV is fast, but returns a photo whose file ends too early half grey, without an error",
        found,
    )
