"""A fold of a run: its files, and the key of its probabilities."""

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from kit.data.plan import Plan
from kit.metrics.metric import MetricName
from kit.system.disk import atomic_write, file_hash, parse_json
from kit.system.errors import problem
from kit.system.table import read_csv, read_header

FOLD_FOLDER: Final = re.compile(r"fold\d+")  # a fold's folder in a run
_METRICS = ("epoch", "lr", "train_loss", "val_loss", "val_acc")
_TIMES = ("time_data", "time_step")


@dataclass(frozen=True)
class Fold:
    """One fold of a run: its folder and the files in it."""

    folder: Path

    @property
    def best(self) -> Path:
        """The checkpoint of the selected epoch."""
        return self.folder / "best.safetensors"

    @property
    def oof(self) -> Path:
        """The out-of-fold probabilities of `best`."""
        return self.folder / "oof.npz"

    @property
    def metrics(self) -> Path:
        """The metrics, a row an epoch."""
        return self.folder / "metrics.csv"

    def epoch(self, number: int) -> Path:
        """The checkpoint of one epoch, if `--keep-epochs` has kept it."""
        return self.folder / f"epoch{number:04d}.safetensors"

    @property
    def epochs(self) -> list[Path]:
        """The checkpoints of kept epochs that exist."""
        return sorted(self.folder.glob("epoch*.safetensors"))

    @property
    def last(self) -> Path:
        """The state that training continues from; removed once the fold is finished."""
        return self.folder / "last.pt"

    @property
    def bad_batch(self) -> Path:
        """The photos of a batch whose loss was not finite."""
        return self.folder / "bad_batch.txt"

    @property
    def log(self) -> Path:
        """What its training printed, if it did not run in the command's own process."""
        return self.folder / "log.txt"

    @property
    def stamp(self) -> str:
        """What tells the files of a training from those of a later one: their times and sizes."""
        marks = []
        for path in (self.last, self.best):
            with contextlib.suppress(OSError):
                stat = path.stat()
                marks.append(f"{path.name} {stat.st_mtime_ns} {stat.st_size}")
        return ", ".join(marks)


def oof_key(best: Path, plan: Plan, fold: int, precision: str) -> str:
    """The key of out-of-fold probabilities: checkpoint, plan and fold, precision."""
    return json.dumps(
        {
            "checkpoint": file_hash(best),
            "plan": plan.hash,
            "fold": fold,
            "view": "plain",
            "precision": precision,
        }
    )


def oof_precision(key: str, best: Path, plan: Plan, fold: int) -> str | None:
    """The precision that out-of-fold probabilities of a `key` ran in.

    None if they are of another checkpoint, plan or fold.
    """
    try:
        precision = str(parse_json(key)["precision"])
    except (ValueError, KeyError, TypeError):
        return None
    return precision if key == oof_key(best, plan, fold, precision) else None


def score_column(metric: MetricName) -> str:
    """The column of `metrics.csv` that has the score, such as `val_f1_macro`."""
    return f"val_{metric.name}"


def task_column(metric: MetricName, task: str) -> str:
    """The column that has the score of a task, such as `val_f1_mask`."""
    return f"val_{metric.key}_{task}"


def write_metrics(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a run's `metrics.csv`, a row an epoch, in place of the one before it."""
    with atomic_write(path, force=True) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a run's `metrics.csv` as numbers; none where there is no file."""
    if not path.exists():
        return []
    scores = [name for name in read_header(path) if name.startswith("val_")]
    table = read_csv(path, [*_METRICS, *_TIMES], [n for n in scores if n not in _METRICS])
    try:
        return [
            {str(k): float(v) for k, v in row.items()} for row in table.to_dict(orient="records")
        ]
    except ValueError as error:
        raise problem(
            path, f"is no metrics file ({error})", remedy="train the fold again with --force"
        ) from error
