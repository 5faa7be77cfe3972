"""The search: trials in rounds, each of which knows the results of the rounds before."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.metrics.metric import Metric, metric_of
from kit.results.run import score_column
from kit.scale.job import Ended, Job, Place, raise_errors, run_here
from kit.system.console import say
from kit.system.disk import check_writable, refuse_existing, remove
from kit.system.durable import make_folder, sync_folder
from kit.system.errors import KitError, problem
from kit.training.job import FoldJob, TrainOptions
from kit.training.run import at_place
from kit.tuning.pruning import MedianRule, medians
from kit.tuning.sampler import propose
from kit.tuning.show import say_time_left, say_trial
from kit.tuning.space import Space
from kit.tuning.study import FAILED, Study, Trial, check_same, read_study, study_path, write_study
from kit.tuning.trial import Outcome, run_trial


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
    place: Place

    @cached_property
    def metric(self) -> Metric:
        """The competition's metric."""
        return metric_of(self.plan.competition)

    def folds(self, study: Study, trial: Trial, numbers: Sequence[int]) -> list[FoldJob]:
        """The folds of a trial, to be trained."""
        recipe, runs = self.space.recipe, self.runs
        if trial.number:
            recipe, runs = self.space.variant(study.name, trial.settings), self.folder_of(trial)
        return [FoldJob(recipe, self.plan, self.data, n, runs, self.options) for n in numbers]

    def folder_of(self, trial: Trial) -> Path:
        """The folder of a trial; its run lies within."""
        return self.folder / f"t{trial.number:03d}"

    def job(self, study: Study, trial: Trial) -> Job:
        """The job of a trial: to train it on the search folds, and to score it."""
        folds = [
            at_place(fold, self.place) for fold in self.folds(study, trial, study.search_folds)
        ]
        rules: list[MedianRule | None] = [None] * len(folds)
        if study.prune and trial.number:
            column, sign = score_column(self.metric), self.metric.sign
            told, epochs = study.before_round(trial.number), folds[0].recipe.epochs
            rules = [
                MedianRule(column, sign, medians(told, part), epochs) for part in range(len(folds))
            ]
        log = self.folder_of(trial).absolute() / "log.txt"
        return Job(f"trial {trial.number}", run_trial, (folds, rules), log)


def begin(search: Search, asked: Study, out: Path) -> Study:
    """The study to go on with, or, if it replaces others, the one that was asked, from its start.

    Raises `KitError` if a record is of another study, or if what it will write to `out` is there.
    """
    record = study_path(search.folder)
    if record.exists() and not asked.replaces:
        study = read_study(search.folder)
        check_same(search.folder, study, asked)
        _check_settings(search, study)
        study = dataclasses.replace(study, number=max(asked.number, len(study.trials)))
        ended = len(study.trials) - len(study.asked)
        place = f"going on after {ended} of {study.number} trials"
        if study.confirmation is not None:
            place = "the search has ended, and nothing is trained; --force searches anew"
        say(f"{search.folder}: {place}")
        return study
    if not asked.replaces:
        refuse_existing(out, search.runs / asked.name)
    check_writable(out)
    remove(record)
    for folder in search.folder.glob("t[0-9]*"):
        shutil.rmtree(folder)
    sync_folder(search.folder)  # no folder of before comes back beside the new record
    write_study(search.folder, asked)
    say(
        f"{search.folder}: {asked.number} trials of {', '.join(asked.space)}; the best one is then "
        f"trained on {len(asked.confirm_folds)} other folds, and the recipe as it is as well"
    )
    return asked


def _check_settings(search: Search, study: Study) -> None:
    """Raise `KitError` for settings outside of the space: the best ones become code of a recipe."""
    own, space = search.space.settings, search.space
    wrong = [
        trial.number
        for trial in study.trials
        if trial.settings.keys() != own.keys()
        or not (trial.settings == own if trial.number == 0 else space.has(trial.settings))
    ]
    if wrong:
        what = "has trials of settings that are not asked for"
        remedy = "search under another name with --out, or anew with --force"
        raise problem(study_path(search.folder), what, wrong, remedy)


def run_search(search: Search, study: Study) -> Study:
    """Try settings until the study has as many trials as are wanted, or all were tried.

    The record is written whenever trials are asked, and whenever one has ended. One that was asked
    when the process was killed is trained on, with the settings that it was asked with. The first
    round with a variant tells how long the rest may take.
    """
    estimated = False
    while True:
        if not study.asked:
            study = ask_round(search, study)
            if not study.asked:
                return study
            write_study(search.folder, study)
        started = time.monotonic()
        study = run_round(search, study)
        if not estimated and 1 < len(study.trials) < study.number:
            estimated = True
            say_time_left(study, time.monotonic() - started, search.place.slots)


def ask_round(search: Search, study: Study) -> Study:
    """The study with the trials of the next round; with none if it is at its end."""
    trials = list(study.trials)
    end = min(study.number, (len(trials) // study.round + 1) * study.round)
    for number in range(len(trials), end):
        settings = search.space.settings
        if number:
            told, sign = study.before_round(number), search.metric.sign
            chosen = propose(search.space, study.seed, number, told, trials, sign)
            if chosen is None:
                break
            settings = chosen
        trials.append(Trial(number, settings))
    return dataclasses.replace(study, trials=tuple(trials))


def run_round(search: Search, study: Study) -> Study:
    """Train the trials that were asked; the study with their results, which are recorded."""
    jobs = {trial.number: search.job(study, trial) for trial in study.asked}
    trials = {jobs[trial.number].name: trial for trial in study.asked}
    with contextlib.closing(search.place.run(list(jobs.values()))) as running:
        for ended in running:
            trial = _result(trials[ended.job.name], ended)
            study = study.ended(trial)
            write_study(search.folder, study)
            say_trial(study, trial, search.metric)
            remove_weights(search, study)
    return study


def _result(trial: Trial, ended: Ended) -> Trial:
    """A trial with its outcome; raises the error of its job, and of the recipe as it was."""
    raise_errors([ended])
    outcome: Outcome = ended.result
    if trial.number == 0 and outcome.state == FAILED:
        raise KitError(outcome.note)
    return dataclasses.replace(
        trial, state=outcome.state, score=outcome.score, curves=outcome.curves, note=outcome.note
    )


def remove_weights(search: Search, study: Study) -> None:
    """Remove weights and probabilities of trials that have ended, but of the best one so far."""
    best = study.best(search.metric.sign).number if study.done else 0
    for trial in study.trials:
        if trial.number not in (0, best) and trial not in study.asked:
            for fold in search.folds(study, trial, study.search_folds):
                remove(fold.files.last, fold.files.best, fold.files.oof)


def run_logged(jobs: Sequence[Job]) -> Generator[Ended, None, None]:
    """Run jobs one after another in this process, with what they print in their logs."""
    for job in jobs:
        make_folder(job.log.parent)
        with open(job.log, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            ended = list(run_here([job]))
        yield from ended
