import fcntl
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import mask_folder, small
from trainings import on_cpu

import kit.training.run
from kit.data.planning import PlanOptions, plan_folds
from kit.results.run import Fold
from kit.scale.job import Place, run_here
from kit.system.errors import KitError
from kit.system.locks import lock_folder
from kit.system.temporary import host_name
from kit.training.estimate import estimate
from kit.training.run import (
    advice,
    chosen_folds,
    fold_jobs,
    shared_files,
    train,
    train_alone,
    train_folds,
)


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


def test_a_fold_that_fails_does_not_end_the_others(world, tmp_path, monkeypatch):
    real = kit.training.run.train_fold

    def train_fold(job):
        if job.fold == 0:
            raise KitError("fold 0 fails")
        return real(job)

    monkeypatch.setattr(kit.training.run, "train_fold", train_fold)
    with pytest.raises(KitError, match="fold 0 fails"):
        train(small(epochs=1), world.plan, world.folder, [0, 1], tmp_path, on_cpu())
    assert Fold(tmp_path / "small" / "fold1").best.exists()


def test_two_recipes_of_one_name_are_refused(world, tmp_path):
    with pytest.raises(KitError, match="recipe small is named twice"):
        fold_jobs([small(), small()], world.plan, world.folder, [0], tmp_path, on_cpu())


def test_force_replaces_what_was_there_before_and_not_an_earlier_attempt(world, tmp_path):
    """`train_alone` is called as by a runner, once more after an attempt that ended."""
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold0")
    options = on_cpu(force=True)
    (fold,) = fold_jobs([small()], world.plan, world.folder, [0], tmp_path, options)
    stamp, best = fold.files.stamp, fold.files.best
    before = best.stat().st_mtime_ns
    scores = train_alone(fold, stamp)
    after = best.stat().st_mtime_ns
    assert before != after
    assert train_alone(fold, stamp) == scores and best.stat().st_mtime_ns == after


def test_what_goes_on_after_a_stop_is_told(world, tmp_path):
    recipes = [small(), small("other")]

    def told(*changed, **options):
        jobs = fold_jobs(recipes, world.plan, world.folder, [0, 1], tmp_path, on_cpu(**options))
        left = [(job, job.files.stamp) for job in jobs]
        for name in changed:
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "last.pt").write_text("new")
        return advice(left)

    assert "before the first save of fold 0; the same command starts it again" in told(force=True)
    line = told("small/fold0", "other/fold1", force=True)
    assert line == (
        "stopped; without --force small --fold 0 and other --fold 1 goes on from here, and with it "
        "small --fold 1 and other --fold 0 is trained anew"
    )


def test_a_stop_after_the_last_fold_has_no_advice(world, tmp_path, capsys):
    def run(jobs):
        yield from run_here(jobs)
        raise KeyboardInterrupt

    folds = fold_jobs([small(epochs=1)], world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(KeyboardInterrupt):
        train_folds(folds, Place(run))
    assert "stopped" not in capsys.readouterr().err


def test_folds_train_elsewhere_from_absolute_paths(world, tmp_path, monkeypatch, capsys):
    """A place that runs jobs in this process, as a runner of another would."""
    seen = []

    def run(jobs):
        for job in jobs:
            seen.append(pickle.loads(pickle.dumps(job)))
            yield from run_here([seen[-1]])

    monkeypatch.chdir(tmp_path)
    folds = fold_jobs([small(epochs=1)], world.plan, world.folder, [1], Path("runs"), on_cpu())
    (ended,) = train_folds(folds, Place(run, "cpu", "elsewhere", "1 core each"))
    assert ended.result.line() in capsys.readouterr().out.splitlines()[-1]
    assert seen[0].log == tmp_path / "runs" / "small" / "fold1" / "log.txt"
    assert seen[0].arguments[0].options.lock_seconds > 0
    shared = shared_files(folds, Path("folds.csv"))
    assert shared.written == tmp_path / "runs" and tmp_path / "folds.csv" in shared.read
    assert world.folder.train_table in shared.read


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

    def step(learner, batches, *rest):
        if max(len(labels) for _, labels in batches) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(learner, batches, *rest)

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
