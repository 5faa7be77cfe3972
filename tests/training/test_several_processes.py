"""A fold that several processes train: it equals that of one, wherever it was stopped or killed."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from groups import signal_rank, torchrun
from helpers import mask_folder, small
from trainings import assert_same_run, metrics_of, on_cpu, recipe_file

from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.recipe import load_recipe
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.scale.group import Group
from kit.scale.ranks import Ranks
from kit.system.errors import KitError
from kit.training.fold_data import check_shares
from kit.training.job import FoldJob
from kit.training.resume import load_state
from kit.training.run import train

# Not smaller batches: batch norm over four photos makes of one more 1e-7 in the weights, in one
# process, another loss in the second digit within ten steps.
SHARED = (
    ", epochs=12, accumulate=4, batch_size=8, optimizer='sgd', lr=0.03, mix='mixup', ema=0.9, "
    "clip=1.0, drop_rate=0.2, drop_path_rate=0.1, sampler='sqrt'"
)
# kit.train, and at its end each process writes the hash of its weights into a file.
SCRIPT = """
import os, sys
from pathlib import Path

from kit.train import main
from kit.training.alike import weights_hash
from kit.training.trainer import Trainer

real = Trainer.run


def run(trainer):
    try:
        real(trainer)
    finally:
        place = Path(sys.argv[1]) / f"rank{os.environ['RANK']}"
        place.write_text(f"{len(trainer.state.rows)} {trainer.state.step} "
                         f"{weights_hash(trainer.learner)}")


Trainer.run = run
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Shared:
    """A training to share: the folder of its recipe and plan, its data, and the run of one."""

    root: Path
    data: Path

    @property
    def alone(self) -> Fold:
        """The fold as one process trains it."""
        return Fold(self.root / "alone" / "mine" / "fold0")

    def start(self, size: int, runs: Path, *more: str):
        """Start the training by so many processes; their files are in `runs`."""
        script = self.root / "script.py"
        places = ["--data", self.data, "--plan", self.root / "folds.csv", "--runs", runs]
        runs.mkdir(exist_ok=True)
        words = [runs, self.root / "mine.py", *places, "--device", "cpu", "--workers", "0"]
        return torchrun(size, script, *words, *more)

    def go_on(self, runs: Path) -> None:
        """Go on with the training in this process."""
        recipe, plan = load_recipe(self.root / "mine.py"), read_plan(self.root / "folds.csv")
        train(recipe, plan, mask_folder(self.data), [0], runs, on_cpu())


@pytest.fixture(scope="module")
def shared(made_once, noise):
    def make(root):
        plan_folds(mask_folder(noise), root / "folds.csv", PlanOptions(folds=3, audit=False))
        recipe_file(root, more=SHARED, batch="")
        (root / "script.py").write_text(SCRIPT)
        Shared(root, noise).go_on(root / "alone")

    return Shared(made_once("shared", make), noise)


def run_in(runs):
    """The fold's files in a folder of runs."""
    return Fold(runs / "mine" / "fold0")


def assert_all_alike(runs, size):
    """All processes ended at the same step with the same weights."""
    ends = [(runs / f"rank{rank}").read_text() for rank in range(size)]
    assert len(set(ends)) == 1 and len(list(runs.glob("rank*"))) == size


