"""Small competition folders, plans and runs that the tests share."""

import contextlib
import dataclasses
import html
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import kit
import kit.inference.autotune
import kit.inference.runtime
import kit.system.threads
from kit.blending.early import run_passes
from kit.blending.rule import decide, weighted
from kit.competitions.mask import competition as MASK
from kit.competitions.mask_labels import AGE, SHOTS
from kit.data.folder import DataFolder, read_test
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.data.plan import Plan, read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member, member_passes
from kit.inference.members import find_members
from kit.inference.oof import Oof
from kit.inference.pass_cache import PhotoSet
from kit.inference.passes import Passes
from kit.inference.runtime import InferenceMode
from kit.inference.views import make_views
from kit.models.architecture import Architecture, architecture_of
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.models.network import Network
from kit.recipe import Recipe, load_recipe, shipped_recipe
from kit.reporting.page import report
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key, read_metrics
from kit.training.job import TrainOptions
from kit.training.run import train

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


@pytest.fixture(scope="session", autouse=True)
def networks_run_alike_on_every_machine(tmp_path_factory: pytest.TempPathFactory):
    """fp32 where a probe would choose, but in the tests of it; what one has found on this machine
    is neither read nor changed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        trainings = tmp_path_factory.mktemp("trainings")
        everywhere(patch, kit.system.threads, "_trainings", lambda: trainings)
        everywhere(
            patch,
            kit.inference.autotune,
            "autotune",
            lambda *_: kit.inference.runtime.InferenceMode(torch.float32, 16),
        )
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A competition folder that a test may damage."""
    return make_data(tmp_path / "data")


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


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """18 people, 3 folds, `runs/small` trained for two epochs."""
    root = tmp_path_factory.mktemp("world")
    data = make_data(root / "data")
    plan, _ = plan_folds(mask_folder(data), root / "runs" / "folds.csv", PlanOptions(folds=3))
    train(small(), plan, mask_folder(data), range(3), root / "runs", on_cpu())
    return World(data, plan, root / "runs" / "folds.csv", root / "runs")


