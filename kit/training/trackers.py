"""Tracking of trainings by TensorBoard or Weights & Biases: one run a fold, grouped by recipe."""

import importlib
import netrc
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from kit.system.console import warn
from kit.system.disk import atomic_write
from kit.system.errors import KitError

TRACKERS = ("tensorboard", "wandb")
_TENSORBOARD = "tensorboard"  # the folder within a fold's
_WANDB_ID = "wandb-id.txt"  # and the file with the run's id


def scalars(row: dict[str, Any]) -> dict[str, float]:
    """A row of `metrics.csv` as scalars: `val_f1_macro` as `val/f1_macro`, and so on."""
    return {name.replace("_", "/", 1): value for name, value in row.items() if name != "epoch"}


class TrackerError(KitError):
    """A tracker that is not installed, or does not start."""


class Tracker(Protocol):
    """A tracker: it takes rows of `metrics.csv`."""

    def log(self, row: dict[str, Any]) -> None:
        """Send one epoch's row."""

    def close(self) -> None:
        """Send the rows that are left."""


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        # Here and not above: the package is optional, and slow to import.
        self._make = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self.folder = folder / _TENSORBOARD
        self._writer: Any = None

    def log(self, row: dict[str, Any]) -> None:
        if self._writer is None:
            # Event files can only grow: a run that goes on writes its epochs anew, so that none is
            # there twice.
            shutil.rmtree(self.folder, ignore_errors=True)
            self._writer = self._make(str(self.folder))
        for name, value in scalars(row).items():
            self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Wandb:
    def __init__(self, folder: Path, config: dict[str, Any], new: bool) -> None:
        wandb = importlib.import_module("wandb")  # here: it is optional
        # The same id after an interruption, so that what goes on is not another run.
        place = folder / _WANDB_ID
        if new or not place.exists():
            with atomic_write(place, force=True) as temporary:
                temporary.write_text(secrets.token_hex(4), encoding="utf-8")
        # Without an account a competitor at night wants the run, not a question: offline, for
        # `wandb sync` later.
        mode = os.environ.get("WANDB_MODE") or ("online" if _has_account() else "offline")
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kfold-kit"),
            group=config["name"],
            name=f"{config['name']}-fold{config['fold']}",
            dir=str(folder),
            config=config,
            mode=mode,
            id=place.read_text(encoding="utf-8"),
            resume="allow",
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, row: dict[str, Any]) -> None:
        self._run.log(scalars(row), step=int(row["epoch"]))

    def close(self) -> None:
        self._run.finish()


def _has_account() -> bool:
    """True if `wandb login` has been done, or the key is in the environment."""
    try:
        return (
            bool(os.environ.get("WANDB_API_KEY"))
            or netrc.netrc().authenticators("api.wandb.ai") is not None
        )
    except (OSError, netrc.NetrcParseError):
        return False


class _FaultTolerant:
    """A tracker, or none, that is let go with one warning when it fails.

    Tracking must not cost a training.
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
        except Exception as error:  # no error of a tracker may end the training
            warn(
                f"--track {self._name}: gave up ({type(error).__name__}: {str(error)[:160]}); the "
                "training goes on"
            )
            self._inner = None


def open_tracker(
    name: str | None,
    folder: Path,
    config: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    must: bool = True,
) -> Tracker:
    """The tracker `tensorboard` or `wandb` of a fold in `folder`; None tracks nothing.

    It is given the `rows` of the epochs so far; without rows it is a new run. `config` is the
    recipe, with the number of the `fold`. TensorBoard's files lie in the fold's folder, so that
    `tensorboard --logdir runs` shows a run a fold. Raises `TrackerError` where the package is not
    installed or does not start, unless it is not a `must`: then it warns.
    """
    if name is None:
        return _FaultTolerant(None, "")
    try:
        inner: Tracker = (
            _TensorBoard(folder) if name == "tensorboard" else _Wandb(folder, config, not rows)
        )
    except ImportError as error:
        raise TrackerError(
            f"--track {name}: it is not installed ({error}); pip install 'kfold-kit[tracking]'"
        ) from error
    except Exception as error:
        line = f"--track {name}: it does not start ({type(error).__name__}: {str(error)[:160]})"
        if not must:
            warn(f"{line}; the training goes on without it")
            return _FaultTolerant(None, "")
        raise TrackerError(
            f"{line}; train without --track"
            + (", or with WANDB_MODE=offline" if name == "wandb" else "")
        ) from error
    tracker = _FaultTolerant(inner, name)
    for row in rows:
        tracker.log(row)
    return tracker
