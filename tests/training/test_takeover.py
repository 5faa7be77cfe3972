"""A training whose fold another process took over writes nothing more, wherever it was."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import everywhere, small
from trainings import on_cpu, recipe_file

import kit.inference.predict
import kit.training.learner
from kit.results.run import Fold
from kit.system.disk import json_bytes
from kit.system.errors import KitError
from kit.system.fence import OWNER
from kit.training.run import train

ANOTHER = json_bytes({"host": "box2", "pid": 77, "token": "another"})
SAID = "fold0: process 77 on box2 took it over; this process stops, and has written nothing since"


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of the files in a folder, by their names, without those half-written."""
    paths = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".tmp"]
    return {path.name: path.read_bytes() for path in paths}


class Takeover:
    """Another process takes a folder over after its `moment`-th change by this one.

    Changes are counted below the kit: files that are replaced, removed, or written in place.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, moment: int) -> None:
        self.folder, self.moment, self.count = folder, moment, 0
        self.before: dict[str, bytes] | None = None
        for owner, name, place in (
            (os, "replace", 1),
            (Path, "unlink", 0),
            (Path, "write_text", 0),
            (Path, "write_bytes", 0),
        ):
            patch.setattr(owner, name, self.counting(getattr(owner, name), place))

    def counting(self, change, place):
        """A function that changes files, counted if the file at `place` is the folder's."""

        def changing(*args, **options):
            path, was = Path(args[place]), self.count
            there = path.parent == self.folder and path.suffix != ".tmp" and path.name != ".lock"
            if there and (self.before is not None or path.exists() or place == 1):
                self.count += 1
            result = change(*args, **options)
            if self.count > was and self.count == self.moment and self.before is None:
                self.take()
            return result

        return changing

    def take(self) -> None:
        """Take the folder over."""
        with open(self.folder / OWNER, "wb") as file:
            file.write(ANOTHER)
        self.before = content(self.folder)


def test_no_file_changes_after_any_moment_of_a_takeover(world, tmp_path, monkeypatch):
    """The training replaces one with kept epochs, so that it has to clear up, too."""
    options = on_cpu(force=True, keep_epochs=1, limit=8)
    before, runs = tmp_path / "before" / "small-limit8" / "fold0", tmp_path / "runs"
    old = on_cpu(keep_epochs=2, limit=8)
    train(small(lr=0.1), world.plan, world.folder, [0], tmp_path / "before", old)
    for name in ("probs-1.npz", "few-1.npz", "oof-1.npz", "bad_batch.txt"):
        (before / name).write_bytes(b"old")
    folder, stopped, moment = runs / "small-limit8" / "fold0", True, 0
    while stopped:
        moment, stopped = moment + 1, False
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(before, folder)
        with monkeypatch.context() as patch:
            takeover = Takeover(patch, folder, moment)
            try:
                train(small(), world.plan, world.folder, [0], runs, options)
            except KitError as error:
                assert SAID in str(error) and "\n" not in str(error)
                stopped = True
        assert takeover.before is None or content(folder) == takeover.before, moment
    names = set(content(folder))
    assert {"best.safetensors", "oof.npz", "metrics.csv", "epoch0002.safetensors"} <= names
    assert "epoch0001.safetensors" not in names and names.isdisjoint({"probs-1.npz", "few-1.npz"})
    # Owner; eight files cleared; two epochs of last.pt, best, oof, epoch, metrics and one epoch
    # removed; metrics, last.pt, bad_batch.txt. After the last of them nothing is left to stop.
    assert moment == 1 + 8 + 11 + 3


def test_an_interrupted_training_does_not_save_what_is_another_s(world, tmp_path, monkeypatch):
    folder, count = tmp_path / "small" / "fold0", [0]
    real = kit.training.learner.Learner.step

    def step(*args):
        count[0] += 1
        if count[0] == 3:
            (folder / OWNER).write_bytes(ANOTHER)
            signal.raise_signal(signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(kit.training.learner.Learner, "step", step)
    with pytest.raises(KitError, match=SAID):
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert content(folder) == {OWNER: ANOTHER, ".lock": b""}


def test_photos_of_a_loss_that_is_no_number_are_not_listed_in_another_s_fold(
    world, tmp_path, monkeypatch
):
    folder, real = tmp_path / "wild" / "fold0", kit.training.learner.Learner.step

    def step(*args):
        (folder / OWNER).write_bytes(ANOTHER)
        return real(*args) * float("nan")

    monkeypatch.setattr(kit.training.learner.Learner, "step", step)
    with pytest.raises(KitError, match=SAID):
        train(small("wild"), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert content(folder) == {OWNER: ANOTHER, ".lock": b""}


def test_probabilities_are_not_made_again_in_another_s_fold(world, copy, monkeypatch):
    folder = copy / "runs" / "small" / "fold0"
    (folder / "oof.npz").unlink()
    real = kit.inference.predict.predict

    def predict(*args, **options):
        (folder / OWNER).write_bytes(ANOTHER)
        return real(*args, **options)

    everywhere(monkeypatch, kit.inference.predict, "predict", predict)
    with pytest.raises(KitError, match=SAID):
        train(small(), world.plan, world.folder, [0], copy / "runs", on_cpu())
    assert not (folder / "oof.npz").exists() and (folder / OWNER).read_bytes() == ANOTHER


# The command on a file system without locks; it waits so many seconds for each photo.
WITHOUT_LOCKS = """
import errno, fcntl, sys, time
from kit.data.loader import PhotoDataset
from kit.train import main

def refuse(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")

def slow(photos, at, real=PhotoDataset.__getitem__):
    time.sleep(float(sys.argv[1]))
    return real(photos, at)

fcntl.flock, PhotoDataset.__getitem__ = refuse, slow
sys.exit(main(sys.argv[2:]))
"""


def test_a_frozen_process_that_wakes_up_ends_with_one_line(world, tmp_path):
    """While it is frozen, another one takes its fold over and finishes it."""
    files = Fold(tmp_path / "mine-limit8" / "fold0")
    recipe = recipe_file(tmp_path, more=", epochs=3")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path]
    words = [str(a) for a in (recipe, *places, "--device", "cpu", "--workers", 0, "--limit", 8)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = [sys.executable, "-c", WITHOUT_LOCKS]
    with subprocess.Popen([*program, "0.2", *words], **pipes) as frozen:
        try:
            for line in frozen.stdout:
                if "epoch  1/3" in line:
                    break
            os.kill(frozen.pid, signal.SIGSTOP)
            os.utime(files.folder / ".lock.held", (0, 0))  # frozen for longer than a minute
            done = subprocess.run([*program, "0", *words], capture_output=True, text=True)
            assert done.returncode == 0 and "no locks" in done.stderr, done.stderr
            assert "going on after epoch 1" in done.stdout and not files.last.exists()
            before = content(files.folder)
            os.kill(frozen.pid, signal.SIGCONT)
            err = frozen.communicate(timeout=60)[1]
        finally:
            frozen.kill()
    assert frozen.returncode == 2 and err.count("error: ") == 1 and "Traceback" not in err, err
    assert f"error: {files.folder}: another process took it over and has ended, or " in err
    assert content(files.folder) == before and OWNER not in before
