"""A small competition of each kind that tests share, and its photos."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.data.planning import PlanOptions, plan_folds

FRAME = (24, 32)
SIDES = Competition(
    name="sides",
    kind="classes",
    classes=("left", "right", "none"),
    target="label",
    image="train/{image}",
    test_image="sample_submission/{image}",
    id="image",
    answer="name",
    answer_column="label",
    metric="accuracy",
    frame=FRAME,
    mirror={"left": "right"},
)
GRADES = dataclasses.replace(
    SIDES, name="grades", kind="order", classes=("0", "1", "2", "3"), tasks=(), mirror={}
)
LABELS = dataclasses.replace(
    SIDES,
    name="labels",
    kind="labels",
    classes=("red", "green", "blue", "left", "right"),
    tasks=(),
    answer="list",
    metric="f1_samples",
)


def noise(rng: np.random.Generator) -> np.ndarray:
    """A dark photo of coarse noise, uint8 (24, 32, 3)."""
    coarse = Image.fromarray(rng.integers(0, 90, (3, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize(FRAME[::-1], Image.Resampling.BICUBIC)).copy()


def draw_side(rng: np.random.Generator, label: int) -> np.ndarray:
    """A photo with an arrow to the left or right, or none."""
    photo, y, x = noise(rng), int(rng.integers(7, 17)), int(rng.integers(10, 22))
    for n in range(7):  # a triangle: its tip is at n = 0
        column = x + (n - 3) * (1 if label == 0 else -1)
        if label < 2:
            photo[y - n : y + n + 1, column] = 255
    return photo


def draw_grade(rng: np.random.Generator, label: int) -> np.ndarray:
    """A photo that is brighter with each grade."""
    return np.minimum(noise(rng) // 3 + 60 * label, 255).astype(np.uint8)


def draw_labels(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """A photo with a coloured stripe a label, and a white one at a side."""
    photo = noise(rng)
    for c in range(3):
        if labels[c]:
            photo[2 + 7 * c : 7 + 7 * c, 8:24, c] = 255
    for c, columns in ((3, slice(0, 5)), (4, slice(27, 32))):
        if labels[c]:
            photo[:, columns] = 255
    return photo


def drawn(
    root: Path,
    competition: Competition,
    draw: Callable[[np.random.Generator, object], np.ndarray],
    photos: int = 90,
    tests: int = 9,
) -> tuple[DataFolder, Plan]:
    """A folder of drawn photos of a competition, and a plan of three folds."""
    rng, several, data = np.random.default_rng(0), competition.several_labels, root / "data"
    names = competition.class_names
    for part, number in (("train", photos), ("sample_submission", tests)):
        rows = []
        for n in range(number):
            name = f"{part[0]}{n:03d}.png"
            (data / part).mkdir(parents=True, exist_ok=True)
            label = rng.random(len(names)) < 0.4 if several else n % len(names)
            Image.fromarray(draw(rng, label)).save(data / part / name)
            text = " ".join(names[c] for c in np.flatnonzero(label)) if several else names[label]
            rows.append((name, text))
        pd.DataFrame(rows, columns=["image", "label"]).to_csv(data / f"{part}.csv", index=False)
    folder = DataFolder(data, competition)
    plan, _ = plan_folds(folder, root / "folds.csv", PlanOptions(folds=3, audit=False))
    return folder, plan
