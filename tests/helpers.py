"""What tests share: small competition folders, runs, checkpoints and other teams' files."""

import contextlib
import dataclasses
import html
import importlib
import pkgutil
import re
import signal
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kit
import kit.inference.autotune
import kit.inference.runtime
import kit.system.threads
from kit.competitions.mask import competition as MASK
from kit.competitions.mask_labels import AGE, SHOTS
from kit.data.folder import DataFolder, read_test
from kit.data.plan import Plan, read_plan
from kit.inference.engine import Compute
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.recipe import Recipe, load_recipe, shipped_recipe
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key, read_metrics
from kit.training.job import TrainOptions

for module in pkgutil.walk_packages(kit.__path__, "kit."):
    importlib.import_module(
        module.name
    )  # now, so that no module keeps what a test has put in a function's place


def everywhere(patch: pytest.MonkeyPatch, module: ModuleType, name: str, value: object) -> None:
    """Put a value in the place of a module's own, there and wherever the kit has imported it."""
    original = getattr(module, name)
    for other in list(sys.modules.values()):
        if other.__name__.startswith("kit.") and getattr(other, name, None) is original:
            patch.setattr(other, name, value)


CLASS_NAMES, NUM_CLASSES = MASK.class_names, MASK.classes


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


def chosen_otherwise(run: Path, out: Path, plan: Plan, select: str, patience: int) -> Path:
    """A copy of a run of three folds whose checkpoints say that their epochs were chosen
    otherwise.
    """
    for fold in range(plan.k):
        source, files = Fold(run / f"fold{fold}"), Fold(out / f"fold{fold}")
        card = read_checkpoint_info(source.best)
        changed = dataclasses.replace(
            card, epoch=9, select=select, recipe=card.recipe | {"patience": patience}
        )
        save(files.best, load(source.best), changed)
        table = read_probs(source.oof)
        write_probs(
            files.oof,
            Probs(table.ids, table.probs[:, ::-1], oof_key(files.best, plan, fold, "float32")),
        )
    return out


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


def on_cpu(**options: object) -> TrainOptions:
    """Options of a training on the CPU, without loader processes."""
    return TrainOptions(compute=Compute("cpu", 0), **options)


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


@contextlib.contextmanager
def ctrl_c_for_children() -> Iterator[None]:
    """Processes started in the block hear SIGINT, even where the tests run in the background, for
    which it is ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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


RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe

recipe = replace(load_recipe({tiny!r}), name="{name}", size=(32, 24){more})
"""


FULL = (
    ", epochs=4, label_smoothing=0.1, head='tasks', sampler='sqrt', mix='cutmix', ema=0.9, "
    "accumulate=2, batch_size=4,"
    " clip=1.0, drop_rate=0.2, drop_path_rate=0.1, edges=(30, 58)"
)


def recipe_file(
    folder: Path, name: str = "mine", more: str = ", epochs=2", batch: str = ", batch_size=8"
) -> Path:
    """A recipe file: the tiny one, small and with `more` fields."""
    path = folder / f"{name}.py"
    tiny = str(shipped_recipe("tiny"))
    path.write_text(RECIPE.format(tiny=tiny, name=name, more=batch + more))
    return path


@dataclasses.dataclass(frozen=True)
class Killable:
    """A command that trains, and the folder of the same run without interruptions."""

    command: list[str]
    recipe: Path
    whole: Fold


def without_times(path: Path) -> list[dict[str, float]]:
    """The metrics of a run without what it took."""
    return [
        {k: v for k, v in row.items() if not k.startswith("time")} for row in read_metrics(path)
    ]


def assert_same_run(a: Fold, b: Fold) -> None:
    """The same bytes and metrics, and both are finished."""
    assert a.best.read_bytes() == b.best.read_bytes() and a.oof.read_bytes() == b.oof.read_bytes()
    assert (
        without_times(a.metrics) == without_times(b.metrics)
        and not a.last.exists()
        and not b.last.exists()
    )
