"""kit.tune as a person calls it: a whole search, killed and continued, and what it refuses."""

import dataclasses
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import World, everywhere
from trainings import recipe_file

import kit.train
import kit.tuning.confirm
from kit.results.run import Fold
from kit.tune import main
from kit.tuning.study import DONE, read_study, study_path, write_study

pytest.importorskip("optuna")

SPACE = ["--vary", "lr=1e-4..1e-1:log", "--vary", "drop_rate=0,.3"]


def arguments(root: Path, trials: int, *more: str) -> list[str]:
    """A search in `root`, which holds the data, the plan and a recipe."""
    places = ["--data", str(root / "data"), "--plan", str(root / "folds.csv")]
    places += ["--runs", str(root / "runs"), "--device", "cpu", "--workers", "0"]
    return [str(root / "weak.py"), *SPACE, "--trials", str(trials), *places, *more]


def prepare(world: World, root: Path) -> Path:
    """A folder with a recipe that hardly learns, to be searched."""
    root.mkdir(exist_ok=True)
    recipe_file(root, "weak", ", epochs=3, lr=1e-4")
    (root / "data").symlink_to(world.data)
    for suffix in (".csv", ".json"):
        shutil.copy(world.plan_path.with_suffix(suffix), root / f"folds{suffix}")
    return root


def folder(root: Path) -> Path:
    return root / "runs" / "tune" / "weak_tuned"


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory):
    """A search of four trials, from its start to its end."""
    root = prepare(world, tmp_path_factory.mktemp("undisturbed"))
    assert main(arguments(root, 4)) == 0
    return root


