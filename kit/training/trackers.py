"""Tracking of training runs by TensorBoard or Weights & Biases: one run a fold, grouped
by recipe.
"""

import netrc
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import wandb
from torch.utils.tensorboard import SummaryWriter

from kit.system.console import warn
from kit.system.errors import KitError

TRACKERS = ("tensorboard", "wandb")


# The names of `metrics.csv`'s columns as scalars.
SCALARS = {
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "val_acc": "val/acc",
    "val_f1_macro": "val/f1_macro",
    "val_f1_mask": "val/f1_mask",
    "val_f1_gender": "val/f1_gender",
    "val_f1_age": "val/f1_age",
    "lr": "lr",
    "time_data": "time/data",
    "time_step": "time/step",
}


_TENSORBOARD = "tensorboard"  # the folder within a fold's


_WANDB_ID = "wandb-id.txt"  # and the file with the run's id


class Tracker(Protocol):
    """Takes rows of `metrics.csv`."""

    def log(self, row: dict[str, Any]) -> None:
        """Send one epoch's row."""

    def close(self) -> None:
        """Send what is left."""


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        self._make, self.kept_path = SummaryWriter, folder / _TENSORBOARD
        self._writer: Any = None

    def log(self, row: dict[str, Any]) -> None:
        if self._writer is None:
            # Event files can only grow: a run that goes on writes its epochs anew, so that none is
            # there twice.
            shutil.rmtree(self.kept_path, ignore_errors=True)
            self._writer = self._make(str(self.kept_path))  # type: ignore[no-untyped-call]
        for column, name in SCALARS.items():
            self._writer.add_scalar(name, row[column], int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Wandb:
    def __init__(self, folder: Path, recipe: dict[str, Any], fold: int, new: bool) -> None:
        # The same id after an interruption, so that what goes on is not another run.
        place = folder / _WANDB_ID
        if new or not place.exists():
            place.write_text(secrets.token_hex(4), encoding="utf-8")
        # Without an account a competitor at night wants the run, not a question: offline, for
        # `wandb sync` later.
        mode = os.environ.get("WANDB_MODE") or ("online" if _has_account() else "offline")
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kfold-kit"),
            group=recipe["name"],
            name=f"{recipe['name']}-fold{fold}",
            dir=str(folder),
            config=recipe | {"fold": fold},
            mode=mode,  # type: ignore[arg-type]
            id=place.read_text(encoding="utf-8"),
            resume="allow",
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, row: dict[str, Any]) -> None:
        self._run.log(
            {name: row[column] for column, name in SCALARS.items()}, step=int(row["epoch"])
        )

    def close(self) -> None:
        self._run.finish()


def _has_account() -> bool:
    """Whether `wandb login` has been done, or the key is in the environment."""
    try:
        return (
            bool(os.environ.get("WANDB_API_KEY"))
            or netrc.netrc().authenticators("api.wandb.ai") is not None
        )
    except (OSError, netrc.NetrcParseError):
        return False


class _FaultTolerant:
    """A tracker, or none, that is let go, with one warning, when it fails: it must not cost a
    training.
    """

    def __init__(self, inner: Tracker | None, name: str) -> None:
        self._inner, self._name = inner, name

    def log(self, row: dict[str, Any]) -> None:
        self._try(lambda inner: inner.log(row))

    def close(self) -> None:
        self._try(lambda inner: inner.close())

    def _try(self, call: Any) -> None:
        if self._inner is None:
            return
        try:
            call(self._inner)
        except Exception as error:  # whatever it is, the training is worth more
            warn(
                f"--track {self._name}: gave up ({type(error).__name__}: {str(error)[:160]}); the "
                "training goes on"
            )
            self._inner = None


def open_tracker(
    name: str | None,
    folder: Path,
    recipe: dict[str, Any],
    fold: int,
    rows: Sequence[dict[str, Any]],
    must: bool = True,
) -> Tracker:
    """The tracker `tensorboard` or `wandb` of a fold in `folder`, which is told the `rows` there
    are; None tracks nothing.

    Without rows it is a new run.

    TensorBoard's files lie in the fold's folder, so that `tensorboard --logdir runs` shows a run a
    fold. Raises `KitError` where the package is not installed or does not start, unless it is not a
    `must`: then it warns.
    """
    if name is None:
        return _FaultTolerant(None, "")
    try:
        inner: Tracker = (
            _TensorBoard(folder)
            if name == "tensorboard"
            else _Wandb(folder, recipe, fold, not rows)
        )
    except ImportError as error:
        raise KitError(
            f"--track {name}: it is not installed ({error}); pip install 'kfold-kit[tracking]'"
        ) from error
    except Exception as error:
        line = f"--track {name}: it does not start ({type(error).__name__}: {str(error)[:160]})"
        if not must:
            warn(f"{line}; the training goes on without it")
            return _FaultTolerant(None, "")
        raise KitError(
            f"{line}; train without --track"
            + (", or with WANDB_MODE=offline" if name == "wandb" else "")
        ) from error
    tracker = _FaultTolerant(inner, name)
    for row in rows:
        tracker.log(row)
    return tracker
