"""A fold of a run: its files, and the key of its probabilities."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pandas as pd

from kit.data.plan import Plan
from kit.metrics.metric import MetricName
from kit.recipe import Recipe
from kit.system.checksum import CHECKSUM, line_checksums
from kit.system.disk import atomic_write, file_hash, parse_json, text_hash
from kit.system.errors import problem, unreadable
from kit.system.table import read_csv

FOLD_FOLDER: Final = re.compile(r"fold\d+")  # a fold's folder in a run


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

    def remedy(self, fold: int, what: str = "it again") -> str:
        """What makes the out-of-fold probabilities of its checkpoint again, or says why it cannot.

        `what` is said of them. A soup has no metrics.
        """
        if not self.metrics.exists():
            return "make the soup again, with --force"
        return f"python -m kit.train RECIPE --fold {fold} makes {what}"

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


def belongs(key: str, checkpoint: str) -> bool:
    """False if a key of out-of-fold probabilities names another checkpoint's hash."""
    try:
        return bool(parse_json(key)["checkpoint"] == checkpoint)
    except (ValueError, KeyError, TypeError):
        return True


def score_column(metric: MetricName) -> str:
    """The column of `metrics.csv` that has the score, such as `val_f1_macro`."""
    return f"val_{metric.name}"


def task_column(metric: MetricName, task: str) -> str:
    """The column that has the score of a task, such as `val_f1_mask`."""
    return f"val_{metric.key}_{task}"


def origin_of(recipe: Mapping[str, Any], plan: str, fold: int) -> str:
    """A hash of what a fold was trained with: the recipe, as described, and the plan's hash.

    Fields of the recipe that have their defaults do not count: a new one changes nothing.
    """
    defaults = {field.name: json.dumps(field.default, default=str) for field in fields(Recipe)}
    texts = {name: json.dumps(value) for name, value in recipe.items()}
    changed = {name: text for name, text in texts.items() if text != defaults.get(name)}
    return text_hash(json.dumps([changed, plan, fold], sort_keys=True))


def write_metrics(path: Path, rows: Sequence[dict[str, Any]], origin: str) -> None:
    """Write a run's `metrics.csv`, a row an epoch, in place of the one before it.

    Each row ends with its checksum; `origin` is that of the fold's training.
    """
    lines = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n").splitlines()
    with atomic_write(path, force=True) as temporary:
        ends = [CHECKSUM, *line_checksums(lines, origin)[1:]]
        text = "".join(f"{line},{end}\n" for line, end in zip(lines, ends))
        temporary.write_bytes(text.encode())


def read_metrics(path: Path, origin: str) -> list[dict[str, float]]:
    """The rows of a run's `metrics.csv` as numbers; none where there is no file.

    Raises `KitError` if it is damaged, or that of a fold of another `origin`.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    parts = [line.rpartition(",") for line in lines]
    checksums = line_checksums([line for line, _, _ in parts], origin)
    if len(lines) < 2 or [end for _, _, end in parts] != [CHECKSUM, *checksums[1:]]:
        raise problem(
            path,
            "is damaged, or of another fold's training: its checksums do not fit",
            remedy="put a copy back, or train the fold again with --force; kit.ensemble and "
            "kit.report need none: for them, delete it",
        )
    table = read_csv(path).drop(columns=CHECKSUM)
    return [{str(k): float(v) for k, v in row.items()} for row in table.to_dict(orient="records")]
