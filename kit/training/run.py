"""Train the folds of a run one after another."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kit.data.folder import check_data
from kit.data.loader import loader_killed
from kit.data.plan import Plan
from kit.recipe import Recipe
from kit.results.run import Fold
from kit.scoring.metrics import Scores
from kit.system.console import warn
from kit.system.device import choose_device
from kit.system.errors import KitError, problem
from kit.system.locks import lock_folder
from kit.system.profiler import profiled
from kit.system.threads import count_training
from kit.training.fold import train_fold
from kit.training.memory import explain_out_of_memory
from kit.training.resume import resume_state


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


def _check_folds(
    recipe: Recipe, plan: Plan, folds: Sequence[int], runs: Path, resume: bool
) -> None:
    """Raise now what would be raised only after the folds before; with `resume`, also where none
    has anything to go on from.
    """
    places = {fold: Fold(runs / recipe.name / f"fold{fold}") for fold in folds}
    states = [resume_state(recipe, plan, fold, files) for fold, files in places.items()]
    if resume and not any(states):
        raise problem(
            runs / recipe.name,
            "there is no unfinished training to resume",
            remedy="start it without --resume",
        )


def train(
    recipe: Recipe,
    plan: Plan,
    data: Path,
    folds: Sequence[int],
    runs: Path,
    device: str | None = None,
    workers: int | None = None,
    force: bool = False,
    limit: int = 0,
    cache: bool = True,
    save_minutes: float = 10,
    track: str | None = None,
    resume: bool = False,
    keep_epochs: int = 0,
    profile: bool = False,
) -> list[Scores]:
    """Train several folds one after another; the scores of the epoch that each one keeps.

    With `limit`, a trial on so many photos of each part, in a run of its own,
    `<recipe>-limit<limit>`. With `profile`, each fold's folder gets a profile of what was done in
    it now.
    """
    check_data(data, plan)
    if limit:
        recipe = dataclasses.replace(recipe, name=f"{recipe.name}-limit{limit}")
    for line in recipe.idle:
        warn(f"recipe {recipe.name}: {line}")
    if not force:
        _check_folds(recipe, plan, folds, runs, resume)
    done = []
    for fold in folds:
        try:
            with (
                count_training(),
                lock_folder(runs / recipe.name / f"fold{fold}"),
                explain_out_of_memory(recipe, choose_device(device)),
            ):
                with profiled(
                    choose_device(device) if profile else None,
                    runs / recipe.name / f"fold{fold}" / "profile",
                ):
                    done.append(
                        train_fold(
                            recipe,
                            plan,
                            data,
                            fold,
                            runs,
                            device,
                            workers,
                            force,
                            limit,
                            runs / "pixels" if cache else None,
                            save_minutes,
                            track,
                            fold == folds[0],
                            keep_epochs,
                        )
                    )
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise loader_killed() from error
        except KeyboardInterrupt:
            warn(_advice(recipe, plan, folds, fold, runs, force))
            raise
    return done


def _advice(
    recipe: Recipe, plan: Plan, folds: Sequence[int], fold: int, runs: Path, force: bool
) -> str:
    """What to do after a training was stopped in a fold."""
    try:
        begun = bool(resume_state(recipe, plan, fold, Fold(runs / recipe.name / f"fold{fold}")))
    except KitError:
        begun = False  # what is there is of another recipe, and has not been replaced yet
    if not begun:
        return f"stopped before the first save of fold {fold}; the same command starts it again"
    if not force:
        return "stopped; the same command goes on from here"
    rest = ",".join(map(str, folds[folds.index(fold) + 1 :]))
    return f"stopped in fold {fold}; --fold {fold} without --force goes on from here" + (
        f", and --fold {rest} --force trains the rest anew" if rest else ""
    )
