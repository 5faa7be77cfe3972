"""Drawn tables, members and photos to measure by."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competitions.mask import NUM_CLASSES, SHOTS, label_photos
from kit.competitions.mask_sample import draw_sample
from kit.data.folder import train_images
from kit.system.errors import problem


def drawn_photos(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, person, age, label` of `people` people with seven photos each, ages as in the
    competition.
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


def _training_photos(data: Path | None, folder: Path, photos: int) -> tuple[Path, list[str]]:
    """So many training photos, the competition's or drawn ones: the folder that they lie below, and
    their names.
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
    return root, images


def _link(root: Path, images: Sequence[str], folder: Path) -> None:
    """Photos below `root` in one folder, as a loader of folders wants them."""
    folder.mkdir(parents=True)
    for n, image in enumerate(images):
        (folder / f"{n:06d}{Path(image).suffix}").symlink_to((root / image).resolve())


def drawn_members(people: int, members: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Probabilities (members, N, 18) float32 whose errors correlate, and the photos they are of,
    with `label` and `fold`.
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
