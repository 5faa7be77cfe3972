"""Train the folds of runs: one after another here, or as jobs elsewhere."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kit.data.folder import DataFolder, check_data
from kit.data.plan import Plan
from kit.recipe import Recipe
from kit.scale.job import Ended, Job, Place, Shared, run_here
from kit.scoring.metrics import Scores
from kit.system.console import say, warn
from kit.system.errors import KitError, loader_killed, problem
from kit.system.fence import owned
from kit.system.locks import lock_folder
from kit.system.profiler import profiled
from kit.system.threads import count_training
from kit.training.fold import train_fold
from kit.training.job import FoldJob, TrainOptions
from kit.training.memory import explain_out_of_memory
from kit.training.resume import resume_status
from kit.training.trackers import TrackerError

# How long a job elsewhere waits for the lock of a lost machine, which a file server keeps.
_LOCK_SECONDS: Final = 180
# Where ImageNet weights are kept, and how epochs are tracked.
_VARIABLES: Final = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TORCH_HOME",
    "WANDB_MODE",
    "WANDB_PROJECT",
)


def chosen_folds(text: str, k: int, option: str = "--fold") -> list[int]:
    """The folds that an option names: `all`, one number, or several with commas."""
    if text == "all":
        return list(range(k))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise KitError(
            f"{option} {text}: the plan has the folds 0 to {k - 1}; take one, some as 0,2, or all"
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
    `<recipe>-limit<limit>`. Raises the first fold's error when all have been trained.
    """
    ended = train_folds(fold_jobs([recipe], plan, data, folds, runs, options))
    for one in ended:
        if one.error is not None:
            raise one.error
    return [one.result for one in ended]


def fold_jobs(
    recipes: Sequence[Recipe],
    plan: Plan,
    data: DataFolder,
    folds: Sequence[int],
    runs: Path,
    options: TrainOptions,
) -> list[FoldJob]:
    """The folds of recipes, ready to be trained, recipe by recipe.

    Warns of settings that change nothing. Raises `KitError` for other photos than the plan's, for
    two recipes of one name, for what a fold's folder holds that cannot be gone on with, and with
    `resume` if there is nothing to go on with.
    """
    check_data(data, plan)
    names = [recipe.name for recipe in recipes]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise KitError(f"recipe {twice[0]}: is named twice, for one run; name each once")
    if options.limit:
        recipes = [
            dataclasses.replace(recipe, name=f"{recipe.name}-limit{options.limit}")
            for recipe in recipes
        ]
    for recipe in recipes:
        for line in recipe.idle:
            warn(f"recipe {recipe.name}: {line}")
    cases = [(recipe, fold) for recipe in recipes for fold in folds]
    jobs = [
        # A tracker that does not start stops the first fold, before anything is trained.
        FoldJob(recipe, plan, data, fold, runs, dataclasses.replace(options, must_track=n == 0))
        for n, (recipe, fold) in enumerate(cases)
    ]
    if not options.force:
        _check_jobs(jobs)
    return jobs


def _check_jobs(jobs: Sequence[FoldJob]) -> None:
    """Raise now what would otherwise be raised only after the folds before.

    With `resume`, raises `KitError` as well if no fold has anything to go on from.
    """
    statuses = [resume_status(job) for job in jobs]
    if jobs[0].options.resume and all(status.state is None for status in statuses):
        names = dict.fromkeys(job.recipe.name for job in jobs)
        raise problem(
            jobs[0].runs / next(iter(names)) if len(names) == 1 else jobs[0].runs,
            "there is no unfinished training to resume",
            remedy="start it without --resume",
        )


def describe_folds(folds: Sequence[FoldJob]) -> str:
    """How many folds of how many recipes there are, in words."""
    number, recipes = len(folds), len({fold.recipe.name for fold in folds})
    return f"{number} fold{'s'[: number != 1]} of {recipes} recipe{'s'[: recipes != 1]}"


def shared_files(folds: Sequence[FoldJob], plan: Path) -> Shared:
    """What machines that train folds of a plan must see."""
    data, read = folds[0].data, {plan.absolute(), folds[0].data.root.absolute()}
    if data.train_table.is_file():  # else it is a pattern
        read.add(data.train_table.absolute())
    read.update(path for fold in folds if (path := fold.placed().options.weights) is not None)
    return Shared(tuple(sorted(read)), folds[0].runs.absolute(), _VARIABLES)


