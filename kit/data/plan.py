"""The fold plan: `folds.csv`, the one authority on training labels and split, and its record."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kit.competition import Competition
from kit.data.paths import is_below
from kit.data.recorded import recorded_competition, with_own_functions
from kit.data.targets import check_label_texts
from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash, read_json, refuse_existing, write_json
from kit.system.errors import KitError, problem
from kit.system.table import check_unique, read_csv, whole_numbers
from kit.system.typed import value_of

AGAIN = "plan again with python -m kit.folds --force"
_SAME = "the options of before make the same plan again"
_MOST = 10**9 - 1  # of a number in a column


@dataclass(frozen=True)
class Plan:
    """The fold plan: `photos` has a row a photo, sorted by `image`.

    Its columns are those of `plan_columns`; `image` is a path below the folder of training photos.
    `hash` is the SHA-256 of `folds.csv`, and `meta` is `folds.json`.
    """

    photos: pd.DataFrame
    hash: str
    meta: dict[str, Any] = field(compare=False)
    competition: Competition = field(compare=False)

    @property
    def k(self) -> int:
        """The number of folds."""
        return int(self.photos["fold"].max()) + 1


def plan_columns(competition: Competition) -> list[str]:
    """The columns of `folds.csv`: image, group, the competition's own numbers, label, fold."""
    return ["image", "group", *competition.columns, "label", "fold"]


def plan_json(path: Path) -> Path:
    """The file of a plan's record: `folds.json` beside `folds.csv`."""
    return path.with_suffix(".json")


def write_plan(
    path: Path,
    photos: pd.DataFrame,
    competition: Competition,
    meta: dict[str, Any],
    force: bool = False,
) -> Plan:
    """Write `folds.csv` and `folds.json`, checked as `read_plan` does; returns the plan."""
    if not force:
        refuse_existing(path)
    meta = meta | {"competition": competition.describe()}
    with atomic_write(path, force) as temporary:
        columns = plan_columns(competition)
        photos[columns].to_csv(temporary, index=False, lineterminator="\n")
        rows = _plan_photos(temporary, path, competition)
        plan = Plan(rows, file_hash(temporary), meta, competition)
        # The record comes first: of a plan alone, nobody could tell what it was made of.
        force = force or is_unfinished(path, plan.hash)
        write_json(plan_json(path), meta | {"folds.csv": plan.hash}, force)
    return plan


def is_unfinished(path: Path, digest: str = "") -> bool:
    """True if the record of a plan stands alone, of a process that was killed before the plan.

    With a `digest` it must be the record of the plan with that hash.
    """
    record = plan_json(path)
    if path.exists() or not record.exists():
        return False
    with contextlib.suppress(KitError):
        written = read_json(record, AGAIN).get("folds.csv")
        return isinstance(written, str) and digest in ("", written)
    return False


def definition_hash(path: Path | None) -> dict[str, dict[str, str]]:
    """What `folds.json` says of the definition file that a plan is of; nothing without one."""
    return {"definition": {"path": str(path), "sha256": file_hash(path)}} if path else {}


def _check_definition(recorded: Any) -> None:
    """Warn of a definition file that has changed: all commands but `kit.folds` use the plan's."""
    path = Path(str(recorded.get("path", ""))) if isinstance(recorded, dict) else Path()
    if path.is_file() and definition_hash(path)["definition"] != recorded:
        warn(
            f"{path} has changed since the folds were planned: the plan's competition is used; to "
            "use the new one, plan again with python -m kit.folds --force"
        )


def read_plan(path: Path) -> Plan:
    """Read and check a fold plan.

    Images are unique, every group lies in one fold, folds are 0..K-1, labels and numbers are whole,
    and several labels are a text of them. Warns of a definition file that has changed since.
    """
    if not path.exists():
        raise problem(path, "there is no fold plan", remedy="make one with python -m kit.folds")
    record, copy = plan_json(path), f"put a copy back, or {AGAIN}: {_SAME}"
    if not record.exists():
        raise problem(record, "the plan's record is not there", remedy=copy)
    meta = read_json(record, copy)
    digest = file_hash(path)
    if meta.get("folds.csv") != digest:
        what = f"is damaged, changed by hand, or not the plan that {record.name} describes"
        raise problem(path, what, remedy=_remedy(meta))
    try:
        competition = recorded_competition(meta.get("competition"))
        meta |= _checked(meta)
    except ValueError as error:
        raise problem(record, str(error), remedy=AGAIN) from error
    _check_definition(meta.get("definition"))
    competition = with_own_functions(competition, record)
    return Plan(_plan_photos(path, path, competition), digest, meta, competition)


def _remedy(meta: Mapping[str, Any]) -> str:
    """How to get the plan of a record back, and how labels and folds are changed instead."""
    audit = meta.get("audit")
    options = f"--folds {meta.get('folds')} --seed {meta.get('seed')}"
    options += " --no-audit" * (isinstance(audit, dict) and not audit.get("done"))
    options += " and the same --corrections" * bool(meta.get("corrections"))
    return (
        f"{AGAIN} {options} to get it back; --corrections changes labels, and the definition's "
        "fold takes folds of your own"
    )


def _checked(meta: dict[str, Any]) -> dict[str, Any]:
    """What a report shows of `folds.json`; raises `ValueError` unless it is numbers and texts."""
    fixes = value_of(tuple[dict[str, str], ...], meta.get("corrections", []), "corrections")
    if any({"path", "field", "new"} - fix.keys() for fix in fixes):
        raise ValueError("its corrections are damaged")
    return {"seed": value_of(int, meta.get("seed", 0), "seed"), "corrections": list(fixes)}


def _plan_photos(source: Path, path: Path, competition: Competition) -> pd.DataFrame:
    """The checked rows of a plan in the file `source`, which is or becomes `path`."""
    photos = read_csv(source, plan_columns(competition))
    check_unique(path, photos, "image", AGAIN)
    outside = [image for image in photos["image"] if not is_below(image)]
    if outside:
        raise problem(path, "names photos outside of the data folder", outside, AGAIN)
    limits = dict.fromkeys(competition.columns, _MOST)
    limits |= {"label": competition.num_classes - 1, "fold": 999}
    if competition.several_labels:
        check_label_texts(path, photos, competition.num_classes)
        del limits["label"]
    photos = photos.assign(
        **{
            name: whole_numbers(path, photos, name, 0, most, "image")
            for name, most in limits.items()
        }
    )
    spread = photos[["group", "fold"]].drop_duplicates()
    check_unique(path, spread, "group", f"a {competition.group} must lie in one fold: {AGAIN}")
    used = sorted(set(photos["fold"].tolist()))
    if used != list(range(len(used))) or len(used) < 2:
        what = f"folds must be 0..K-1 with K >= 2, and are {used[:9]}"
        raise problem(path, what, remedy=AGAIN)
    return photos