def kill_when(command: list[str], ready) -> None:
    """Start a command, and kill it with all its processes as soon as `ready()` says so."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while not ready():
        assert process.poll() is None, "it has ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def in_training(root: Path, trial: int, fold: int):
    """True once a fold of a trial has been saved."""
    return lambda: Fold(folder(root) / f"t{trial:03d}" / "weak_tuned" / f"fold{fold}").last.exists()


def assert_equal_results(a: Path, b: Path) -> None:
    """The same record, and the same bytes of all that was trained and kept."""
    one, other = read_study(folder(a)), read_study(folder(b))
    assert one == other
    weights = [sorted(p.relative_to(r) for p in r.rglob("best.safetensors")) for r in (a, b)]
    assert weights[0] == weights[1] and len(weights[0]) >= 3
    for path in weights[0]:
        assert (a / path).read_bytes() == (b / path).read_bytes(), path


@pytest.mark.xdist_group("tune")
def test_a_search_is_confirmed_on_the_other_folds(undisturbed, capsys):
    study = read_study(folder(undisturbed))
    assert len(study.trials) == 4 and study.trials[0].settings == {"lr": 1e-4, "drop_rate": 0.0}
    assert {trial.state for trial in study.trials} == {DONE}
    best = study.best(1)
    assert best.number and study.confirmation.trial == best.number
    assert len(study.confirmation.folds) == 2 and study.published
    tried = folder(undisturbed) / f"t{best.number:03d}"
    runs = [undisturbed / "runs" / "weak", tried / "weak_tuned"]
    assert all(Fold(run / f"fold{k}").oof.exists() for run in runs for k in range(3))
    assert not list(undisturbed.rglob("last.pt"))
    assert (undisturbed / "runs" / "pixels").is_dir() and not (tried / "pixels").exists()
    assert "epoch" in (tried / "log.txt").read_text()
    before = study_path(folder(undisturbed)).read_bytes()
    assert main(arguments(undisturbed, 4)) == 0  # nothing is left to do
    out = capsys.readouterr().out
    assert "the search has ended, and nothing is trained" in out and "keep what you have" in out
    assert study_path(folder(undisturbed)).read_bytes() == before
    assert not (undisturbed / "weak_tuned.py").exists()


@pytest.mark.xdist_group("tune")
def test_a_killed_search_goes_on_to_the_same_result(world, undisturbed, tmp_path):
    root = prepare(world, tmp_path / "killed")
    command = [sys.executable, "-m", "kit.tune", *arguments(root, 4)]
    kill_when(command, in_training(root, 2, 0))
    assert len(read_study(folder(root)).trials) == 3
    assert main(command[3:]) == 0
    assert_equal_results(root, undisturbed)


@pytest.mark.trial
@pytest.mark.xdist_group("tune")
def test_a_search_of_12_trials_killed_twice_and_in_its_confirmation(world, tmp_path):
    whole = prepare(world, tmp_path / "whole")
    assert main(arguments(whole, 12, "--round", "2")) == 0
    best = read_study(folder(whole)).best(1).number
    root = prepare(world, tmp_path / "killed")
    command = [sys.executable, "-m", "kit.tune", *arguments(root, 12, "--round", "2")]
    for trial, fold in ((3, 0), (8, 0), (best, 2)):
        kill_when(command, in_training(root, trial, fold))
    assert main(arguments(root, 12)) == 0  # its round is the recorded one
    assert_equal_results(root, whole)


@pytest.mark.trial
@pytest.mark.xdist_group("tune")
def test_two_processes_side_by_side_come_to_the_same_result(world, undisturbed, tmp_path, capsys):
    root = prepare(world, tmp_path / "aside")
    words = arguments(root, 4, "--round", "1")
    words[words.index("cpu")] = "cpu,cpu"
    assert main(words) == 0
    assert "side by side on cpu,cpu" in capsys.readouterr().out
    assert_equal_results(root, undisturbed)


@pytest.mark.xdist_group("tune")
def test_a_better_trial_is_left_as_a_recipe_and_a_whole_run(
    undisturbed, tmp_path, monkeypatch, capsys
):
    """18 people are too few to tell: the confirmation is put in its place."""
    root = shutil.copytree(undisturbed, tmp_path / "copy", symlinks=True)
    study = read_study(folder(root))
    write_study(folder(root), dataclasses.replace(study, confirmation=None, published=False))
    better = dataclasses.replace(study.confirmation, interval=(0.1, 0.2), folds_interval=(0.1, 0.2))
    everywhere(monkeypatch, kit.tuning.confirm, "judge", lambda *_: better)
    assert main(arguments(root, 4)) == 0
    out = capsys.readouterr().out
    assert "take it: lr=" in out and f"kit.ensemble {root / 'runs' / 'weak_tuned'}" in out
    words = ["--fold", "all", *arguments(root, 4)[7:]]
    assert kit.train.main([str(root / "weak_tuned.py"), *words]) == 0
    assert capsys.readouterr().out.count("finished before, skipped") == 3


@pytest.mark.xdist_group("tune")
def test_another_search_is_refused_and_force_begins_anew(undisturbed, tmp_path, fails):
    root = shutil.copytree(undisturbed, tmp_path / "copy", symlinks=True)
    line = fails(main, *arguments(root, 4, "--seed", "1"))
    assert "is another search: seed was 0, is 1" in line and "--force" in line
    assert "--trials was 4, is 5" in fails(main, *arguments(root, 5))
    assert "--vary" in fails(main, *[*arguments(root, 4)][:3], *arguments(root, 4)[5:])
    path = study_path(folder(root))
    path.write_text(path.read_text()[:200])
    assert "tune.json" in fails(main, *arguments(root, 4))
    recipe_file(root, "weak", ", epochs=3, lr=1e-3")
    line = fails(main, *arguments(root, 4, "--force"))
    assert "runs/weak/fold0" in line and "kit.train --force" in line
    recipe_file(root, "weak", ", epochs=3, lr=1e-4")
    assert main(arguments(root, 2, "--force", "--no-prune")) == 0
    study = read_study(folder(root))
    assert len(study.trials) == 2 and not study.prune and study.replaces
    assert not (folder(root) / "t003").exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--search-folds", "all"], "leaves 0 of 3 folds to confirm the best trial on"),
        (["--search-folds", "0,1"], "leaves 1 of 3 folds"),
        (["--search-folds", "3"], "--search-folds 3: the plan has the folds 0 to 2"),
        (["--trials", "1"], "--trials 1: take 2 or more"),
        (["--vary", "lrr=1,2"], "a recipe has no field 'lrr' (did you mean lr?)"),
        (["--out", "weak.py"], "is no name for a variant"),
        (["--out", "mine.txt"], "is no name for a variant"),
        (["--device", "cpu", "--gpus", "1"], "add --cluster"),
    ],
)
def test_what_cannot_be_searched_is_one_line(world, tmp_path, fails, more, line):
    root = prepare(world, tmp_path / "bad")
    assert line in fails(main, *arguments(root, 4, *more))
    assert not (root / "runs").exists()


def test_a_search_is_no_job_of_torchrun(world, tmp_path, fails, monkeypatch):
    words = arguments(prepare(world, tmp_path / "bad"), 4)
    monkeypatch.setenv("WORLD_SIZE", "abc")
    assert "WORLD_SIZE=abc" in fails(main, *words)
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    assert "start it without" in fails(main, *words)


def test_a_search_needs_a_field_and_a_free_name(world, tmp_path, fails):
    root = prepare(world, tmp_path / "bad")
    without = [word for word in arguments(root, 4) if word != "--vary" and word not in SPACE]
    assert "nothing varies; name a field" in fails(main, *without)
    (root / "weak_tuned.py").touch()
    assert "weak_tuned.py: exists already" in fails(main, *arguments(root, 4))


def test_two_searches_of_one_name_are_refused(world, tmp_path, fails):
    root = prepare(world, tmp_path / "twice")
    folder(root).mkdir(parents=True)
    script = (
        "import sys, kit.system.locks as l, pathlib\n"
        "with l.lock_file(pathlib.Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    )
    lock = [sys.executable, "-c", script, str(folder(root) / ".lock")]
    with subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert "another process searches here" in fails(main, *arguments(root, 4))
        holder.stdin.close()
    assert not study_path(folder(root)).exists()
