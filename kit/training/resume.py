"""The state that an interrupted training goes on from."""

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from kit.data.recorded import recorded_competition, same_competition
from kit.metrics.metric import metric_of
from kit.models.checkpoint import read_checkpoint_info
from kit.models.metadata import recorded_recipe
from kit.results.run import read_metrics
from kit.system.console import warn
from kit.system.device import kind_of
from kit.system.disk import atomic_write
from kit.system.errors import KitError, is_unreadable, problem, unreadable
from kit.system.precision import precision_name
from kit.system.versions import check_pixels, warn_versions
from kit.training.history import History, Row
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.oof import rebuild_oof
from kit.training.state import check_rows, check_state

# The form of `last.pt`, and what its numbers mean: raise it when a training of before cannot go on
# to the same weights.
STATE_VERSION: Final = 1
_ANEW: Final = "train the fold again with --force"


def save_state(path: Path, state: dict[str, Any], before: Callable[[], None] | None = None) -> None:
    """Write `last.pt`, in place of the file before it, with its SHA-256 at its end.

    It holds nested plain types and tensors. `before` is called when all is written and not yet in
    place.
    """
    content = io.BytesIO()  # torch's own writer hides a full disk in a RuntimeError
    torch.save(state, content)
    with atomic_write(path, force=True) as temporary, open(temporary, "wb") as file:
        file.write(content.getbuffer())
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.flush()
        if before is not None:
            before()


def load_state(path: Path, remedy: str = _ANEW) -> dict[str, Any]:
    """Read `last.pt`, on the CPU and without running anything in it.

    `remedy` is that of a damaged file.
    """
    try:
        content = path.read_bytes()
        if (
            hashlib.sha256(memoryview(content)[:-32]).digest() != content[-32:]
        ):  # torch does not look
            raise ValueError("the file is damaged")
        state: dict[str, Any] = torch.load(
            io.BytesIO(content[:-32]), map_location="cpu", weights_only=True
        )
        if state.get("version") != STATE_VERSION:
            raise problem(
                path,
                "was written by another version of the kit",
                remedy="finish the fold with that version, or train it again with --force",
            )
        check_state(state)
    except KitError:
        raise
    except Exception as error:
        if is_unreadable(error):
            raise unreadable(path, error) from error
        raise problem(
            path,
            f"cannot be continued from ({type(error).__name__}: {str(error)[:120]})",
            remedy=remedy,
        ) from error
    check_pixels(path, state["versions"])
    return state


@dataclass(frozen=True)
class ResumeStatus:
    """What a fold's folder holds: a `state` to go on from, a `finished` training, or neither.

    `finished` is the training's history.
    """

    state: dict[str, Any] | None = None
    finished: History | None = None

    @property
    def fresh(self) -> bool:
        """True if a training starts from the beginning."""
        return self.state is None and self.finished is None


def resume_status(job: FoldJob) -> ResumeStatus:
    """The status of a fold's folder.

    `last.pt` is written before an epoch's other files and removed after the last one's: if it
    exists, the fold is not finished. Raises `KitError` if the fold was trained with another recipe,
    plan or fold, with the difference, or if one of its files has gone.
    """
    files, recipe = job.files, job.recipe
    if files.last.exists():
        state = load_state(files.last, _without_state(job))
        recipe_then = recorded_recipe(json.loads(state["recipe"]))
        _check_origin(job, recipe_then, state["plan"], state["fold"])
        return ResumeStatus(state=state)
    if not files.best.exists():
        return ResumeStatus()
    info = read_checkpoint_info(files.best)
    _check_origin(job, info.recipe, info.plan, info.fold)
    if not same_competition(recorded_competition(info.competition), job.competition):
        what = "was trained for another competition than the fold plan's"
        remedy = "name its plan with --plan, or --force to train it anew"
        raise problem(files.folder, what, remedy=remedy)
    history = History(recipe, metric_of(job.competition), read_metrics(files.metrics, job.origin))
    if not history.finished:
        raise problem(
            files.folder,
            f"has metrics of {len(history.rows)} of {recipe.epochs} epochs, and no last.pt to go "
            "on from",
            remedy="--force to train it anew",
        )
    return ResumeStatus(finished=history)


