"""Drawn tables, members and photos to measure with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competitions.mask import NUM_CLASSES, SHOTS, label_photos
from kit.competitions.mask_sample import draw_sample
from kit.data.folder import train_images
from kit.system.errors import problem


@dataclass(frozen=True)
class PhotoSet:
    """Photos below `root` by their names, and the folder `links`, in which timm's loader finds
    them.
    """

    root: Path
    images: list[str]
    links: Path


def drawn_photos(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, person, age, label` of `people` people with the competition's shots and ages,
    without photos.
    """
    rng = np.random.default_rng(seed)
    adult = np.where(
        rng.random(people) < 0.5, rng.integers(18, 30, people), rng.integers(30, 60, people)
    )
    years = np.where(rng.random(people) < 0.07, 60, adult)
    gender = np.where(rng.random(people) < 0.6, "female", "male")
    person = np.array(
        [f"{i:06d}_{g}_Asian_{y}" for i, (g, y) in enumerate(zip(gender, years))], dtype=object
    )
    n = len(SHOTS)
    photos = pd.DataFrame(
        {
            "person": np.repeat(person, n),
            "gender": np.repeat(gender, n),
            "age": np.repeat(years, n),
            "mask": np.tile(list(SHOTS.values()), people),
        }
    )
    photos["image"] = photos["person"] + "/" + np.tile(list(SHOTS), people) + ".jpg"
    photos["label"] = label_photos(photos)
    return photos[["image", "person", "age", "label"]]


def training_photos(data: Path | None, folder: Path, photos: int) -> PhotoSet:
    """At most `photos` training photos of the competition, or, if `data` is None, drawn into
    `folder`.
    """
    if data is None:
        data = folder / "data"
        draw_sample(data, people=max(50, math.ceil(photos / len(SHOTS))), eval_people=1)
    root = train_images(data)
    images = sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/[!.]*"))[:photos]
    if not images:
        raise problem(
            root,
            "holds no photos",
            remedy="unpack the data again, or take drawn photos: no --data, no KIT_DATA",
        )
    return link_photos(root, images, folder)


def link_photos(root: Path, images: Sequence[str], folder: Path) -> PhotoSet:
    """Photos below `root`, with links to them in `folder`, in the same order."""
    links = folder / "timm"
    (links / "photos").mkdir(parents=True)
    for n, image in enumerate(images):
        link = links / "photos" / f"{n:06d}{Path(image).suffix}"
        link.symlink_to((root / image).resolve())
    return PhotoSet(root, list(images), links)


def drawn_members(people: int, members: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Probabilities (M, N, C) float32 of members whose errors correlate, and their photos, with
    `label` and `fold`.
    """
    rng = np.random.default_rng(seed)
    photos = drawn_photos(people, seed)
    fold = rng.permutation(people) % 5
    photos["fold"] = np.repeat(fold, len(SHOTS))
    label, n = photos["label"].to_numpy(), len(photos)
    shared = rng.normal(size=(n, NUM_CLASSES)).astype(np.float32)
    shared[np.arange(n), label] += np.where(rng.random(n) < 0.7, 4.0, 1.0)
    probs = np.empty((members, n, NUM_CLASSES), np.float32)
    for target in probs:
        logits = 0.9 * shared + 0.45 * rng.standard_normal((n, NUM_CLASSES), np.float32)
        np.exp(rng.uniform(1.5, 2.5) * (logits - logits.max(axis=1, keepdims=True)), out=target)
        target /= target.sum(axis=1, keepdims=True)
    return probs, photos
