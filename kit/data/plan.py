"""The fold plan: `folds.csv`, the one authority on training labels and split, and its record."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kit.competitions.mask import NUM_CLASSES
from kit.system.disk import atomic_write, file_hash, read_json, refuse_existing, write_json
from kit.system.errors import problem
from kit.system.table import check_unique, read_csv, whole_numbers

PLAN_COLUMNS = ("image", "person", "age", "label", "fold")


@dataclass(frozen=True)
class Plan:
    """The fold plan: `photos` has a row a photo, `image, person, age, label, fold`, sorted by
    image.

    `image` is relative to `train/images`; `hash` is the SHA-256 of `folds.csv`; `meta` is
    `folds.json`.
    """

    photos: pd.DataFrame
    hash: str
    meta: dict[str, Any] = field(compare=False)

    @property
    def k(self) -> int:
        """The number of folds."""
        return int(self.photos["fold"].max()) + 1


def plan_json(path: Path) -> Path:
    """Where a plan's record lies: `folds.json` beside `folds.csv`."""
    return path.with_suffix(".json")


def write_plan(path: Path, photos: pd.DataFrame, meta: dict[str, Any], force: bool = False) -> Plan:
    """Write `folds.csv` and `folds.json`, checked as `read_plan` would, and return the plan as read
    back.
    """
    if not force:
        refuse_existing(path, plan_json(path))
    with atomic_write(path, force) as temporary:
        photos[list(PLAN_COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")
        plan = Plan(_plan_photos(temporary, path), file_hash(temporary), meta)
        write_json(plan_json(path), meta | {"folds.csv": plan.hash}, force)
    return plan


def read_plan(path: Path) -> Plan:
    """Read and check a fold plan: unique images, every person in one fold, folds 0..K-1, labels and
    ages possible.
    """
    if not path.exists():
        raise problem(path, "there is no fold plan", remedy="make one with python -m kit.folds")
    if not plan_json(path).exists():
        raise problem(
            plan_json(path),
            "the plan's record is not there",
            remedy="plan again with python -m kit.folds --force",
        )
    digest, meta = file_hash(path), read_json(plan_json(path))
    if meta.get("folds.csv") != digest:
        raise problem(
            path,
            f"is not the plan that {plan_json(path).name} beside it describes",
            remedy="plan again with python -m kit.folds --force",
        )
    return Plan(_plan_photos(path, path), digest, meta)


def _plan_photos(source: Path, path: Path) -> pd.DataFrame:
    """The checked rows of a plan in the file `source`, which is or becomes `path`."""
    photos = read_csv(source, PLAN_COLUMNS)
    check_unique(path, photos, "image", "plan again with python -m kit.folds --force")
    photos = photos.assign(
        age=whole_numbers(path, photos, "age", 0, 120, "image"),
        label=whole_numbers(path, photos, "label", 0, NUM_CLASSES - 1, "image"),
        fold=whole_numbers(path, photos, "fold", 0, 999, "image"),
    )
    spread = photos[["person", "fold"]].drop_duplicates()
    check_unique(
        path,
        spread,
        "person",
        "a person must lie in one fold: plan again with python -m kit.folds --force",
    )
    used = sorted(set(photos["fold"].tolist()))
    if used != list(range(len(used))) or len(used) < 2:
        raise problem(
            path,
            f"folds must be 0..K-1 with K >= 2, and are {used[:9]}",
            remedy="plan again with python -m kit.folds --force",
        )
    return photos
