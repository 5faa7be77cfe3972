"""Small competition folders, plans and runs that the tests share."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kit.device
import kit.fast
from kit.folds import plan_folds
from kit.labels import SHOTS
from kit.recipe import Recipe, load_recipe, shipped_recipe
from kit.tables import Plan
from kit.train import train

PEOPLE = [(f"{i:06d}", gender, age) for i, (gender, age) in enumerate(
    (gender, age) for gender in ("male", "female") for age in (20, 25, 28, 35, 45, 59, 60, 60, 60))]


def draw_photo(path: Path, seed: object, size: tuple[int, int] = (96, 128), **options: object) -> None:
    """A photo of coarse noise that no other seed gives, small so that tests are fast."""
    rng = np.random.default_rng(zlib.crc32(str(seed).encode()))
    noise = Image.fromarray(rng.integers(0, 255, (8, 6, 3), dtype=np.uint8))
    noise.resize(size, Image.Resampling.BICUBIC).save(path, **options)


def make_data(root: Path, people: list[tuple[str, str, int]] = PEOPLE, eval_photos: int = 10) -> Path:
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
    (root / "eval" / "info.csv").write_text("ImageID,ans\n" + "".join(f"{i},0\n" for i in ids), encoding="utf-8")
    return root


def small(name: str = "small", **changes: object) -> Recipe:
    """The tiny recipe at a size and length for tests."""
    return dataclasses.replace(load_recipe(shipped_recipe("tiny")), name=name, **{
        "size": (32, 24), "epochs": 2, "batch_size": 8, **changes})


@pytest.fixture(scope="session", autouse=True)
def networks_run_alike_on_every_machine(tmp_path_factory: pytest.TempPathFactory):
    """fp32 where a probe would choose, but in the tests of it; what one has found on this machine is neither read nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(kit.device, "_TRAININGS", tmp_path_factory.mktemp("trainings"))
        patch.setattr(kit.fast, "measured_way", lambda *_: kit.fast.Way(torch.float32, 16))
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


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """18 people, 3 folds, `runs/small` trained for two epochs."""
    root = tmp_path_factory.mktemp("world")
    data = make_data(root / "data")
    plan, _ = plan_folds(data, root / "runs" / "folds.csv", folds=3)
    train(small(), plan, data, range(3), root / "runs", "cpu", workers=0)
    return World(data, plan, root / "runs" / "folds.csv", root / "runs")


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail as a person's mistake does: code 2 and one line; the line is returned."""
    def run(main, *argv: object) -> str:
        assert main([str(a) for a in argv]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]
    return run
