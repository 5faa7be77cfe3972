"""The search: rounds, a stop at any moment, failures, and what is left on the disk.

Trials are not trained: their scores are made of their settings.
"""

import dataclasses
import math
from pathlib import Path

import pytest
from helpers import small
from trainings import on_cpu

from kit.scale.job import Ended, Job, Place
from kit.system.errors import KitError, LoggedError
from kit.tuning.search import Search, ask_round, run_logged, run_search
from kit.tuning.space import read_space
from kit.tuning.study import DONE, FAILED, PRUNED, Study, read_study, write_study
from kit.tuning.trial import Outcome

pytest.importorskip("optuna")


class Stopped(BaseException):
    """A kill, for the test."""


def outcome(job):
    """A trial's score is best at lr=.01; one whose rule prunes it has no score."""
    folds, rules = job.arguments
    score = -abs(math.log10(folds[0].recipe.lr) + 2)
    curve = tuple(score - 1 / epoch for epoch in range(1, folds[0].recipe.epochs + 1))
    rule = rules[0]
    if rule is not None and len(rule.medians) > 2 and curve[2] < rule.medians[2]:
        return Outcome(PRUNED, None, (curve[:3],), "on fold 0, epoch 3")
    return Outcome(DONE, score, (curve,))


def place(stop=math.inf, order=1, third=None):
    """A place that is stopped after so many jobs; `order` -1 ends the last job first.

    `third` is what comes of trial 2: an error, or an outcome.
    """
    ended = 0

    def run(jobs):
        nonlocal ended
        for job in list(jobs)[::order]:
            if ended == stop:
                raise Stopped
            ended += 1
            files = job.arguments[0][0].files
            files.folder.mkdir(parents=True, exist_ok=True)
            for path in (files.best, files.oof, files.last, files.metrics):
                path.touch()
            if job.name == "trial 2" and isinstance(third, Exception):
                yield Ended(job, error=third)
            else:
                yield Ended(job, (job.name == "trial 2" and third) or outcome(job))

    return Place(run)


@pytest.fixture
def searching(world, tmp_path):
    recipe = small(epochs=6, lr=0.3)
    space = read_space(["lr=1e-5..1:log", "drop_rate=0,.2"], recipe, world.plan.competition)
    folder, runs = tmp_path / "study", tmp_path / "runs"
    folder.mkdir()
    return Search(folder, space, world.plan, world.folder, runs, on_cpu(), place())


def study(search, **changes):
    fields = {
        "name": "small_tuned", "recipe": {"name": "small"}, "plan": "", "metric": "f1_macro",
        "space": (), "search_folds": (0,), "confirm_folds": (1, 2), "number": 16, "round": 1,
        "seed": 3, "prune": True,
    }  # fmt: skip
    made = Study(**fields | changes)
    write_study(search.folder, made)
    return made


def searched(search, study, stops=()):
    """The study at its end, where each of `stops` ends the process after so many jobs."""
    for stop in stops:
        with pytest.raises(Stopped):
            stopped = dataclasses.replace(search, place=place(stop))
            run_search(stopped, read_study(search.folder))
    return run_search(search, read_study(search.folder) if stops else study)


@pytest.mark.parametrize("size", [1, 3])
def test_a_search_that_was_stopped_anywhere_ends_as_an_undisturbed_one(searching, size):
    whole = searched(searching, study(searching, round=size))
    assert len(whole.trials) == 16 and {t.state for t in whole.trials} == {DONE, PRUNED}
    assert read_study(searching.folder) == whole
    for stops in ([0], [1], [4, 0, 3], [7, 7], [2] * 5):
        study(searching, round=size)
        assert searched(searching, None, stops) == whole


def test_in_which_order_the_trials_of_a_round_end_changes_nothing(searching):
    whole = searched(searching, study(searching, round=4))
    turned = dataclasses.replace(searching, place=place(order=-1))
    assert searched(turned, study(searching, round=4)) == whole


