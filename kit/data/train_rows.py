"""The rows of training photos, as a definition's table and templates give them.

The table is a file, or the listing of a glob of photos, whose columns are `path` (below the data
folder), `name` (without its suffix) and `folder` (the one that the photo lies in).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.paths import check_names, fill, first_channel
from kit.system.disk import file_hash, text_hash
from kit.system.errors import problem
from kit.system.table import read_table


@dataclass(frozen=True)
class TrainRows:
    """Training photos: the file `path` they are from, its `table` of texts, `images` (N,).

    `targets` (N, target columns) are the texts of the columns of the target, or of what
    `target_pattern` finds; `groups` (N,) are the names of groups.
    """

    path: Path
    table: pd.DataFrame
    images: list[str]
    targets: pd.DataFrame
    groups: pd.Series


def is_glob(train: str) -> bool:
    """True if a definition's `train` is a pattern of photos' paths, and no table."""
    return re.search(r"[*?\[]", train) is not None


def has_training(root: Path, competition: Competition) -> bool:
    """True if a folder has the table of training photos, or a photo of the pattern."""
    train = competition.train
    return any(root.glob(train)) if is_glob(train) else (root / train).is_file()


def table_hash(root: Path, competition: Competition) -> str:
    """The SHA-256 of the table of training photos, or of the pattern's listing."""
    if is_glob(competition.train):
        return text_hash("\n".join(_listing(root, competition.train)["path"]))
    return file_hash(root / competition.train)


def read_rows(competition: Competition, root: Path) -> TrainRows:
    """The training photos by the definition's table, columns and patterns.

    Raises `KitError` for a column that is not there, with the nearest one, and where a pattern
    matches none of some paths.
    """
    targets = competition.target
    targets = (targets,) if isinstance(targets, str) else targets
    if competition.target_pattern:
        targets = ()
    elif targets == ("",):
        remedy = f"set target to a column of {competition.train}, or set target_pattern"
        raise problem(f"competition {competition.name}", "names no classes", remedy=remedy)
    wanted = dict.fromkeys(targets, "target") | dict.fromkeys(competition.strata, "strata")
    if competition.group != "photo" and not competition.group_pattern:
        wanted[competition.group] = "group"
    if competition.fold:
        wanted[competition.fold] = "fold"
    wanted |= {task.column: "tasks" for task in competition.tasks if task.column and not task.edges}
    path = root / competition.train
    if is_glob(competition.train):
        table, template = _listing(root, competition.train, wanted), "{path}"
    else:
        table = read_table(path, wanted)
        template = f"{{{table.columns[0]}}}"
    images = fill("image", competition.image or template, competition.train, table)
    table = table.assign(**{name: table[name].str.strip() for name in wanted})
    found = table[list(targets)].apply(_whole)
    if competition.target_pattern:
        matches = _matches("target_pattern", competition.target_pattern, images)
        found = pd.DataFrame({"target_pattern": matches})
    return TrainRows(path, table, images, found, _groups(competition, table, images))


def _whole(column: pd.Series) -> pd.Series:
    """A column of classes; whole numbers written as `3.0`, as pandas does, are `3`."""
    floats = column.str.fullmatch(r"-?[0-9]+\.0+") | (column == "")
    return column.str.replace(r"\.0+$", "", regex=True) if floats.all() else column


def _listing(root: Path, pattern: str, wanted: Iterable[str] = ()) -> pd.DataFrame:
    """The photos of a glob, sorted; hidden files and those in hidden folders are left out."""
    paths = [path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file()]
    visible = sorted(p for p in paths if not any(x.startswith(".") for x in p.split("/")))
    if not visible:
        raise problem(root, f"holds no photo {pattern}", remedy="mend train, or unpack again")
    check_names(root, visible)
    pure = [PurePosixPath(path) for path in visible]
    folders = [path.parent.name for path in pure]
    table = {"path": visible, "name": [path.stem for path in pure], "folder": folders}
    unknown = [column for column in wanted if column not in table]
    if unknown:
        remedy = "where train is a pattern of paths, the columns are path, name, folder; or take "
        remedy += "target_pattern, group_pattern"
        raise problem(f"train={pattern}", f"has no column '{unknown[0]}'", remedy=remedy)
    return pd.DataFrame(table)


def _matches(field: str, pattern: str, images: list[str]) -> pd.Series:
    """What a pattern's group finds in the path of each image (of the first channel)."""
    firsts = [first_channel(image) for image in images]
    matches = [match[1] if (match := re.search(pattern, path)) else "" for path in firsts]
    lost = [path for path, match in zip(firsts, matches) if not match]
    if lost:
        what = f"{pattern!r} matches none of some paths"
        raise problem(field, what, lost, "mend it, or leave these photos out of train")
    return pd.Series(matches)


def _groups(competition: Competition, table: pd.DataFrame, images: list[str]) -> pd.Series:
    """The group of each photo; one without a group is a group of its own.

    Raises `KitError` for a column that makes one group, or as many groups as photos.
    """
    names = pd.Series(images)
    if competition.group_pattern:
        field = "group_pattern"
        groups = _matches(field, competition.group_pattern, images)
    elif competition.group != "photo":
        field, groups = "group", table[competition.group].reset_index(drop=True)
        groups = groups.where(groups != "", names)
    else:
        return names
    number = groups.nunique()
    if number == 1:
        what = f"{competition.group} is the same for all {len(names):,} photos"
        raise problem(field, what, [groups.iloc[0]], "name a column that tells groups apart")
    if number == len(names):
        what = (
            f"{competition.group} is another one for each of {number:,} photos, so groups nothing"
        )
        raise problem(field, what, [groups.iloc[0]], "leave group out, or name another column")
    return groups


def in_order(values: Iterable[str]) -> list[str]:
    """The different values: by size where all are numbers, else as texts."""
    different = sorted(set(values))
    numbers = all(re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]+)?", value) for value in different)
    return sorted(different, key=float) if numbers else different


def own_folds(competition: Competition, rows: TrainRows) -> np.ndarray:
    """The folds 0..K-1 (N,) int64 that the column `fold` gives: its values in order.

    Raises `KitError` for empty values, for one fold alone, and for a group that lies in two.
    """
    values, place = rows.table[competition.fold].reset_index(drop=True), rows.path
    column = f"column '{competition.fold}'"
    empty = [image for image, value in zip(rows.images, values) if not value]
    if empty:
        raise problem(place, f"{column} gives no fold to some photos", empty, "fill it in")
    different = in_order(values)
    if len(different) < 2:
        raise problem(place, f"{column} has one fold alone", different, "leave fold out")
    spread = pd.DataFrame({"group": rows.groups, "fold": values}).drop_duplicates()
    split = spread.loc[spread["group"].duplicated(), "group"].unique().tolist()
    if split:
        what = f"{column} splits {competition.groups} between folds"
        raise problem(place, what, split, f"give each {competition.group} one fold")
    return values.map({value: f for f, value in enumerate(different)}).to_numpy(dtype=np.int64)
