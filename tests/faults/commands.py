"""The world of fault trials: every command of the kit in order, and the folder before each one.

world = make_world(folder)                      # once: about half a minute
place = world.restore("train", folder / "a")    # the working folder before that command
ended = run_forked(world.argv("train"), place, hook)
again = run_forked(world.argv("train"), place)
assert digest(place) == world.after["train"] and not leftovers(place)
"""

import json
import os
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from helpers import draw_photo
from PIL import Image
from trainings import recipe_text

import kit.training.learner
from faults.digests import digest, leftovers
from faults.forked import Counter, Ended, run_forked

RECIPES = {"mine": (3, 2e-2), "other": (2, 2e-2), "weak": (2, 1e-4)}
CPU = ["--device", "cpu", "--workers", "0"]


@dataclass(frozen=True)
class Command:
    """A command of the world: `words` are those behind `python -m kit.`.

    `makes` are the results that a person looks for. `interrupted` says that the folder before it
    holds what the same command has left unfinished.
    """

    name: str
    words: tuple[str, ...]
    makes: tuple[str, ...]
    interrupted: bool = False


def commands(data: Path) -> list[Command]:
    """Every command of the world in order, on the data in a folder that none of them changes."""
    place = ["--data", str(data)]
    training = ["train", "mine.py", "--fold", "0,1", *place, *CPU]
    training += ["--keep-epochs", "2", "--save-minutes", "0.00001"]
    all_members = ["runs/mine", "runs/mine_soup", "runs/other", *place, *CPU]
    space = ["--vary", "lr=1e-3..1e-2:log", "--trials", "3"]
    mine, blend = "submissions/mine.csv", "submissions/blend.csv"

    def one(name: str, words: list[str], *makes: str, interrupted: bool = False) -> Command:
        return Command(name, tuple(words), makes, interrupted)

    fold = "runs/mine/fold1/best.safetensors"
    return [
        one(
            "sample", ["sample", "--out", "sample", "--groups", "6", "--test-groups", "1"], "sample"
        ),
        one("start", ["start", str(data)], "competition.py"),
        one("folds", ["folds", *place, "--folds", "3"], "runs/folds.csv", "runs/folds.json"),
        one("train", training, fold, "runs/pixels"),
        one("resume", training, fold, interrupted=True),
        one(
            "side",
            ["train", "mine.py", "other.py", "--fold", "all", *place, *CPU, "--device", "cpu,cpu"]
            + ["--save-minutes", "0.00001", "--keep-epochs", "2"],
            "runs/other/fold2/best.safetensors",
        ),
        one("soup", ["soup", "runs/mine", *place, *CPU], "runs/mine_soup/fold1/best.safetensors"),
        one(
            "ensemble",
            ["ensemble", "runs/mine", "--tta", "hflip", *place, *CPU, "--out", mine],
            mine,
        ),
        one(
            "blend",
            ["ensemble", *all_members, "--blend", "greedy", "--decide", "bias", "--force-blend"]
            + ["--out", blend, "--save-probs", "submissions/blend.npz"],
            blend,
            "submissions/blend.npz",
        ),
        one(
            "fast",
            ["ensemble", *all_members, "--tta", "hflip", "--fast", "--out", "submissions/fast.csv"],
            "submissions/fast.csv",
        ),
        one(
            "again",
            ["ensemble", "--from", "submissions/mine.json", *place, *CPU, "--out", "again.csv"],
            "again.csv",
        ),
        one(
            "record",
            ["compare", "--record", "blend", "--public", ".5"],
            "submissions/leaderboard.csv",
        ),
        one("vote", ["compare", mine, blend, *place, "--vote", "vote.csv"], "vote.csv"),
        one("report", ["report", "runs/mine", *place], "report.html"),
        one("page", ["report", *place], "data.html"),
        one("tune", ["tune", "weak.py", *space, *place, *CPU], "runs/tune/weak_tuned/tune.json"),
    ]


