"""The time and memory of `kit.ensemble` over many photos, and how they grow."""

import contextlib
import dataclasses
import io
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from kit.benchmarks.timing import Table
from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.planning import PlanOptions, plan_folds
from kit.inference.engine import Compute
from kit.recipe import load_recipe, shipped_recipe
from kit.system.console import Progress
from kit.system.errors import KitError
from kit.training.job import TrainOptions
from kit.training.run import train

_SIDE: Final = 16  # pixels of a photo
_TRAIN, _FILES, _CLASSES = 80, 256, 20
_SIZES: Final = (8, 4, 2, 1)  # what the number of photos is divided by


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds, those of the CPU, and the most bytes of memory."""

    seconds: float
    cpu: float
    memory: int


def bench_ensemble(photos: int) -> Table:
    """What `kit.ensemble` takes for so many photos, and for parts of them, on the CPU.

    The photos are a few tiny ones repeated: ids of the test table name them again and again. Two
    folds of a tiny network predict them; a second command takes what the first has kept.
    """
    numbers = [math.ceil(photos / part) for part in _SIZES]
    spent: dict[int, tuple[Spent, Spent]] = {}
    with (
        tempfile.TemporaryDirectory() as temporary,
        Progress("bench ensemble", 2 * sum(numbers)) as progress,
    ):
        place = Path(temporary)
        data = _draw(place)
        _train(data, place)
        for number in numbers:
            _write_table(data, number)
            for kept in place.glob("runs/*/*/*-*.npz"):
                kept.unlink()
            of_number = []
            for _ in range(2):
                of_number.append(spend(place))
                progress.advance(number)
            spent[number] = of_number[0], of_number[1]
    return _table(spent)


def _draw(place: Path) -> DataFolder:
    """A competition folder of small photos, and its definition."""
    root, rng = place / "data", np.random.default_rng(0)
    for part, number in (("train", _TRAIN), ("test", _FILES)):
        (root / part).mkdir(parents=True)
        for n in range(number):
            pixels = rng.integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / part / f"{n:03d}.jpg")
    labels = "".join(f"{n:03d}.jpg,{n % _CLASSES}\n" for n in range(_TRAIN))
    (root / "train.csv").write_text(f"photo,label\n{labels}", encoding="utf-8")
    competition = Competition(
        name="many",
        train="train.csv",
        image="train/{photo}",
        target="label",
        classes=tuple(map(str, range(_CLASSES))),
        test="test.csv",
        id="id",
        test_image="test/{photo}",
        answer="class",
        answer_column="label",
        metric="accuracy",
        frame=(_SIDE, _SIDE),
    )
    data = DataFolder(root, competition)
    _write_table(data, _FILES)
    return data


def _write_table(data: DataFolder, photos: int) -> None:
    """Write a test table of so many ids, each as long as a hash, that name the few photos."""
    with open(data.test_table, "w", encoding="utf-8") as file:
        file.write("id,photo,label\n")
        for n in range(photos):
            file.write(f"{n * 2654435761 % 2**64:040x},{n % _FILES:03d}.jpg,0\n")


def _train(data: DataFolder, place: Path) -> None:
    """Train two folds of the tiny recipe for an epoch, as `runs/many`."""
    recipe = dataclasses.replace(
        load_recipe(shipped_recipe("tiny")), name="many", size=(_SIDE, _SIDE), epochs=1
    )
    plan, _ = plan_folds(data, place / "runs" / "folds.csv", PlanOptions(folds=2, audit=False))
    with contextlib.redirect_stdout(io.StringIO()):
        train(recipe, plan, data, [0, 1], place / "runs", TrainOptions(compute=Compute("cpu", 0)))


def spend(place: Path) -> Spent:
    """What `kit.ensemble` takes in a process of its own."""
    places = ["--data", "data", "--plan", "runs/folds.csv", "--out", "s.csv", "--force"]
    line = ["kit.ensemble", "runs/many", "--no-score", "--device", "cpu", "--workers", "0"]
    started = time.perf_counter()
    with open(place / "log.txt", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *line, *places], cwd=place, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        if status:
            raise KitError(f"kit.bench ensemble: {log.read()[-500:].strip()}")
    seconds = time.perf_counter() - started
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _table(spent: dict[int, tuple[Spent, Spent]]) -> Table:
    """The table of what commands took, with what a photo more costs, by the two largest numbers."""
    rows = [
        [
            f"{number:,}",
            *(
                text
                for one in both
                for text in (f"{one.seconds:.0f}", f"{one.cpu:.0f}", f"{one.memory / 1e6:,.0f}")
            ),
        ]
        for number, both in spent.items()
    ]
    *_, half, most = spent
    more = [
        f"{(b.cpu - a.cpu) / (most - half) * 1e6:,.0f} us of the CPU and "
        f"{(b.memory - a.memory) / (most - half):,.0f} bytes"
        for a, b in zip(spent[half], spent[most])
    ]
    return Table(
        f"kit.ensemble of 2 folds over tiny photos ({_SIDE} x {_SIDE}), on the CPU; then again, "
        "from what is kept",
        ["photos", "s", "CPU s", "MB", "again: s", "CPU s", "MB"],
        rows,
        f"a photo more takes {more[0]}; where all is kept, {more[1]}",
        {str(number): [dataclasses.asdict(one) for one in both] for number, both in spent.items()},
    )
