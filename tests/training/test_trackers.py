import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import everywhere, small
from trainings import assert_same_run, metrics_of, on_cpu

import kit.results.run
import kit.training.trackers
from kit.results.run import Fold
from kit.system.errors import KitError
from kit.training.run import train


def test_tensorboard_has_every_epoch_once_whatever_interrupted_it(world, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    recipe, real = small(epochs=3), kit.results.run.write_metrics

    def stop_after_two(path, rows, *origin):
        real(path, rows, *origin)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.results.run, "write_metrics", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    files = Fold(tmp_path / "small" / "fold0")
    code = (
        "import json, sys, warnings; warnings.simplefilter('ignore')\n"
        "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
        "events = EventAccumulator(sys.argv[1]).Reload()\n"
        "print(json.dumps({t: [(e.step, e.value) for e in events.Scalars(t)] for t in "
        "events.Tags()['scalars']}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(files.folder / "tensorboard")],
        capture_output=True,
        text=True,
    )
    scalars = json.loads(done.stdout)
    assert set(scalars) == {
        "train/loss",
        "val/loss",
        "val/acc",
        "val/f1_macro",
        "val/f1_mask",
        "val/f1_gender",
        "val/f1_age",
        "lr",
        "time/data",
        "time/step",
    }
    rows = metrics_of(files)
    assert [step for step, _ in scalars["val/f1_macro"]] == [1, 2, 3]
    assert [value for _, value in scalars["train/loss"]] == pytest.approx(
        [row["train_loss"] for row in rows]
    )


def test_wandb_offline(killable, tmp_path):
    pytest.importorskip("wandb")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {
        "WANDB_MODE": "offline",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(root),
    }
    done = subprocess.run(
        [*killable.command, "--runs", str(tmp_path / "runs"), "--track", "wandb"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "gave up" not in done.stderr, done.stderr
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    assert list((files.folder / "wandb").glob("offline-run-*/run-*.wandb"))
    assert_same_run(files, killable.whole)


def test_a_tracker_that_fails_costs_no_training(world, tmp_path, monkeypatch, capsys):

    class Broken:
        def __init__(self, *args):
            pass

        def log(self, row):
            raise OSError("no space left")

        close = None

    everywhere(monkeypatch, kit.training.trackers, "_TensorBoard", Broken)
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    err = capsys.readouterr().err
    assert err.count("gave up (OSError: no space left); the training goes on") == 1
    assert_same_run(*(Fold(runs / "small" / "fold0") for runs in (tmp_path, world.runs)))


def test_a_tracker_that_is_not_installed_is_told_before_training(world, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        KitError, match=r"--track wandb: it is not installed .*pip install 'kfold-kit\[tracking\]'"
    ):
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(track="wandb"))