@dataclass
class World:
    """A folder with the data, and the working folder before each command.

    `before` and `after` are the digests of the working folder around an undisturbed run, and
    `seconds` is what that took.
    """

    root: Path
    commands: dict[str, Command] = field(default_factory=dict)
    before: dict[str, dict[str, str]] = field(default_factory=dict)
    after: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.root / "data"

    def argv(self, name: str) -> tuple[str, ...]:
        """The words of a command behind `python -m kit.`."""
        return self.commands[name].words

    def restore(self, name: str, place: Path) -> Path:
        """The working folder before a command, in the folder `place`, which is made anew."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.root / "before" / name, place, symlinks=True)
        return place


def world_at(root: Path) -> World:
    """The world in a folder: made if it is not there, else as it was made before."""
    root, record = root.resolve(), root.resolve() / "world.json"
    if not record.exists():
        shutil.rmtree(root, ignore_errors=True)
        made = make_world(root)
        record.write_text(json.dumps([made.before, made.after, made.seconds]), encoding="utf-8")
    parts = json.loads(record.read_text(encoding="utf-8"))
    return World(root, {c.name: c for c in commands(root / "data")}, *parts)


def make_world(root: Path) -> World:
    """The world in an empty folder: every command run undisturbed, with the folder before it."""
    root = root.resolve()
    world = World(root)
    draw_data(world.data)
    work = root / "work"
    work.mkdir(parents=True)
    for name, (epochs, lr) in RECIPES.items():
        (work / f"{name}.py").write_text(recipe_text(name, (24, 32), epochs, lr))
    for command in commands(world.data):
        before = root / "before" / command.name
        if command.interrupted:
            _interrupt(world, command, before)
        else:
            shutil.copytree(work, before)
        world.commands[command.name] = command
        world.before[command.name] = digest(before)
        place = world.restore(command.name, root / "first" / command.name)
        ended = run_forked(command.words, place)
        _check(command, place, ended)
        world.after[command.name] = digest(place)
        world.seconds[command.name] = ended.seconds
        shutil.rmtree(work)
        shutil.move(place, work)
        shutil.rmtree(work / "sample", ignore_errors=True)  # many photos that no other one needs
    return world


def draw_data(data: Path) -> None:
    """A competition that nobody has described: 24 photos of three colours, 10 to predict."""
    for part, number in (("train", 24), ("test", 10)):
        (data / part).mkdir(parents=True)
        for n in range(number):
            path = data / part / f"{part}{n:03d}.jpg"
            draw_photo(path, path.name, (64, 48))
            with Image.open(path) as photo:
                colour = Image.new("RGB", photo.size, tuple(120 * (n % 3 == c) for c in range(3)))
                Image.blend(photo, colour, 0.6).save(path)
    names = [f"train{n:03d}.jpg" for n in range(24)]
    labels = ["red", "green", "blue"]
    rng = np.random.default_rng(0)
    wrong = rng.permutation(24)[:4]  # so that no network is perfect
    rows = [labels[(n + (n in wrong)) % 3] for n in range(24)]
    pd.DataFrame({"image": names, "label": rows}).to_csv(data / "train.csv", index=False)
    tests = [f"test{n:03d}.jpg" for n in range(10)]
    pd.DataFrame({"image": tests, "label": "red"}).to_csv(
        data / "sample_submission.csv", index=False
    )


def _interrupt(world: World, command: Command, place: Path) -> None:
    """The folder of a training that was stopped within its second epoch of the first fold."""
    world.restore("train", place)
    steps, real = Counter(), kit.training.learner.Learner.step

    def step(*arguments: object) -> object:
        if steps.add() == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)  # type: ignore[arg-type]

    def hook() -> None:
        kit.training.learner.Learner.step = step  # type: ignore[method-assign]

    ended = run_forked(command.words, place, hook)
    if ended.code != 130 or not list(place.rglob("last.pt")):
        raise RuntimeError(f"{command.name} was not interrupted:\n{ended.output}")


def _check(command: Command, place: Path, ended: Ended) -> None:
    """Raise `RuntimeError` unless an undisturbed command has made what it should, and no more."""
    missing = [name for name in command.makes if not (place / name).exists()]
    left = leftovers(place)
    if ended.code or missing or left:
        said = json.dumps({"code": ended.code, "missing": missing, "left": left})
        raise RuntimeError(f"{command.name}: {said}\n{ended.output}")
