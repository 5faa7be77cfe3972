"""Drawn tables, members and photos to measure with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.competitions import DEFAULT, find_competition
from kit.data.folder import DataFolder
from kit.data.targets import as_texts, labelled
from kit.system.errors import problem

PHOTOS: Final = 7  # of a drawn group


@dataclass(frozen=True)
class PhotoSet:
    """Photos below `root` by their names; the folder `links` holds them for timm's loader."""

    root: Path
    images: list[str]
    links: Path


def drawn_photos(groups: int, competition: Competition, seed: int = 0) -> pd.DataFrame:
    """The rows of a fold plan for `groups` groups of seven drawn photos, without the photos.

    A task that a group has one answer to is drawn once a group; a task of ranges of a number by its
    number, with a rare last class. Of other tasks most photos have the first class. Of several
    labels a photo has about three.
    """
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    answers = []
    for task in competition.tasks:
        classes = len(task.classes)
        if not task.of_group:
            of_photo = np.clip(np.arange(PHOTOS) - (PHOTOS - classes), 0, classes - 1)
            answers.append(np.tile(of_photo, groups))
            continue
        drawn = rng.integers(0, classes, groups)
        if task.edges:
            low, high = task.edges[0] // 2, task.edges[-1]
            drawn = np.where(rng.random(groups) < 0.07, high, rng.integers(low, high, groups))
            columns[task.column] = np.repeat(drawn, PHOTOS)
            drawn = task.class_of(drawn)
        elif task.column:
            columns[task.column] = np.repeat(drawn, PHOTOS)
        answers.append(np.repeat(drawn, PHOTOS))
    names = np.array([f"{i:06d}" for i in range(groups)], dtype=object)
    group = np.repeat(names, PHOTOS)
    image = group + "/" + np.tile([f"photo{i}.jpg" for i in range(PHOTOS)], groups)
    label: object = competition.encode(answers)
    if competition.several_labels:
        shape = groups * PHOTOS, competition.num_classes
        label = as_texts(rng.random(shape, np.float32) < 3 / competition.num_classes)
    return pd.DataFrame({"image": image, "group": group, **columns, "label": label})


def training_photos(data: DataFolder, folder: Path, photos: int) -> PhotoSet:
    """At most `photos` training photos of a data folder, with links to them in `folder`."""
    root = data.train_images
    files = [path for path in root.rglob("[!.]*") if path.is_file() and path.suffix]
    images = sorted(path.relative_to(root).as_posix() for path in files)[:photos]
    if not images:
        raise problem(
            root,
            "holds no photos",
            remedy="unpack the data again, or take drawn photos: no --data, no KIT_DATA",
        )
    return link_photos(root, images, folder)


def drawn_folder(folder: Path, photos: int) -> DataFolder:
    """A sample of the default competition with at least `photos` training photos, in `folder`."""
    competition = find_competition(DEFAULT)
    assert competition.draw is not None  # the default one can
    groups = max(50, math.ceil(photos / PHOTOS))
    return DataFolder(competition.draw(folder / "data", groups, 1, 0, False), competition)


def link_photos(root: Path, images: Sequence[str], folder: Path) -> PhotoSet:
    """Photos below `root`, with links to them in `folder`, in the same order."""
    links = folder / "timm"
    (links / "photos").mkdir(parents=True)
    for n, image in enumerate(images):
        link = links / "photos" / f"{n:06d}{Path(image).suffix}"
        link.symlink_to((root / image).resolve())
    return PhotoSet(root, list(images), links)


def drawn_members(
    groups: int, members: int, competition: Competition, seed: int = 0
) -> tuple[np.ndarray, pd.DataFrame]:
    """Probabilities (M, N, C) float32 of members whose errors correlate, and the rows of a plan.

    They are a softmax, or of several labels sigmoids.
    """
    rng = np.random.default_rng(seed)
    photos = drawn_photos(groups, competition, seed)
    photos["fold"] = np.repeat(rng.permutation(groups) % 5, PHOTOS)
    n, classes, several = len(photos), competition.num_classes, competition.several_labels
    rows, labels = labelled(photos, competition)
    shared = rng.normal(size=(n, classes)).astype(np.float32)
    shared[rows, labels] += np.where(rng.random(len(rows)) < 0.7, 4.0, 1.0)
    probs = np.empty((members, n, classes), np.float32)
    for target in probs:
        logits = 0.9 * shared + 0.45 * rng.standard_normal((n, classes), np.float32)
        if several:
            target[:] = 1 / (1 + np.exp(rng.uniform(1.5, 2.5) * (2 - logits)))
            continue
        np.exp(rng.uniform(1.5, 2.5) * (logits - logits.max(axis=1, keepdims=True)), out=target)
        target /= target.sum(axis=1, keepdims=True)
    return probs, photos
