"""The search: rounds, a stop at any moment, failures, and what is left on the disk.

Trials are not trained: their scores are made of their settings.
"""

import dataclasses
import math

import pytest
from helpers import small
from trainings import on_cpu

from kit.results.run import Fold
from kit.scale.job import Ended, Job
from kit.system.errors import KitError
from kit.tuning.search import Search, run_logged, search
from kit.tuning.space import read_space
from kit.tuning.study import DONE, FAILED, PRUNED, Study, read_study, write_study
from kit.tuning.trial import Outcome

pytest.importorskip("optuna")


class Stopped(BaseException):
    """A kill, for the test."""


def outcome(job):
    """A trial's score is best at lr=.01; one whose rule prunes it has no score."""
    training, rules = job.arguments
    score = -abs(math.log10(training.recipe.lr) + 2)
    curve = tuple(score - 1 / epoch for epoch in range(1, training.recipe.epochs + 1))
    rule = rules[0]
    if rule is not None and len(rule.medians) > 2 and curve[2] < rule.medians[2]:
        return Outcome(None, (curve[:3],), "on fold 0, epoch 3")
    return Outcome(score, (curve,))


def runner(stop=math.inf, order=1, error=None):
    """A runner that is stopped after so many jobs; `order` -1 ends the last job first."""
    ended = 0

    def run(jobs):
        nonlocal ended
        for job in list(jobs)[::order]:
            if ended == stop:
                raise Stopped
            ended += 1
            weights = Fold(job.arguments[0].files(0).folder)
            weights.folder.mkdir(parents=True, exist_ok=True)
            for path in (weights.best, weights.oof, weights.last, weights.metrics):
                path.touch()
            failed = error is not None and job.name.endswith("/t002")
            yield Ended(job, error=error) if failed else Ended(job, outcome(job))

    return run


@pytest.fixture
def place(world, tmp_path):
    recipe = small(epochs=6, lr=0.3)
    space = read_space(["lr=1e-5..1:log", "drop_rate=0,.2"], recipe, world.plan.competition)
    folder, runs = tmp_path / "study", tmp_path / "runs"
    folder.mkdir()
    return Search(folder, space, world.plan, world.folder, runs, on_cpu(), runner())


def study(place, **changes):
    fields = {
        "name": "small_tuned", "recipe": {"name": "small"}, "plan": "", "metric": "f1_macro",
        "space": (), "search_folds": (0,), "confirm_folds": (1, 2), "number": 16, "round": 1,
        "seed": 3, "prune": True,
    }  # fmt: skip
    made = Study(**fields | changes)
    write_study(place.folder, made)
    return made


def searched(place, asked, stops=()):
    """The study at its end, where each of `stops` ends the process after so many jobs."""
    for stop in stops:
        with pytest.raises(Stopped):
            search(dataclasses.replace(place, runner=runner(stop)), read_study(place.folder))
    return search(place, read_study(place.folder) if stops else asked)


@pytest.mark.parametrize("size", [1, 3])
def test_a_search_that_was_stopped_anywhere_ends_as_an_undisturbed_one(place, size):
    whole = searched(place, study(place, round=size))
    assert len(whole.trials) == 16 and {t.state for t in whole.trials} == {DONE, PRUNED}
    assert read_study(place.folder) == whole
    for stops in ([0], [1], [4, 0, 3], [7, 7], [2] * 5):
        study(place, round=size)
        assert searched(place, None, stops) == whole


def test_in_which_order_the_trials_of_a_round_end_changes_nothing(place):
    whole = searched(place, study(place, round=4))
    turned = dataclasses.replace(place, runner=runner(order=-1))
    assert searched(turned, study(place, round=4)) == whole


def test_a_search_may_be_made_longer(place):
    whole = searched(place, study(place, round=4))
    short = searched(place, study(place, round=4, number=6))
    assert len(short.trials) == 6 and short.trials == whole.trials[:6]
    assert search(place, dataclasses.replace(short, number=16)) == whole


def test_the_recipe_as_it_is_comes_first_and_is_never_pruned(place, capsys):
    whole = searched(place, study(place))
    assert whole.trials[0].settings == {"lr": 0.3, "drop_rate": 0.0}
    assert whole.trials[0].state == DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 16 and "as it is" in lines[0] and "best so far" in lines[0]
    assert sum("pruned on fold 0, epoch 3" in line for line in lines) > 2
    job = place.job(whole, whole.trials[0])
    assert job.arguments[1] == [None] and job.arguments[0].runs == place.runs


def test_without_pruning_every_trial_is_trained_to_its_end(place):
    whole = searched(place, study(place, prune=False))
    assert {trial.state for trial in whole.trials} == {DONE}


def test_only_the_best_trial_keeps_its_weights(place):
    whole = searched(place, study(place))
    best = whole.best(1).number
    assert best > 0
    for trial in whole.trials:
        files = place.training(whole, trial, (0,)).files(0)
        assert files.metrics.exists()
        kept = trial.number in (0, best)
        assert {path.exists() for path in (files.best, files.oof, files.last)} == {kept}


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(place, capsys):
    diverged = dataclasses.replace(place, runner=runner(error=KitError("not finite")))
    whole = searched(diverged, study(place))
    assert whole.trials[2].state == FAILED and "not finite" in whole.trials[2].note
    assert len(whole.trials) == 16
    assert "failed (not finite)" in capsys.readouterr().out


def test_an_error_of_the_system_ends_the_search_and_is_not_recorded(place):
    full = KitError("the disk is full")
    full.__cause__ = OSError("no space")
    for error in (full, ZeroDivisionError("a bug")):
        with pytest.raises(type(error)):
            searched(dataclasses.replace(place, runner=runner(error=error)), study(place))
        now = read_study(place.folder)
        assert [trial.number for trial in now.asked] == [2]
    assert len(searched(place, now).trials) == 16


def test_a_score_that_is_no_number_is_a_failure(place):
    def run(jobs):
        for job in jobs:
            first = job.name.endswith("/t000")
            yield Ended(job, Outcome(0.5 if first else math.nan, ((0.5,),)))

    whole = searched(dataclasses.replace(place, runner=run), study(place, number=3))
    assert [trial.state for trial in whole.trials] == [DONE, FAILED, FAILED]


def test_jobs_here_print_into_their_logs(tmp_path, capsys):
    jobs = [Job(name, print, (name,), tmp_path / name / "log.txt") for name in "ab"]
    for _ in range(2):
        for ended in run_logged(jobs):
            print(f"ended {ended.job.name}")
    assert (tmp_path / "a" / "log.txt").read_text() == "a\na\n"
    assert capsys.readouterr().out == "ended a\nended b\n" * 2
