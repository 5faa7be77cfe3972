"""Train the folds of a run one after another."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kit.data.folder import DataFolder, check_data
from kit.data.loader import loader_killed
from kit.data.plan import Plan
from kit.recipe import Recipe
from kit.scoring.metrics import Scores
from kit.system.console import warn
from kit.system.errors import KitError, problem
from kit.system.fence import owned
from kit.system.locks import lock_folder
from kit.system.profiler import profiled
from kit.system.threads import count_training
from kit.training.fold import train_fold
from kit.training.job import FoldJob, TrainOptions
from kit.training.memory import explain_out_of_memory
from kit.training.resume import resume_status


def chosen_folds(text: str, k: int) -> list[int]:
    """The folds of `--fold`: `all`, one number, or several with commas."""
    if text == "all":
        return list(range(k))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise KitError(
            f"--fold {text}: the plan has the folds 0 to {k - 1}; take one, several as 0,2, or all"
        )
    return list(dict.fromkeys(map(int, parts)))


def train(
    recipe: Recipe,
    plan: Plan,
    data: DataFolder,
    folds: Sequence[int],
    runs: Path,
    options: TrainOptions = TrainOptions(),
) -> list[Scores]:
    """Train several folds one after another; the scores of the epoch that each of them keeps.

    With `limit` it is a trial on so many photos of each part, in a run of its own,
    `<recipe>-limit<limit>`.
    """
    check_data(data, plan)
    if options.limit:
        recipe = dataclasses.replace(recipe, name=f"{recipe.name}-limit{options.limit}")
    for line in recipe.idle:
        warn(f"recipe {recipe.name}: {line}")
    jobs = [
        # A tracker that does not start stops the first fold, before anything is trained.
        FoldJob(recipe, plan, data, fold, runs, dataclasses.replace(options, must_track=n == 0))
        for n, fold in enumerate(folds)
    ]
    if not options.force:
        _check_jobs(jobs)
    scores = []
    for n, job in enumerate(jobs):
        try:
            scores.append(_train_alone(job))
        except KeyboardInterrupt:
            warn(_advice(job, folds[n + 1 :]))
            raise
    return scores


def _check_jobs(jobs: Sequence[FoldJob]) -> None:
    """Raise now what would otherwise be raised only after the folds before.

    With `resume`, raises `KitError` as well if no fold has anything to go on from.
    """
    statuses = [resume_status(job) for job in jobs]
    if jobs[0].options.resume and all(status.state is None for status in statuses):
        raise problem(
            jobs[0].runs / jobs[0].recipe.name,
            "there is no unfinished training to resume",
            remedy="start it without --resume",
        )


def _train_alone(job: FoldJob) -> Scores:
    """Train a fold by this process alone; its scores. Errors of memory are explained."""
    folder = job.files.folder
    try:
        with (
            count_training(),
            lock_folder(folder, seconds=job.options.lock_seconds),
            owned(folder),
            explain_out_of_memory(job.recipe, job.competition, job.device),
            profiled(job.device if job.options.profile else None, folder / "profile"),
        ):
            return train_fold(job)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise loader_killed() from error


def _advice(job: FoldJob, later: Sequence[int]) -> str:
    """The next command after a training was stopped in a fold, before `later` ones."""
    try:
        begun = resume_status(job).state is not None
    except KitError:
        begun = False  # what is there is of another recipe, and has not been replaced yet
    if not begun:
        return f"stopped before the first save of fold {job.fold}; the same command starts it again"
    if not job.options.force:
        return "stopped; the same command goes on from here"
    rest = ",".join(map(str, later))
    return f"stopped in fold {job.fold}; --fold {job.fold} without --force goes on from here" + (
        f", and --fold {rest} --force trains the rest anew" if rest else ""
    )
