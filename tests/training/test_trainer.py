import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import small
from trainings import assert_same_run, ctrl_c_for_children, on_cpu

import kit.system.signals
from kit.data.loader import PhotoDataset
from kit.results.run import Fold
from kit.system.errors import KitError
from kit.training.resume import load_state
from kit.training.run import train


@pytest.mark.parametrize("number", [4, pytest.param(100, marks=pytest.mark.trial)])
def test_a_run_killed_at_any_moment_ends_as_if_nothing_had_happened(killable, tmp_path, number):
    """SIGKILL at random moments, from the start of the process to its last write, and the same
    command each time. With `-s` it says what it met.
    """
    files, rng, kills, wholes = Fold(tmp_path / "mine" / "fold0"), np.random.default_rng(), 0, 0
    while kills < number:
        process = subprocess.Popen(
            [*killable.command, "--runs", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if rng.random() < 0.9:  # most while it trains, and not while Python starts
            for line in process.stdout:
                if "M parameters" in line:
                    break
        time.sleep(rng.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)  # the loader processes, too
        rest = process.communicate()[0]
        kills += 1
        assert "Traceback" not in rest and "error:" not in rest, rest
        if (
            process.returncode == 0
        ):  # finished before it was killed: a run of its own has been through
            assert_same_run(files, killable.whole)
            shutil.rmtree(files.folder)
            wholes += 1
        elif files.last.exists():
            state = load_state(files.last)
            print(
                f"kill {kills}: at epoch {len(state['rows'])}, step {state['step']}, {wholes} "
                "whole runs before"
            )
    done = subprocess.run(
        [*killable.command, "--runs", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(files, killable.whole)


@pytest.mark.parametrize(
    "how, group", [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)]
)
def test_a_stopped_run_saves_first(killable, tmp_path, how, group):
    """Ctrl+C of a terminal and a scheduler's SIGTERM reach the loader processes, too."""
    files = Fold(tmp_path / "mine" / "fold0")
    command = [*killable.command, "--runs", str(tmp_path), "--save-minutes", "60"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ctrl_c_for_children():
        process = subprocess.Popen(command, start_new_session=True, **pipes)
    for line in process.stdout:
        if "epoch  2/4" in line:
            break
    time.sleep(0.2)
    (os.killpg if group else os.kill)(process.pid, how)
    out, err = process.communicate(timeout=60)
    assert (
        process.returncode == 130
        and "Traceback" not in err
        and "same command goes on from here" in err
    ), err
    state = load_state(files.last)
    assert (len(state["rows"]), state["step"]) > (2, 0) or "epoch  3/4" not in out
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"going on after epoch {len(state['rows'])}, step {state['step']} of" in done.stdout
    assert_same_run(files, killable.whole)


@pytest.mark.parametrize("moment", range(0, 40, 3))
def test_a_stop_at_any_moment_keeps_what_was_trained(
    world, made_once, tmp_path, monkeypatch, moment
):
    """Ctrl+C after the n-th photo read: while training, while validating, and in between."""
    count, real = [0], PhotoDataset.__getitem__

    def reading(photos, at):
        count[0] += 1
        if count[0] == moment * 10 + 1:
            signal.raise_signal(signal.SIGTERM)
        return real(photos, at)

    recipe = small(name="stopped", epochs=2, ema=0.5)
    whole = made_once(
        "stopped", lambda runs: train(recipe, world.plan, world.folder, [0], runs, on_cpu())
    )
    stopped = False
    with monkeypatch.context() as patch:
        patch.setattr(PhotoDataset, "__getitem__", reading)
        try:
            train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
        except KeyboardInterrupt:
            stopped = True
    assert stopped == (count[0] >= moment * 10 + 1)
    if stopped and moment:  # not before the first step
        state = load_state(Fold(tmp_path / "a" / "stopped" / "fold0").last)
        steps = math.ceil((world.plan.photos["fold"] != 0).sum() / 8)
        assert len(state["rows"]) * steps + state["step"] >= 1
    train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
    assert_same_run(*(Fold(runs / "stopped" / "fold0") for runs in (tmp_path / "a", whole)))


def test_a_stop_ends_the_waiting_for_photos(killable, tmp_path):
    code = (
        "import sys, time; from kit.data.loader import PhotoDataset as Photos; from kit.train "
        "import main; real, reads = Photos.__getitem__, []\n"
        "def reading(photos, at):\n"
        "    reads.append(at)\n"
        "    time.sleep(60 if len(reads) > 10 else 0)\n"
        "    return real(photos, at)\n"
        "Photos.__getitem__ = reading; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [*killable.command[3:], "--runs", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if "M parameters" in line:
                break
        time.sleep(2)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err, err


def test_a_second_stop_ends_at_once(world, tmp_path, monkeypatch):
    from kit.training.learner import Learner

    monkeypatch.setattr(kit.system.signals, "_SAME_STOP", 0)
    monkeypatch.setattr(
        Learner, "step", lambda *_: [signal.raise_signal(signal.SIGTERM) for _ in range(2)]
    )
    with pytest.raises(KeyboardInterrupt):
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert not Fold(tmp_path / "small" / "fold0").last.exists()


def test_a_run_whose_process_alone_was_killed_goes_on_at_once(killable, tmp_path):
    """The loader processes live on for some seconds, and must not hold the fold."""
    command = [*killable.command, "--runs", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stdout:
            if "epoch  1/4" in line:
                break
        process.kill()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_run(Fold(tmp_path / "mine" / "fold0"), killable.whole)


def test_a_loss_that_is_no_number_names_the_step_and_its_photos(world, tmp_path):
    recipe = small("wild", lr=1e6, warmup=0.0)
    files = Fold(tmp_path / "wild" / "fold0")
    said = r"epoch 1, step \d+, is not a finite number.*bad_batch.txt .*lower lr or set clip"
    with pytest.raises(KitError, match=said) as error:
        train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    listed = files.bad_batch.read_text().splitlines()
    seen = set(world.plan.photos.loc[world.plan.photos["fold"] != 0, "image"])
    assert 1 < len(listed) <= 8 and set(listed) <= seen and listed[0] in str(error.value)
    assert not files.last.exists() and not files.best.exists()
