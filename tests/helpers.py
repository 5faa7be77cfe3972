"""What tests share: small competition folders, runs, checkpoints and other teams' files."""

import dataclasses
import functools
import html
import importlib
import pkgutil
import re
import sys
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kit
import kit.data.loader
import kit.inference.autotune
import kit.inference.runtime
import kit.system.threads
from kit.competitions.mask import competition as MASK
from kit.competitions.mask_labels import AGE, SHOTS
from kit.data.folder import DataFolder, read_test
from kit.data.plan import Plan, read_plan
from kit.recipe import Recipe, load_recipe, shipped_recipe

for module in pkgutil.walk_packages(kit.__path__, "kit."):
    importlib.import_module(
        module.name
    )  # now, so that no module keeps what a test has put in a function's place


def everywhere(patch: pytest.MonkeyPatch, module: ModuleType, name: str, value: object) -> None:
    """Put a value in the place of a module's own, there and wherever the kit has imported it."""
    original = getattr(module, name)
    for place, other in list(sys.modules.items()):
        if place.startswith("kit.") and getattr(other, name, None) is original:
            patch.setattr(other, name, value)


CLASS_NAMES, NUM_CLASSES = MASK.class_names, MASK.num_classes


def encode(*answers: np.ndarray) -> np.ndarray:
    """The classes of answers to the mask competition's tasks."""
    return MASK.encode([np.asarray(answer) for answer in answers])


def decode(labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """The answers to the mask competition's tasks of classes."""
    return MASK.decode(np.asarray(labels))


def age_class(years: np.ndarray) -> np.ndarray:
    """The classes of ages in years."""
    return AGE.class_of(np.asarray(years))


def mask_folder(path: Path) -> DataFolder:
    """A folder of the mask competition."""
    return DataFolder(path, MASK)


PEOPLE = [
    (f"{i:06d}", gender, age)
    for i, (gender, age) in enumerate(
        (gender, age)
        for gender in ("male", "female")
        for age in (20, 25, 28, 35, 45, 59, 60, 60, 60)
    )
]


def draw_photo(
    path: Path, seed: object, size: tuple[int, int] = (96, 128), **options: object
) -> None:
    """A photo of coarse noise that no other seed gives, small so that tests are fast."""
    rng = np.random.default_rng(zlib.crc32(str(seed).encode()))
    noise = Image.fromarray(rng.integers(0, 255, (8, 6, 3), dtype=np.uint8))
    noise.resize(size, Image.Resampling.BICUBIC).save(path, **options)


def make_data(
    root: Path, people: list[tuple[str, str, int]] = PEOPLE, eval_photos: int = 10
) -> Path:
    """A competition folder of coarse noise in the true layout."""
    rows = ["id,gender,race,age,path"]
    for ident, gender, age in people:
        path = f"{ident}_{gender}_Asian_{age}"
        rows.append(f"{ident},{gender},Asian,{age},{path}")
        folder = root / "train" / "images" / path
        folder.mkdir(parents=True)
        for shot in SHOTS:
            draw_photo(folder / f"{shot}.jpg", (path, shot))
    (root / "train" / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    images = root / "eval" / "images"
    images.mkdir(parents=True)
    ids = [f"{i * 7919 % 10007:040x}.jpg" for i in range(eval_photos)]
    for name in ids:
        draw_photo(images / name, name)
    (root / "eval" / "info.csv").write_text(
        "ImageID,ans\n" + "".join(f"{i},0\n" for i in ids), encoding="utf-8"
    )
    return root


def small(name: str = "small", **changes: object) -> Recipe:
    """The tiny recipe at a size and length for tests."""
    return dataclasses.replace(
        load_recipe(shipped_recipe("tiny")),
        name=name,
        **{"size": (32, 24), "epochs": 2, "batch_size": 8, **changes},
    )


@dataclasses.dataclass(frozen=True)
class World:
    """A trained world that tests only read: a data folder, its plan, and a run with every fold."""

    data: Path
    plan: Plan
    plan_path: Path
    runs: Path

    @property
    def folder(self) -> DataFolder:
        """The data folder as the kit takes it."""
        return mask_folder(self.data)


@dataclasses.dataclass(frozen=True)
class Crowd:
    """Enough people for intervals, without a network: a data folder, its plan, and other teams'
    probabilities of it.
    """

    data: Path
    plan: Plan
    plan_path: Path
    files: list[Path]

    @property
    def folder(self) -> DataFolder:
        """The data folder as the kit takes it."""
        return mask_folder(self.data)


def write_classes(path: Path, classes: Sequence[int], order: Sequence[int] = ()) -> Path:
    """Write classes as a submission to the mask competition, in an order of rows; its path."""
    rows = [f"{i}.jpg,{c}" for i, c in enumerate(classes)]
    ordered = [rows[i] for i in (order or range(len(rows)))]
    path.write_text("ImageID,ans\n" + "\n".join(ordered) + "\n")
    return path


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """The tables of an HTML page by caption: rows of texts."""
    tables = {}
    for caption, body in re.findall(
        r"<table><caption>(.*?)</caption>(.*?)</table>", page, re.DOTALL
    ):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        tables[caption] = [
            [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL)]
            for row in rows
        ]
    return tables


def ensemble_arguments(root: Path, *more: object) -> list[str]:
    """The words of `kit.ensemble` for the run in a copy of the world."""
    places = ["--data", root / "data", "--plan", root / "runs" / "folds.csv"]
    words = [root / "runs" / "small", *places, "--out", root / "s.csv"]
    return [str(word) for word in (*words, "--device", "cpu", "--workers", "0", *more)]


def write_probabilities(path: Path, names: Sequence[str], probs: np.ndarray) -> None:
    """Write a team's file of the probabilities of photos."""
    frame = pd.DataFrame(probs, columns=[str(c) for c in range(probs.shape[1])])
    frame.insert(0, "ImageID", names)
    frame.to_csv(path, index=False, float_format="%.6f")


def theirs(
    root, name="theirs.csv", seed=0, sure=3.0, order=None, columns=None, both=False, digits=6
):
    """Another team's file beside the data: probabilities of the photos to predict, and others.

    Those out of fold are right more often than not.
    """
    rng = np.random.default_rng(seed)
    plan, ids = read_plan(root / "runs" / "folds.csv"), read_test(mask_folder(root / "data"))

    def table(names, logits):
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        probs = probs.round(digits)
        frame = pd.DataFrame(probs, columns=columns or [str(c) for c in range(18)])
        frame.insert(0, "ImageID", names)
        return frame.iloc[rng.permutation(len(frame))] if order else frame

    oof = rng.normal(size=(len(plan.photos), 18))
    oof[np.arange(len(oof)), plan.photos["label"]] += sure
    tables = [table(ids, rng.normal(size=(len(ids), 18)) * 2), table(plan.photos["image"], oof)]
    if both:
        pd.concat(tables).to_csv(root / name, index=False)
    else:
        for frame, path in zip(tables, (root / name, root / name.replace(".csv", ".oof.csv"))):
            frame.to_csv(path, index=False)
    return root / name


class InPlace:
    """`kit.bench`'s separate process, in this one; `benchmarks/test_timing.py` tests the real."""

    def __init__(self, make, *arguments):
        self.loops = {
            name: functools.partial(self.call, loop) for name, loop in make(*arguments).items()
        }

    def call(self, loop):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # timm leaves files open
            return loop()

    def close(self):
        pass
