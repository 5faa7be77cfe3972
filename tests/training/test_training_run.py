import fcntl
import shutil
import subprocess
import sys
import time

import pytest
import torch
from helpers import mask_folder, small
from trainings import on_cpu

from kit.data.planning import PlanOptions, plan_folds
from kit.system.disk import host_name
from kit.system.errors import KitError
from kit.system.locks import lock_folder
from kit.training.estimate import estimate
from kit.training.run import chosen_folds, train


def test_chosen_folds():
    assert chosen_folds("all", 3) == [0, 1, 2] and chosen_folds("2,0,2", 3) == [2, 0]
    for text in ("3", "x", "", "0,", "-1", "0-2"):
        with pytest.raises(KitError, match="the folds 0 to 2"):
            chosen_folds(text, 3)


def test_a_fold_is_trained_by_one_process(world, tmp_path):
    with lock_folder(tmp_path / "small" / "fold0"):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        half = tmp_path / "small" / "fold0" / f".best.safetensors.{host_name()}.{ended.pid}.tmp"
        half.write_bytes(b"half")
        with pytest.raises(KitError, match="another process is training this fold"):
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    train(small(epochs=1), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert not list((tmp_path / "small" / "fold0").glob(".*.tmp"))


def test_a_fold_s_lock_is_waited_for_if_the_options_say_so(world, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "small-limit8" / "fold0"
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(held, fcntl.LOCK_UN))
        options = on_cpu(limit=8, lock_seconds=180)
        train(small(epochs=1), world.plan, world.folder, [0], tmp_path, options)
    assert "another process has the lock; waiting up to 3 min 00 s" in capsys.readouterr().err
    assert (folder / "best.safetensors").exists()


def test_what_one_fold_would_refuse_is_told_before_the_others_are_trained(world, tmp_path):
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold2")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.folder, [0, 1, 2], tmp_path, on_cpu())
    assert not (tmp_path / "small" / "fold0").exists()


def test_labels_changed_after_planning_are_said(data, tmp_path, capsys):
    plan, _ = plan_folds(
        mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False)
    )
    csv = data / "train" / "train.csv"
    csv.write_text(csv.read_text() + "\n")
    train(small(epochs=1), plan, mask_folder(data), [0], tmp_path / "runs", on_cpu())
    assert "the plan's labels are used" in capsys.readouterr().err


def test_idle_settings_and_the_weight_decay_are_said(world, tmp_path, capsys):
    train(
        small(epochs=1, optimizer="sgd", mix_prob=0.3),
        world.plan,
        world.folder,
        [0],
        tmp_path,
        on_cpu(),
    )
    out, err = capsys.readouterr()
    assert "recipe small: mix_prob=0.3 changes nothing with mix='none'" in err
    assert ", sgd with weight decay 0.0001" in out and f", {torch.get_num_threads()} thread" in out


def test_a_batch_too_large_for_the_memory_names_one_that_fits(world, tmp_path, monkeypatch):
    from kit.training.learner import Learner

    real = Learner.step

    def step(learner, batches, rate, seed):
        if max(len(labels) for _, labels in batches) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(learner, batches, rate, seed)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(
        KitError, match="batch_size=12 at 32 x 24; 3 fits: set batch_size=3, accumulate=4"
    ):
        train(small(batch_size=12), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(KitError, match="no smaller one fits"):
        train(small(batch_size=5), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(
        KitError, match="3 fits: set batch_size=3, accumulate=5, for steps of about as many photos"
    ):
        estimate(small(batch_size=13), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(KitError, match="3 fits: set batch_size=3$"):
        estimate(small(batch_size=12, loss="f1"), world.plan, world.folder, [0], tmp_path, on_cpu())


def test_a_loader_process_that_is_killed_is_one_line(killable, tmp_path):
    """In a process of its own: torch goes on raising for the killed process, wherever the program
    is.
    """
    code = (
        "import os, signal, sys, torch; from kit.data.loader import PhotoDataset as Photos; from "
        "kit.train import main\n"
        "real = Photos.__getitem__\n"
        "def reading(photos, at):\n"
        "    if torch.utils.data.get_worker_info() and isinstance(at, tuple) and at[0] % 5 == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(photos, at)\n"
        "Photos.__getitem__ = reading; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *killable.command[3:], "--runs", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 2
        and "error: a loader process was killed" in done.stderr
        and "Traceback" not in done.stderr
    )
