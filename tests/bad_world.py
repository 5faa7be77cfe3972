"""A tiny competition of two drawn classes, whose files a test makes bad, and how each is read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers import draw_photo
from safetensors.numpy import save_file

import kit.compare
import kit.ensemble
import kit.folds
import kit.report
import kit.start
import kit.train
from kit.results.leaderboard import BOARD_COLUMNS

DEFINITION = """from kit.competition import Competition

competition = Competition(
    name="tiny", train="train.csv", image="train/{id}.png", target="label", group="who",
    test="test.csv", test_image="test/{id}.png"%s
)
"""
RECIPE = """from kit.recipe import Recipe

recipe = Recipe(
    name="small", model="test_efficientnet", pretrained=False, size=(32, 32), augment=None,
    epochs=1, batch_size=4, lr=1e-3
)
"""
TRAIN = "id,label,who\n" + "".join(f"{i:03d},{'ab'[i % 2]},w{i // 2}\n" for i in range(12))
TEST = "id,label\n" + "".join(f"{i:03d},a\n" for i in range(12, 16))
ONE = "id,label\n012,a\n013,b\n014,a\n015,b\n"
FIX = "id,target,value\n003,label,a\n"
THEIRS = "id,0,1\n" + "".join(f"{i:03d},0.5,0.5\n" for i in range(12, 16))
LOG = ",".join(BOARD_COLUMNS) + f"\none.csv,{'0' * 64},2026-01-01 00:00,a,0.5,0.4,0.6,0.5,\n"
PLAN = ("--plan", "folds.csv", "--data", "data")
Content = str | bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it lies in the world, and the command that reads it."""

    path: str
    main: Callable[[list[str]], int]
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Bad:
    """A bad input: the kind of file, what is wrong with it, and parts of the one line.

    `content` is what the file holds, or a function that makes what is bad in the world's folder.
    In `said`, ` ... ` stands for what a library or the system words.
    """

    kind: str
    wrong: str
    content: Content
    said: str

    def make(self, root: Path) -> None:
        """Make the bad input in a world."""
        path = root / KINDS[self.kind].path
        if callable(self.content):
            self.content(root)
        else:
            path.write_bytes(
                self.content if isinstance(self.content, bytes) else self.content.encode()
            )


FOLDS = ("--data", "data", "--out", "new/folds.csv", "--folds", "2", "--no-audit")
JOINED = ("--out", "new.csv", "--no-score", *PLAN)
KINDS = {
    "train": Kind("data/train.csv", kit.folds.main, FOLDS),
    "test": Kind("data/test.csv", kit.folds.main, FOLDS),
    "definition": Kind("competition.py", kit.folds.main, FOLDS),
    "corrections": Kind("fix.csv", kit.folds.main, (*FOLDS, "--corrections", "fix.csv")),
    "photo": Kind("data/train/003.png", kit.folds.main, FOLDS[:-1]),
    "test photo": Kind("data/test/012.png", kit.report.main, ("--data", "data", "--out", "r.html")),
    "plan": Kind("folds.csv", kit.train.main, ("small.py", "--dry-run", *PLAN)),
    "record": Kind("folds.json", kit.train.main, ("small.py", "--dry-run", *PLAN)),
    "recipe": Kind("small.py", kit.train.main, ("small.py", "--dry-run", *PLAN)),
    "submission": Kind("one.csv", kit.compare.main, ("one.csv", "two.csv")),
    "answers": Kind("truth.csv", kit.compare.main, ("one.csv", "--answers", "truth.csv")),
    "log": Kind("log.csv", kit.compare.main, ("--board", "--log", "log.csv")),
    "csv": Kind("theirs.csv", kit.ensemble.main, ("theirs.csv", *JOINED)),
    "npz": Kind("theirs.npz", kit.ensemble.main, ("theirs.npz", *JOINED)),
    "checkpoint": Kind("c.safetensors", kit.ensemble.main, ("c.safetensors", *JOINED)),
    "ensemble": Kind("e.json", kit.ensemble.main, ("--from", "e.json", *JOINED[:2], *PLAN[2:])),
    "parquet": Kind("data/train.parquet", kit.folds.main, FOLDS),
}  # fmt: skip


def make_world(root: Path) -> None:
    """Fill an empty folder with a competition, its plan, and files of every kind."""
    for folder, numbers in (("train", range(12)), ("test", range(12, 16))):
        (root / "data" / folder).mkdir(parents=True)
        for i in numbers:
            draw_photo(root / "data" / folder / f"{i:03d}.png", i, (24, 32))
    (root / "data" / "train.csv").write_text(TRAIN)
    (root / "data" / "test.csv").write_text(TEST)
    (root / "competition.py").write_text(DEFINITION % "")
    (root / "fix.csv").write_text(FIX)
    (root / "theirs.csv").write_text(THEIRS)
    (root / "small.py").write_text(RECIPE)
    (root / "one.csv").write_text(ONE)
    (root / "two.csv").write_text(TEST)
    (root / "truth.csv").write_text(ONE)
    (root / "log.csv").write_text(LOG)
    ids = [f"{i:03d}" for i in range(12, 16)]
    np.savez(root / "theirs.npz", ids=np.array(ids), probs=np.full((4, 2), 0.5, np.float32))
    save_file({"w": np.zeros(2, np.float32)}, root / "c.safetensors", {"kit": "{}"})


def rows(kind: str, *cases: tuple[str, Content, str]) -> list[Bad]:
    """Bad inputs of one kind."""
    return [Bad(kind, *case) for case in cases]


def folder(name: str) -> Content:
    """A folder in the place of a file."""

    def make(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).mkdir()

    return make


def pipe(name: str) -> Content:
    """A pipe that nobody writes to."""

    def make(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        os.mkfifo(root / name)

    return make


def link(name: str, target: str) -> Content:
    """A symbolic link in the place of a file."""

    def make(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)

    return make


def gone(name: str) -> Content:
    """A file that is not there."""
    return lambda root: (root / name).unlink()


def renamed(old: str, new: str) -> Content:
    """A file that is called otherwise."""
    return lambda root: (root / old).rename(root / new)


def changed(name: str, old: str, new: str) -> Content:
    """A file in which a text was replaced where it stands first."""

    def make(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return make
