"""What an interrupted training goes on from."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kit.data.plan import Plan
from kit.models.checkpoint import _check_versions, read_checkpoint_info
from kit.recipe import Recipe
from kit.results.run import Fold, read_metrics
from kit.system.disk import atomic_write
from kit.system.errors import problem
from kit.system.versions import check_pixels
from kit.training.history import is_finished

# What `last.pt` holds: whose it is, where it stands, and what the training has changed.
_STATE = (
    "recipe",
    "plan",
    "fold",
    "rows",
    "step",
    "loss",
    "seconds",
    "waited",
    "learner",
    "versions",
    "threads",
)


def save_state(path: Path, state: dict[str, Any], before: Callable[[], None] | None = None) -> None:
    """Write `last.pt`: nested plain types and tensors, in place of the file before it, and the
    SHA-256 of it all at its end.

    `before` is called when all is written and not yet in place.
    """
    content = io.BytesIO()  # torch's own writer hides a full disk in a RuntimeError
    torch.save(state, content)
    with atomic_write(path, force=True) as temporary, open(temporary, "wb") as file:
        file.write(content.getbuffer())
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.flush()
        if before is not None:
            before()


def load_state(path: Path) -> dict[str, Any]:
    """Read `last.pt`, on the CPU and without running anything in it."""
    try:
        content = path.read_bytes()
        if (
            hashlib.sha256(memoryview(content)[:-32]).digest() != content[-32:]
        ):  # torch does not look
            raise ValueError("the file is damaged")
        state: dict[str, Any] = torch.load(
            io.BytesIO(content[:-32]), map_location="cpu", weights_only=True
        )
        lacking = set(_STATE) - state.keys()
        if lacking:
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
        json.loads(state["recipe"])
        _check_versions(state["versions"])
    except Exception as error:
        raise problem(
            path,
            f"cannot be continued from ({type(error).__name__}: {str(error)[:120]})",
            remedy="train the fold again with --force",
        ) from error
    check_pixels(path, state["versions"])
    return state


def resume_state(recipe: Recipe, plan: Plan, fold: int, files: Fold) -> dict[str, Any] | None:
    """What a fold's folder holds: None if nothing to continue from, `{}` if it is finished, else
    the state to go on from.

    `last.pt` is written before an epoch's other files and removed after the last one's: where it
    is, the fold is not finished. Raises `KitError` if the fold was trained with another recipe,
    plan or fold, with the difference, or if a file of it has gone.
    """
    if files.last.exists():
        state = load_state(files.last)
        theirs, plan_hash, its_fold = json.loads(state["recipe"]), state["plan"], state["fold"]
    elif files.best.exists():
        card = read_checkpoint_info(files.best)
        state, theirs, plan_hash, its_fold = {}, card.recipe, card.plan, card.fold
    else:
        return None
    ours = recipe.describe()
    differ = [
        f"{key} was {theirs.get(key)!r}, is {ours.get(key)!r}"
        for key in ours | theirs
        if theirs.get(key) != ours.get(key)
    ]
    differ = [
        line if len(line) < 150 else f"{line.split(' was ')[0]} was another" for line in differ
    ]
    if differ or plan_hash != plan.hash:
        raise problem(
            files.folder,
            "was trained with another " + (f"recipe: {differ[0]}" if differ else "fold plan"),
            differ if len(differ) > 1 else (),
            "give the recipe another name, or --force to train it anew",
        )
    if its_fold != fold:
        raise problem(
            files.folder,
            f"holds files of fold {its_fold}",
            remedy="move them back, or --force to train it anew",
        )
    if state:
        return state
    rows = read_metrics(files.metrics)
    if not is_finished(recipe, rows):
        raise problem(
            files.folder,
            f"has metrics of {len(rows)} of {recipe.epochs} epochs, and no last.pt to go on from",
            remedy="--force to train it anew",
        )
    return state


@dataclass
class TrainingState:
    """How far a fold's training is: whole epochs as `rows`, and the current one's steps, loss and
    seconds so far.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