def chosen_otherwise(run: Path, out: Path, plan: Plan, select: str, patience: int) -> Path:
    """A copy of a run of three folds whose checkpoints say that their epochs were chosen
    otherwise.
    """
    for fold in range(plan.k):
        source, files = Fold(run / f"fold{fold}"), Fold(out / f"fold{fold}")
        info = read_checkpoint_info(source.best)
        changed = dataclasses.replace(
            info, epoch=9, select=select, recipe=info.recipe | {"patience": patience}
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


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    """54 people, nine of each gender and age class, three of them in each fold, and two members,
    `good.csv` and `poor.csv`.
    """
    root = tmp_path_factory.mktemp("crowd")
    people = [
        (f"{i:06d}", gender, age)
        for i, (gender, age) in enumerate(
            (gender, age) for gender in ("male", "female") for age in (20, 40, 60) for _ in range(9)
        )
    ]
    data = make_data(root / "data", people)
    options = PlanOptions(folds=3, audit=False)
    plan, _ = plan_folds(mask_folder(data), root / "runs" / "folds.csv", options)
    files, rng = [], np.random.default_rng(0)
    for name, skill in (("good", 4.0), ("poor", 2.0)):
        for path, ids in (
            (f"{name}.csv", read_test(mask_folder(data))),
            (f"{name}.oof.csv", plan.photos["image"].tolist()),
        ):
            logits = rng.normal(size=(len(ids), 18))
            if path.endswith(".oof.csv"):
                logits[np.arange(len(ids)), plan.photos["label"]] += skill
            probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            (root / path).write_text(
                "ImageID,"
                + ",".join(map(str, range(18)))
                + "\n"
                + "".join(
                    f"{i}," + ",".join(f"{p:.6f}" for p in row) + "\n" for i, row in zip(ids, probs)
                )
            )
        files.append(root / f"{name}.csv")
    return Crowd(data, plan, root / "runs" / "folds.csv", files)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail as a person's mistake does: code 2 and one line; the line is
    returned.
    """

    def run(main, *argv: object) -> str:
        assert main([str(a) for a in argv]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return run


def write_classes(path: Path, classes: Sequence[int], order: Sequence[int] = ()) -> Path:
    """Write classes as a submission to the mask competition, in an order of rows; its path."""
    rows = [f"{i}.jpg,{c}" for i, c in enumerate(classes)]
    ordered = [rows[i] for i in (order or range(len(rows)))]
    path.write_text("ImageID,ans\n" + "\n".join(ordered) + "\n")
    return path


def grouped_predictions(
    seed: int, people: int = 40, better: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Seven photos a person that succeed and fail together: truth, person, and two predictions of
    which b is better.
    """
    rng = np.random.default_rng(seed)
    person, truth = np.repeat(np.arange(people), 7), rng.integers(0, 18, people * 7)
    hard = rng.random(people)
    a, b = (
        np.where((hard + noise)[person] > 0.9, (truth + 1) % 18, truth)
        for noise in (0.4 * rng.random(people), 0.4 * rng.random(people) - better)
    )
    return truth, person, a, b


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


@pytest.fixture(scope="session")
def page(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report of the world's run: its file and its numbers."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    return out, report([world.runs / "small"], world.plan, world.folder, out)


def drawn_table(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, group, age, label` of people of the mask competition, without photos."""
    rng = np.random.default_rng(seed)
    adult = np.where(
        rng.random(people) < 0.5, rng.integers(18, 30, people), rng.integers(30, 60, people)
    )
    years = np.where(rng.random(people) < 0.07, 60, adult)
    gender = np.where(rng.random(people) < 0.6, 1, 0)
    names = [
        f"{i:06d}_{('male', 'female')[g]}_Asian_{y}" for i, (g, y) in enumerate(zip(gender, years))
    ]
    n = len(SHOTS)
    group, age = np.repeat(np.array(names, dtype=object), n), np.repeat(years, n)
    mask = np.tile(list(SHOTS.values()), people)
    label = encode(mask, np.repeat(gender, n), age_class(age))
    image = group + "/" + np.tile(np.array(list(SHOTS), dtype=object), people) + ".jpg"
    return pd.DataFrame({"image": image, "group": group, "age": age, "label": label})


# ------------------------------------------------------------ trainings


def on_cpu(**options: object) -> TrainOptions:
    """Options of a training on the CPU, without loader processes."""
    return TrainOptions(compute=Compute("cpu", 0), **options)


# ------------------------------------------------------------ inference and blending

CPU = torch.device("cpu")
COMPUTE = Compute("cpu", 0)
HALF_MODE, FP32_MODE = InferenceMode(torch.bfloat16, 4), InferenceMode(torch.float32, 4)
SHAPE = MASK.shape


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Path:
    """A copy of the trained world that a test may damage, without kept probabilities."""
    ignored = shutil.ignore_patterns("probs-*", "part-*", "oof-*")
    shutil.copytree(world.plan_path.parents[1], tmp_path / "world", ignore=ignored)
    return tmp_path / "world"


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks run in bf16, as on a machine where it pays."""
    everywhere(monkeypatch, kit.inference.autotune, "autotune", lambda *_: HALF_MODE)


def ensemble_arguments(root: Path, *more: object) -> list[str]:
    """The words of `kit.ensemble` for the run in a copy of the world."""
    places = ["--data", root / "data", "--plan", root / "runs" / "folds.csv"]
    words = [root / "runs" / "small", *places, "--out", root / "s.csv"]
    return [str(word) for word in (*words, "--device", "cpu", "--workers", "0", *more)]


def members_of(world: World, *paths: Path) -> list[Member]:
    """The members that paths name, by default the world's run."""
    return find_members(paths or [world.runs / "small"], world.plan, read_test(world.folder))


def checkpoints_of(path: Path, world: World) -> list[Checkpoint]:
    """The checkpoints that a path names."""
    return [c for member in members_of(world, path) for c in member.checkpoints]


def run_all_passes(
    checkpoints: list[Checkpoint], root: Path, ids: list[str], tta: str, compute: Compute
) -> tuple[dict[tuple[int, str], Probs], int]:
    """The probabilities of each checkpoint, by its number, and view, and how many passes ran."""
    views = make_views(tta)
    passes = member_passes([Member("all", tuple(checkpoints))], views)
    run = Passes(passes, PhotoSet(root, tuple(ids)), views, compute)
    with contextlib.closing(run):
        run.run_all()
    numbers = [(c, view) for view in views for c in range(len(checkpoints))]
    names = np.array(ids)
    tables = {key: Probs(names, run.table(p)) for p, key in enumerate(numbers)}
    return tables, run.computed // len(ids)


def photos_of(folder: DataFolder) -> PhotoDataset:
    """The photos to predict as the small recipe's networks see them."""
    geometry = small().geometry(MASK.frame)
    return PhotoDataset(folder.test_images, read_test(folder), [geometry])


def loader_of(photos: PhotoDataset) -> object:
    """A loader of photos in batches of 32."""
    return make_loader(photos, batches_of(len(photos), 32), 0, CPU)


class Symmetric(nn.Module):
    """A network that cannot tell left from right: it sees colour averages."""

    def __init__(self) -> None:
        super().__init__()
        self.architecture = architecture_of(small(), MASK)
        self.geometry, self.parameters_count = self.architecture.geometry, 72
        self.head = nn.Linear(3, 18)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.head(photos.mean(dim=(2, 3)))


def mask_architecture(
    model: str, size: tuple[int, int], head: str = "classes", crop: tuple[int, int] = (400, 300)
) -> Architecture:
    """An architecture for the mask competition."""
    ordered = tuple(task.ordered for task in MASK.tasks)
    return Architecture(model, Geometry(crop, size, MASK.frame), head, False, SHAPE, ordered)


def settled(model: str, size: tuple[int, int], seed: int = 0) -> Network:
    """A network in evaluation mode whose batch norms have seen something."""
    network = Network(mask_architecture(model, size))
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network.eval()


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


def oof_of(seed, better, people=150):
    """Two members' out-of-fold probabilities, of which one is noise, and the plan's photos."""
    rng = np.random.default_rng(seed)
    person, label = np.repeat(np.arange(people), 7), rng.integers(0, 18, 7 * people)
    logits = rng.normal(size=(2, len(label), 18))
    logits[1] *= 3
    logits[0, np.arange(len(label)), label] += better
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    photos = pd.DataFrame(
        {
            "image": [f"{p}/{i}" for i, p in enumerate(person)],
            "group": person.astype(str),
            "label": label,
            "fold": rng.permutation(people)[person] % 5,
        }
    )
    return Oof({"plain": probs.astype(np.float32)}, photos, MASK)


def softmax(logits):
    """The softmax of logits (..., C), float32."""
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exp / exp.sum(axis=-1, keepdims=True)).astype(np.float32)


def simulated(seed, members=4, people=60, signal=2.0, noise=1.0):
    """Members (M, N, 18) whose errors correlate, with seven photos a person: `(members, truth,
    person, fold)`.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 7)
    truth = (
        rng.integers(0, 6, people)[person] // 3 * 3
        + np.tile([0, 0, 0, 0, 0, 6, 12], people)
        + rng.choice(3, people, p=[0.5, 0.4, 0.1])[person]
    )
    shared = rng.normal(size=(people, NUM_CLASSES))[person]
    logits = shared + noise * rng.normal(size=(members, len(person), NUM_CLASSES)) * rng.uniform(
        0.5, 2, (members, 1, 1)
    )
    logits[:, np.arange(len(person)), truth] += signal
    return softmax(logits), truth, person, rng.permutation(people)[person] % 5


def random_passes(rng, count, photos, correlation, sharpness):
    """Probabilities (passes, photos, 18) float32 that agree as much as `correlation` says."""
    shared = rng.normal(size=(photos, 18)).astype(np.float32)
    shared[np.arange(photos), rng.integers(0, 18, photos)] += rng.choice([1.0, 4.0], photos)
    own = rng.normal(size=(count, photos, 18)).astype(np.float32)
    exp = np.exp(sharpness * (correlation * shared + np.sqrt(1 - correlation**2) * own))
    return exp / exp.sum(axis=2, keepdims=True)


def decided_early(probs, weights, gains, margins):
    """The classes and passes taken, and the photos that each pass was asked for."""
    asked = []

    def rows(p, rows):
        asked.append(len(rows))
        return probs[p, rows]

    total, taken = run_passes(rows, weights, gains, margins, probs.shape[1])
    whole = taken == len(weights)
    total[whole] = weighted(probs[:, whole], weights)
    assert sum(asked) == taken.sum()
    return decide(total, gains), taken


RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe

recipe = replace(load_recipe({tiny!r}), name="{name}", size=(32, 24){more})
"""
# Whatever a run may have that is random or remembers.
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


@pytest.fixture(scope="session")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Killable:
    """A training with all that is random or remembers; tests may not damage it."""
    root = tmp_path_factory.mktemp("killable")
    data = make_data(root / "data")
    plan_folds(mask_folder(data), root / "folds.csv", PlanOptions(folds=3, audit=False))
    recipe = recipe_file(root, more=FULL, batch="")
    options = ["--device", "cpu", "--workers", "2", "--save-minutes", "0.0001"]
    places = ["--data", str(data), "--plan", str(root / "folds.csv")]
    command = [sys.executable, "-m", "kit.train", str(recipe), *places, *options]
    done = subprocess.run([*command, "--runs", str(root / "whole")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Killable(command, recipe, Fold(root / "whole" / "mine" / "fold0"))


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
