"""The fixtures that tests share. What takes long to make is made once a run, by one worker."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts: a thread a worker

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from draws import softmax
from helpers import Crowd, World, everywhere, make_data, mask_folder, small, write_probabilities
from networks import HALF_MODE
from trainings import FULL, Killable, on_cpu, recipe_file

import kit.inference.autotune
import kit.inference.runtime
import kit.system.locks
from kit.competitions.mask_sample import draw_sample
from kit.data.folder import read_test
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.reporting.numbers import ReportNumbers
from kit.reporting.page import report
from kit.results.run import Fold
from kit.training.run import train

torch.set_num_threads(1)
pytest_plugins = ["recorder"]
MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """`made_once(name, make)` is a folder that `make(folder)` has filled, of all workers together;
    no test writes there.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    shared.mkdir(exist_ok=True)

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session", autouse=True)
def networks_run_alike_on_every_machine(tmp_path_factory: pytest.TempPathFactory):
    """fp32 where a probe would choose, but in the tests of it; what one has found on this machine
    is neither read nor changed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        trainings = tmp_path_factory.mktemp("trainings")
        everywhere(patch, kit.system.locks, "user_folder", lambda: trainings)
        everywhere(
            patch,
            kit.inference.autotune,
            "autotune",
            lambda *_: kit.inference.runtime.InferenceMode(torch.float32, 16),
        )
        yield


@pytest.fixture(scope="session")
def noise(made_once: MadeOnce) -> Path:
    """The competition folder of 18 people, made once; `data` is a copy."""
    return made_once("noise", lambda root: make_data(root / "data")) / "data"


@pytest.fixture
def data(noise: Path, tmp_path: Path) -> Path:
    """A competition folder that a test may damage."""
    return shutil.copytree(noise, tmp_path / "data")


@pytest.fixture(scope="session")
def world(made_once: MadeOnce, noise: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """18 people, 3 folds, `runs/small` trained for two epochs. Trained once; each worker has its
    copy, for commands keep probabilities beside a run.
    """

    def make(root: Path) -> None:
        data = mask_folder(shutil.copytree(noise, root / "data"))
        plan, _ = plan_folds(data, root / "runs" / "folds.csv", PlanOptions(folds=3))
        train(small(), plan, data, range(3), root / "runs", on_cpu())

    root = tmp_path_factory.mktemp("worlds") / "world"
    shutil.copytree(made_once("world", make), root)
    plan = root / "runs" / "folds.csv"
    return World(root / "data", read_plan(plan), plan, root / "runs")


@pytest.fixture(scope="session")
def crowd(made_once: MadeOnce) -> Crowd:
    """54 people, nine of each gender and age class, three of them in each fold, and two members,
    `good.csv` and `poor.csv`.
    """
    people = [
        (f"{i:06d}", gender, age)
        for i, (gender, age) in enumerate(
            (gender, age) for gender in ("male", "female") for age in (20, 40, 60) for _ in range(9)
        )
    ]

    def make(root: Path) -> None:
        data = mask_folder(make_data(root / "data", people))
        options = PlanOptions(folds=3, audit=False)
        plan, _ = plan_folds(data, root / "runs" / "folds.csv", options)
        rng = np.random.default_rng(0)
        for name, skill in (("good", 4.0), ("poor", 2.0)):
            for path, ids in (
                (f"{name}.csv", read_test(data)),
                (f"{name}.oof.csv", plan.photos["image"].tolist()),
            ):
                logits = rng.normal(size=(len(ids), 18))
                if path.endswith(".oof.csv"):
                    logits[np.arange(len(ids)), plan.photos["label"]] += skill
                write_probabilities(root / path, ids, softmax(logits))

    root = made_once("crowd", make)
    plan = root / "runs" / "folds.csv"
    return Crowd(root / "data", read_plan(plan), plan, [root / "good.csv", root / "poor.csv"])


@pytest.fixture(scope="session")
def killable(made_once: MadeOnce, noise: Path) -> Killable:
    """A training with all that is random or remembers; tests may not damage it."""

    def command(root: Path) -> list[str]:
        options = ["--device", "cpu", "--workers", "2", "--save-minutes", "0.0001"]
        places = ["--data", str(noise), "--plan", str(root / "folds.csv")]
        return [sys.executable, "-m", "kit.train", str(root / "mine.py"), *places, *options]

    def make(root: Path) -> None:
        plan_folds(mask_folder(noise), root / "folds.csv", PlanOptions(folds=3, audit=False))
        recipe_file(root, more=FULL, batch="")
        words = [*command(root), "--runs", str(root / "whole")]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    root = made_once("killable", make)
    return Killable(command(root), root / "mine.py", Fold(root / "whole" / "mine" / "fold0"))


@pytest.fixture(scope="session")
def kept(world: World, made_once: MadeOnce) -> Path:
    """Runs with one of three folds and three epochs, of which the last two are kept; tests may not
    damage it.
    """

    def make(root: Path) -> None:
        shutil.copytree(world.runs, root / "runs", ignore=shutil.ignore_patterns("small"))
        recipe, options = small("kept", epochs=3), on_cpu(keep_epochs=2)
        train(recipe, world.plan, world.folder, range(3), root / "runs", options)

    return made_once("kept", make) / "runs"


@pytest.fixture(scope="session")
def drawn(made_once: MadeOnce) -> Path:
    """A folder with a drawn sample of 60 people, `data`, and its plan, `folds.csv`."""

    def make(root: Path) -> None:
        draw_sample(root / "data", people=60, eval_people=1)
        plan_folds(mask_folder(root / "data"), root / "folds.csv", PlanOptions(audit=False))

    return made_once("drawn", make)


@pytest.fixture(scope="session")
def page(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportNumbers]:
    """A report of the world's run: its file and its numbers."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    numbers, _ = report([world.runs / "small"], world.plan, world.folder, out)
    return out, numbers


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Path:
    """A copy of the trained world that a test may damage, without kept probabilities."""
    ignored = shutil.ignore_patterns("probs-*", "part-*", "oof-*")
    shutil.copytree(world.plan_path.parents[1], tmp_path / "world", ignore=ignored)
    return tmp_path / "world"


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


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks run in bf16, as on a machine where it pays."""
    everywhere(monkeypatch, kit.inference.autotune, "autotune", lambda *_: HALF_MODE)