def test_a_search_may_be_made_longer(searching):
    whole = searched(searching, study(searching, round=4))
    short = searched(searching, study(searching, round=4, number=6))
    assert len(short.trials) == 6 and short.trials == whole.trials[:6]
    assert run_search(searching, dataclasses.replace(short, number=16)) == whole


def test_the_recipe_as_it_is_comes_first_and_is_never_pruned(searching, capsys):
    whole = searched(searching, study(searching))
    assert whole.trials[0].settings == {"lr": 0.3, "drop_rate": 0.0}
    assert whole.trials[0].state == DONE
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("trial ")]
    assert "more for the trials" in out
    assert len(lines) == 16 and "as it is" in lines[0] and "best so far" in lines[0]
    assert sum("pruned on fold 0, epoch 3" in line for line in lines) > 2
    job = searching.job(whole, whole.trials[0])
    assert job.arguments[1] == [None] and job.arguments[0][0].runs == searching.runs


def test_without_pruning_every_trial_is_trained_to_its_end(searching):
    whole = searched(searching, study(searching, prune=False))
    assert {trial.state for trial in whole.trials} == {DONE}


def test_only_the_best_trial_keeps_its_weights(searching):
    whole = searched(searching, study(searching))
    best = whole.best(1).number
    assert best > 0
    for trial in whole.trials:
        (files,) = (fold.files for fold in searching.folds(whole, trial, (0,)))
        assert files.metrics.exists()
        kept = trial.number in (0, best)
        assert {path.exists() for path in (files.best, files.oof, files.last)} == {kept}


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(searching, capsys):
    diverged = dataclasses.replace(
        searching, place=place(third=Outcome(FAILED, note="not finite; do"))
    )
    whole = searched(diverged, study(searching))
    assert whole.trials[2].state == FAILED and whole.trials[2].note == "not finite; do"
    assert len(whole.trials) == 16
    assert "failed (not finite)" in capsys.readouterr().out


def test_an_error_of_a_job_ends_the_search_and_is_not_recorded(searching):
    for error in (KitError("the disk is full"), LoggedError("a bug")):
        with pytest.raises(type(error)):
            searched(dataclasses.replace(searching, place=place(third=error)), study(searching))
        now = read_study(searching.folder)
        assert [trial.number for trial in now.asked] == [2]
    assert len(searched(searching, now).trials) == 16


def test_the_recipe_as_it_is_must_not_fail(searching):
    def run(jobs):
        yield Ended(jobs[0], Outcome(FAILED, note="not finite"))

    with pytest.raises(KitError, match="not finite"):
        searched(dataclasses.replace(searching, place=Place(run)), study(searching))


def test_trials_elsewhere_have_absolute_paths_and_the_place_s_device(searching, monkeypatch):
    monkeypatch.chdir(searching.runs.parent)
    near = dataclasses.replace(searching, folder=Path("study"), runs=Path("runs"))
    asked = ask_round(near, study(near))
    here = near.job(asked, asked.trials[0])
    aside = dataclasses.replace(near, place=Place(run_logged, "cuda", "side by side"))
    there = aside.job(asked, asked.trials[0])
    assert not here.arguments[0][0].runs.is_absolute() and here.log == there.log
    (fold,) = there.arguments[0]
    assert fold.runs == searching.runs and fold.options.compute.device == "cuda"
    assert fold.options.lock_seconds > 0 and there.log.is_absolute()


def test_jobs_here_print_into_their_logs(tmp_path, capsys):
    jobs = [Job(name, print, (name,), tmp_path / name / "log.txt") for name in "ab"]
    for _ in range(2):
        for ended in run_logged(jobs):
            print(f"ended {ended.job.name}")
    assert (tmp_path / "a" / "log.txt").read_text() == "a\na\n"
    assert capsys.readouterr().out == "ended a\nended b\n" * 2