def train_folds(folds: Sequence[FoldJob], place: Place = Place(run_here)) -> list[Ended]:
    """Train folds at a place; how each of them has ended, in their order.

    The result of one is the scores of the epoch that it keeps. An error ends its own fold alone, if
    it is none of a tracker's start or of a group. With `force`, what another attempt of this call
    has already trained is gone on with.
    """
    jobs = [_job(fold, place) for fold in folds]
    ended: dict[str, Ended] = {}
    try:
        with contextlib.closing(place.run(jobs)) as running:
            for one in running:
                ended[one.job.name] = one
                if one.error and (folds[0].group.size > 1 or isinstance(one.error, TrackerError)):
                    raise one.error
                if place.title:
                    say(_describe_end(one))
    except KeyboardInterrupt:
        left = [(fold, job) for fold, job in zip(folds, jobs) if job.name not in ended]
        if left:
            warn(advice([(fold, job.arguments[1]) for fold, job in left]))
        raise
    return [ended[fold.name] for fold in folds]


def at_place(fold: FoldJob, place: Place) -> FoldJob:
    """The fold as it is trained at a place: elsewhere on its device, with absolute paths.

    There it waits for the lock of a lost machine.
    """
    if not place.title:
        return fold
    compute = dataclasses.replace(fold.options.compute, device=place.device)
    options = dataclasses.replace(fold.options, compute=compute, lock_seconds=_LOCK_SECONDS)
    return dataclasses.replace(fold, options=options).placed()


def _job(fold: FoldJob, place: Place) -> Job:
    """The training of a fold as a job for a place."""
    stamp, placed = fold.files.stamp, at_place(fold, place)
    return Job(fold.name, train_alone, (placed, stamp), placed.files.log)


def _describe_end(ended: Ended) -> str:
    """The line that tells of a fold that has ended elsewhere."""
    name = ended.job.name
    if ended.error is not None:
        return f"failed    {name}: " + f"{ended.error}".removeprefix(f"{name}: ")
    return f"finished  {name}: {ended.result.line()}"


@contextlib.contextmanager
def _kept_apart(job: FoldJob) -> Iterator[None]:
    """Keep other trainings from the fold in the block; process 0 of a group does it for all."""
    if not job.group.leads:
        yield
        return
    folder = job.files.folder
    with lock_folder(folder, seconds=job.options.lock_seconds), owned(folder):
        yield


def train_alone(job: FoldJob, stamp: str) -> Scores:
    """Train a fold by this process alone; its scores. Errors of memory are explained.

    With `force` it replaces the files of `stamp`, which were there before; others are of an earlier
    attempt, and are gone on with.
    """
    folder, profile = job.files.folder, job.options.profile and job.group.leads
    try:
        with (
            count_training(),
            _kept_apart(job),
            explain_out_of_memory(job.recipe, job.competition, job.device),
            profiled(job.device if profile else None, folder / "profile"),
        ):
            if job.options.force and job.files.stamp != stamp:
                job = dataclasses.replace(
                    job, options=dataclasses.replace(job.options, force=False)
                )
            return train_fold(job)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise loader_killed() from error


def advice(left: Sequence[tuple[FoldJob, str]]) -> str:
    """The next command after a stop before these folds ended; each with its stamp of before."""
    begun = [
        fold
        for fold, stamp in left
        if fold.files.last.exists() and not (fold.options.force and fold.files.stamp == stamp)
    ]
    if not begun:
        fold = left[0][0].fold
        return f"stopped before the first save of fold {fold}; the same command starts it again"
    if not begun[0].options.force:
        return "stopped; the same command goes on from here"
    rest = _by_recipe([fold for fold, _ in left if not any(fold is one for one in begun)])
    return f"stopped; without --force {_by_recipe(begun)} goes on from here" + (
        f", and with it {rest} is trained anew" if rest else ""
    )


def _by_recipe(folds: Sequence[FoldJob]) -> str:
    """The folds of recipes as a command line names them."""
    numbers: dict[str, list[str]] = {}
    for fold in folds:
        numbers.setdefault(fold.recipe.name, []).append(str(fold.fold))
    return " and ".join(f"{name} --fold {','.join(some)}" for name, some in numbers.items())