def _without_state(job: FoldJob) -> str:
    """What to do where `last.pt` is damaged; the checkpoint beside it is not lost by that."""
    files = job.files
    with contextlib.suppress(KitError):
        rows = read_metrics(files.metrics, job.origin)
        if History(job.recipe, metric_of(job.competition), rows).finished and files.best.exists():
            return "delete it: all epochs have ended"
    again = f"train the fold again with --fold {job.fold} --force"
    return f"{again}; until then kit.ensemble takes {files.best}" if files.best.exists() else again


def _check_origin(job: FoldJob, recipe: dict[str, Any], plan: str, fold: int) -> None:
    """Raise `KitError` unless a recipe and a plan's hash are those of the job."""
    folder, described = job.files.folder, job.recipe.describe()
    differences = _differences(recipe, described)
    if differences or plan != job.plan.hash:
        other = "recipe" if differences else "fold plan"
        remedy = "give the recipe another name, or --force to train it anew"
        raise problem(folder, f"was trained with another {other}", differences, remedy)
    if fold != job.fold:
        raise problem(
            folder,
            f"holds files of fold {fold}",
            remedy="move them back, or --force to train it anew",
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each field in which two recipes, as described, differ."""
    lines = []
    for key in now | before:
        if before.get(key) != now.get(key):
            line = f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
            lines.append(line if len(line) < 150 else f"{key} was another")
    return lines


@dataclass
class TrainingState:
    """How far a fold's training is: whole epochs as `rows`, and the current epoch so far.

    Of the current one it has the steps, the loss and the seconds.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0

    @property
    def position(self) -> dict[str, Any]:
        """The fields of the state as `last.pt` has them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def end_epoch(self, row: Row) -> None:
        """Count the current epoch as a whole one, and begin another."""
        self.rows.append(row)
        self.step, self.loss, self.seconds, self.waited = 0, 0.0, 0.0, 0.0


def restore(job: FoldJob, learner: Learner, state: dict[str, Any]) -> TrainingState:
    """Give the weights of a saved `state` to `learner`; the training's position.

    The out-of-fold probabilities of the kept epoch are made again if they are gone. Raises
    `KitError` if its checkpoint is gone, or if the state does not fit the network.
    """
    files = job.files
    warn_versions(files.last, state["versions"], training=True)
    _warn_rounding(job, learner, state)
    if files.epochs and not job.options.keep_epochs:
        warn(
            f"{files.folder}: --keep-epochs was given before and is not now: the epochs from here "
            "on are not kept"
        )
    try:
        learner.restore(state["learner"])
        check_rows(state["rows"], metric_of(job.competition))
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise problem(
            files.last,
            f"does not fit the recipe's network and optimizer ({str(error)[:120]})",
            remedy="train with the versions of torch and timm it was made with, or anew with "
            "--force",
        ) from error
    reached = TrainingState(**{f.name: state[f.name] for f in dataclasses.fields(TrainingState)})
    if reached.rows:
        selected = History(job.recipe, metric_of(job.competition), reached.rows).selected
        # If an epoch has just ended, the trainer makes its files itself. The last one's, where that
        # is kept, are replaced by the epoch that is under way.
        ended = selected is reached.rows[-1] and not reached.step
        if job.group.leads and job.recipe.select == "best" and not ended:
            rebuild_oof(job, selected)
    return reached


def _warn_rounding(job: FoldJob, learner: Learner, state: dict[str, Any]) -> None:
    """Warn if a training goes on in another precision, or on another kind of device."""
    before = f"{state['precision']} on {state['device']}"
    now = f"{precision_name(learner.precision)} on {kind_of(job.device)}"
    if before != now:
        warn(
            f"{job.files.folder}: began in {before} and goes on in {now}: its sums are rounded "
            "otherwise"
        )