def assert_close(fold, alone):
    """The same fold but for rounding."""
    mine, other = read_probs(fold.oof), read_probs(alone.oof)
    assert mine.ids.tolist() == other.ids.tolist()
    np.testing.assert_allclose(mine.probs, other.probs, rtol=0, atol=1e-4)
    assert (mine.probs.argmax(axis=1) == other.probs.argmax(axis=1)).mean() > 0.95
    losses = [[row["val_loss"] for row in metrics_of(f)] for f in (fold, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=5e-5)


def wait_for(process, text):
    """Read what a process prints until a line holds a text."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(process.stderr.read())


def finished(process):
    """What a process that must succeed has printed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    return out


def interrupted(process, text, rank, number):
    """Send a signal to one process as soon as a line holds a text; what all print to the end."""
    wait_for(process, text)
    signal_rank(process, rank, number)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    return err


def test_a_fold_stopped_with_two_processes_and_killed_goes_on_with_one(shared, tmp_path):
    files = run_in(tmp_path)
    err = interrupted(shared.start(2, tmp_path), "epoch  1/12", 1, signal.SIGTERM)
    assert_all_alike(tmp_path, 2)
    state = load_state(files.last)
    rows, step, _ = (tmp_path / "rank0").read_text().split()
    assert (len(state["rows"]), state["step"]) == (int(rows), int(step))
    assert err.count("stopped; the same command goes on from here") == 1
    assert err.count("\nstopped\n") == 1 and "error:" not in err

    again = shared.start(2, tmp_path, "--save-minutes", "0.00001", "--resume")
    err = interrupted(again, "going on after epoch", 1, signal.SIGKILL)
    assert err.count("error:") <= 1 and load_state(files.last)["rows"]
    shared.go_on(tmp_path)
    assert_close(files, shared.alone)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"accumulate": 4}, "a step's 4 batches are too few for 8 processes.* at most 4, or raise"),
        ({"accumulate": 1}, "a step's 1 batch is too few for 8 processes.*start at most 1, or"),
        ({"loss": "f1"}, "loss='f1' is of a whole batch: start one process"),
        ({"accumulate": 50}, "a step's 21 batches"),
    ],
)
def test_more_processes_than_batches_in_a_step_are_refused(world, tmp_path, changes, said):
    size = 30 if changes.get("accumulate") == 50 else 8
    options = on_cpu(group=Group(Ranks(0, size, 0, size)))
    recipe = small(**{"batch_size": 4} | changes)
    job = FoldJob(recipe, world.plan, world.folder, 0, tmp_path, options)
    with pytest.raises(KitError, match=said):
        check_shares(job, 84)
    check_shares(FoldJob(recipe, world.plan, world.folder, 0, tmp_path, on_cpu()), 84)


@pytest.mark.trial
@pytest.mark.parametrize("size", [2, 3, 4])
def test_several_processes_train_the_fold_that_one_trains(shared, tmp_path, size):
    finished(shared.start(size, tmp_path))
    assert_all_alike(tmp_path, size)
    assert_close(run_in(tmp_path), shared.alone)


@pytest.mark.trial
def test_a_fold_stopped_with_two_processes_goes_on_with_three(shared, tmp_path):
    for rank in (0, 1):
        again = shared.start(2, tmp_path)
        interrupted(again, "M parameters" if rank else "epoch  2/12", rank, signal.SIGTERM)
        assert_all_alike(tmp_path, 2)
    finished(shared.start(3, tmp_path))
    assert_close(run_in(tmp_path), shared.alone)


@pytest.mark.trial
def test_a_killed_process_ends_all_and_the_same_command_gives_the_same_bytes(shared, tmp_path):
    finished(shared.start(2, tmp_path / "whole"))
    for rank in (0, 1):
        killed = shared.start(2, tmp_path / "killed", "--save-minutes", "0.00001")
        interrupted(killed, "M parameters" if rank else "epoch  2/12", rank, signal.SIGKILL)
    finished(shared.start(2, tmp_path / "killed"))
    assert_same_run(run_in(tmp_path / "killed"), run_in(tmp_path / "whole"))


@pytest.mark.trial
def test_too_many_processes_are_told_once(shared, tmp_path):
    process = shared.start(5, tmp_path)
    out, err = process.communicate(timeout=300)
    assert process.returncode != 0 and out == ""
    (line,) = re.findall("error:.*", err)
    assert "start at most 4, or raise accumulate" in line
    assert not run_in(tmp_path).last.exists()
