"""The training photos of a competition: by its table and templates, or by its function `rows`."""

import inspect
import traceback
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.corrections import corrected
from kit.data.labels import labels_of
from kit.data.paths import lost_files, other_ending
from kit.data.targets import check_label_texts
from kit.data.train_rows import own_folds, read_rows
from kit.system.errors import KitError, problem
from kit.task import STRATUM, TrainingPhotos


def read_training(
    competition: Competition, root: Path, corrections: Path | None = None
) -> TrainingPhotos:
    """The training photos of a complete competition in the folder `root`, checked.

    The lines of the file `corrections` are applied. Raises `KitError` for what a definition file
    raises, too: its writer can mend it.
    """
    if competition.rows is None:
        return _by_templates(competition, root, corrections)
    given = _by_function(competition, root, corrections)
    _check_table(given.table, competition)
    return given


def _by_templates(competition: Competition, root: Path, corrections: Path | None) -> TrainingPhotos:
    """The training photos by a definition's table and templates.

    The table has `fold` and the columns of `strata`, too, where the definition names them.
    """
    rows = read_rows(competition, root)
    _check_files(competition, root, rows.images)
    images = pd.Series(rows.images)
    if images.duplicated().any():
        bad = images[images.duplicated()].tolist()
        raise problem(rows.path, "names photos twice", bad, "keep one row of each")
    fixed, applied = corrected(competition, rows, corrections) if corrections else (rows, [])
    table = pd.DataFrame({"image": images, "group": rows.groups.astype(object)})
    table = pd.concat([table, labels_of(competition, fixed)], axis=1)
    if competition.strata:
        beside = rows.table[list(competition.strata)].reset_index(drop=True)
        table = pd.concat([table, beside.add_prefix(STRATUM)], axis=1)
    if competition.fold:
        table["fold"] = own_folds(competition, rows)
    alone, remarks = int((rows.groups == images).sum()), list[str]()
    if competition.is_grouped and alone:
        what = f"{alone:,} photos have no {competition.group}; each is a group of its own"
        remarks.append(f"{rows.path}: {what}")
    return TrainingPhotos(table, remarks, applied)


def _check_files(competition: Competition, root: Path, images: list[str]) -> None:
    """Raise `KitError` for training rows without a photo."""
    folder = root / competition.train_images
    lost = lost_files(folder, images)
    if lost:
        of = "no row names a photo" if len(lost) >= len(images) else "rows without a photo"
        bad = [f"{folder / lost[0]}{other_ending(folder, lost[0])}", *lost[1:]]
        what = f"{of} that is there" if len(lost) >= len(images) else of
        raise problem(root / competition.train, what, bad, "mend image, or unpack the data again")


def _by_function(competition: Competition, root: Path, corrections: Path | None) -> TrainingPhotos:
    """What a definition's function `rows` gives."""
    read, place = competition.rows, f"competition {competition.name}"
    assert read is not None
    try:
        given = read(root, corrections)
    except (KitError, OSError):
        raise
    except Exception as error:
        if str(getattr(read, "__module__", "")).startswith("kit."):
            raise  # a bug of the kit
        file = inspect.getfile(read)
        trace = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in trace[::-1] if frame.filename == file), "?")
        what = f"{type(error).__name__}: {error}"
        raise problem(f"{file} line {line}", what, remedy="mend the definition's `rows`") from error
    if not isinstance(given, TrainingPhotos):
        what = f"`rows` returns {given!r:.60}"
        raise problem(place, what, remedy="let it return TrainingPhotos, of kit.task")
    return given


def _check_table(table: pd.DataFrame, competition: Competition) -> None:
    """Raise `KitError` unless a table of training photos has all columns of a plan, and labels."""
    place = f"competition {competition.name}: the table of `rows`"
    lacking = [n for n in ("image", "group", *competition.columns, "label") if n not in table]
    if lacking:
        raise problem(place, "lacks columns", lacking, "let `rows` give them")
    # a list, because pandas maps a column without rows to one of texts
    named = np.array([isinstance(image, str) and image != "" for image in table["image"]], bool)
    lost = table.loc[~named | table["group"].isna() | (table["group"] == "")]
    if len(lost):
        what = "has rows without an image or a group"
        raise problem(place, what, lost.index.tolist(), "let `rows` give each of them both")
    whole = [*competition.columns, *([] if competition.several_labels else ["label"])]
    bad = [name for name in whole if not pd.api.types.is_integer_dtype(table[name])]
    if bad:
        what = "has columns that are no whole numbers"
        raise problem(place, what, bad, "let `rows` give them as int")
    if competition.several_labels:
        check_label_texts(place, table, competition.num_classes)
        return
    labels = table["label"]
    outside = table.loc[~labels.between(0, competition.num_classes - 1), "image"]
    if len(outside) or not len(table):
        what = f"has no photos, or labels outside of 0..{competition.num_classes - 1}"
        raise problem(place, what, outside.tolist(), "mend `rows`, or the definition's classes")
