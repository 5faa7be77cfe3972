"""The search: trials in rounds, each of which knows the results of the rounds before."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.metrics.metric import Metric, metric_of
from kit.results.run import score_column
from kit.scale.job import Ended, Job, Runner, run_here
from kit.system.errors import KitError
from kit.training.job import TrainOptions
from kit.tuning.pruning import MedianRule, medians
from kit.tuning.sampler import propose
from kit.tuning.show import say_trial
from kit.tuning.space import Space
from kit.tuning.study import DONE, FAILED, PRUNED, Study, Trial, write_study
from kit.tuning.trial import Outcome, Training, run_trial


@dataclass(frozen=True)
class Search:
    """Where and how the trials of a study are trained, in a `folder` of its own.

    The recipe as it was is trained in its run, in `runs`: what is trained there is used.
    """

    folder: Path
    space: Space
    plan: Plan
    data: DataFolder
    runs: Path
    options: TrainOptions
    runner: Runner

    @cached_property
    def metric(self) -> Metric:
        """The competition's metric."""
        return metric_of(self.plan.competition)

    def training(self, study: Study, trial: Trial, folds: Sequence[int]) -> Training:
        """The training of a trial on some folds."""
        recipe, runs = self.space.recipe, self.runs
        if trial.number:
            recipe, runs = self.space.variant(study.name, trial.settings), self.folder_of(trial)
        return Training(recipe, self.plan, self.data, tuple(folds), runs, self.options)

    def folder_of(self, trial: Trial) -> Path:
        """The folder of a trial; its run lies within."""
        return self.folder / f"t{trial.number:03d}"

    def job(self, study: Study, trial: Trial) -> Job:
        """The job of a trial: to train it on the search folds, and to score it."""
        training = self.training(study, trial, study.search_folds)
        rules: list[MedianRule | None] = [None] * len(study.search_folds)
        if study.prune and trial.number:
            column, sign = score_column(self.metric), self.metric.sign
            told, epochs = study.before_round(trial.number), training.recipe.epochs
            rules = [
                MedianRule(column, sign, medians(told, part), epochs) for part in range(len(rules))
            ]
        name = f"{study.name}/{self.folder_of(trial).name}"
        return Job(name, run_trial, (training, rules), self.folder_of(trial) / "log.txt")


def search(place: Search, study: Study) -> Study:
    """Try settings until the study has as many trials as are wanted, or all were tried.

    The record is written whenever a trial is asked or has ended. A trial that was asked when the
    process was killed is trained on, with the settings that it was asked with.
    """
    while True:
        if not study.asked:
            study = ask_round(place, study)
            if not study.asked:
                return study
            write_study(place.folder, study)
        study = run_round(place, study)


def ask_round(place: Search, study: Study) -> Study:
    """The study with the trials of the next round; with none if it is at its end."""
    trials = list(study.trials)
    end = min(study.number, (len(trials) // study.round + 1) * study.round)
    for number in range(len(trials), end):
        settings = place.space.settings
        if number:
            told = study.before_round(number)
            chosen = propose(place.space, study.seed, number, told, trials, place.metric.sign)
            if chosen is None:
                break
            settings = chosen
        trials.append(Trial(number, settings))
    return dataclasses.replace(study, trials=tuple(trials))


def run_round(place: Search, study: Study) -> Study:
    """Train the trials that were asked; the study with their results, which are recorded."""
    trials = {place.job(study, trial).name: trial for trial in study.asked}
    for ended in place.runner([place.job(study, trial) for trial in trials.values()]):
        trial = _result(trials[ended.job.name], ended)
        study = study.ended(trial)
        write_study(place.folder, study)
        say_trial(study, trial, place.metric)
        remove_weights(place, study)
    return study


def _result(trial: Trial, ended: Ended) -> Trial:
    """A trial with what came of it, also a loss that is not finite, or too large a batch.

    Raises other errors: those of the recipe as it was, of the disk, of a lock, and bugs.
    """
    if (error := ended.error) is not None:
        of_system = isinstance(error.__cause__ or error.__context__, OSError)
        if trial.number == 0 or of_system or not isinstance(error, KitError):
            raise error
        return dataclasses.replace(trial, state=FAILED, note=f"({error})")
    outcome: Outcome = ended.result
    state, score, note = DONE, outcome.score, outcome.note
    if score is None:
        state = PRUNED
    elif not np.isfinite(score):
        state, score, note = FAILED, None, "(the photos of the search folds have no score)"
    return dataclasses.replace(trial, state=state, score=score, curves=outcome.curves, note=note)


def remove_weights(place: Search, study: Study) -> None:
    """Remove weights and probabilities of trials that have ended, but of the best one so far."""
    best = study.best(place.metric.sign).number if study.done else 0
    for trial in study.trials:
        if trial.number not in (0, best) and trial not in study.asked:
            training = place.training(study, trial, study.search_folds)
            for files in (training.files(fold) for fold in training.folds):
                for path in (files.last, files.best, files.oof):
                    path.unlink(missing_ok=True)


def run_logged(jobs: Sequence[Job]) -> Iterator[Ended]:
    """Run jobs one after another in this process, with what they print in their logs."""
    for job in jobs:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with open(job.log, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            ended = list(run_here([job]))
        yield from ended
