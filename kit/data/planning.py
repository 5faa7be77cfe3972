"""From a competition's folder to its fold plan."""

import inspect
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.competition import Competition
from kit.data.definition import read_training
from kit.data.folder import DataFolder, fingerprint, test_photos
from kit.data.leaks import Audit, audit_photos
from kit.data.plan import Plan, plan_columns, plan_json, write_plan
from kit.data.split import assign_folds, class_counts, imbalance
from kit.system.disk import check_output, file_hash
from kit.system.errors import KitError, problem
from kit.task import TrainingPhotos


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How to plan: the number of folds, the seed, label fixes, and whether photos are audited."""

    folds: int = 5
    seed: int = 42
    corrections: Path | None = None
    audit: bool = True
    force: bool = False


def plan_folds(
    data: DataFolder, out: Path, options: PlanOptions = PlanOptions()
) -> tuple[Plan, list[str]]:
    """Plan the folds of a competition's folder and write them to `out`.

    Returns the plan, and remarks for the user.
    """
    competition, folds, seed = data.competition, options.folds, options.seed
    inputs = [*data.inputs, *([options.corrections] if options.corrections else [])]
    for path, suffixes in ((out, (".csv",)), (plan_json(out), ())):
        check_output(path, "a plan", suffixes=suffixes, inputs=inputs, force=options.force)
    given = read_photos(data, options.corrections)
    photos = given.table.sort_values("image", ignore_index=True)
    # Too many folds are told before the photos are read, which takes a while.
    assign_folds(photos, competition, folds, seed)
    leaks, remarks = _audit(data, photos) if options.audit else (Audit([], [], []), list[str]())
    owner = dict(zip(photos["image"], photos["group"])) if leaks.links else {}
    linked = [(owner[link.a], owner[link.b]) for link in leaks.links]
    photos["fold"] = assign_folds(photos, competition, folds, seed, linked)
    meta = {
        "kit": __version__,
        "seed": seed,
        "folds": folds,
        "groups": photos["group"].nunique(),
        "photos": len(photos),
        "data": fingerprint(data.train_images, photos["image"].tolist()),
        data.train_table.name: file_hash(data.train_table),
        "corrections": given.corrections,
        "audit": {
            "done": options.audit,
            "links": [link.record() for link in leaks.links],
            "test": [link.record() for link in leaks.test],
            "damaged": leaks.damaged,
        },
    }
    plan = write_plan(out, photos, competition, meta, options.force)
    return plan, [*given.remarks, *remarks, *imbalance(photos, competition), *_absent(plan)]


def read_photos(data: DataFolder, corrections: Path | None = None) -> TrainingPhotos:
    """The training photos, by the definition's tables or what its `rows` gives, checked.

    Raises `KitError` for what a definition file raises, too: its writer can mend it.
    """
    competition = data.competition
    read, place = competition.rows, f"competition {competition.name}"
    if read is None:
        return read_training(competition, data.root, corrections)
    try:
        given = read(data.root, corrections)
    except (KitError, OSError):
        raise
    except Exception as error:
        if str(getattr(read, "__module__", "")).startswith("kit."):
            raise  # a bug of the kit
        file = inspect.getfile(read)
        trace = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in trace[::-1] if frame.filename == file), "?")
        raise KitError(f"{file} line {line}: {type(error).__name__}: {error}") from error
    if not isinstance(given, TrainingPhotos):
        raise KitError(f"{place}: `rows` must return TrainingPhotos, and not {given!r:.60}")
    _check_table(given.table, competition)
    return given


def _check_table(table: pd.DataFrame, competition: Competition) -> None:
    """Raise `KitError` unless a table of training photos has all columns of a plan, and labels."""
    place = f"competition {competition.name}: the table of `rows`"
    lacking = [name for name in plan_columns(competition)[:-1] if name not in table]
    if lacking:
        raise problem(place, "lacks columns", lacking)
    whole = ["label", *competition.columns]
    bad = [name for name in whole if not pd.api.types.is_integer_dtype(table[name])]
    if bad:
        raise problem(place, "has columns that are no whole numbers", bad)
    labels = table["label"]
    outside = table.loc[~labels.between(0, competition.num_classes - 1), "image"]
    if len(outside) or not len(table):
        what = f"must have labels 0..{competition.num_classes - 1} for one photo or more"
        raise problem(place, what, outside.tolist())


def _absent(plan: Plan) -> list[str]:
    """A remark on the classes that have no photo, if there are any."""
    competition = plan.competition
    counts = class_counts(plan.photos, competition.num_classes).sum(axis=0)
    absent = [competition.class_names[c] for c in np.flatnonzero(counts == 0)]
    if not absent:
        return []
    return [
        f"{len(absent)} of {competition.num_classes} classes have no photo, the first: "
        f"{absent[0]}; each counts 0 in macro-F1"
    ]


def _audit(data: DataFolder, photos: pd.DataFrame) -> tuple[Audit, list[str]]:
    """The leak audit of training and test photos, and remarks on the test photos.

    No remark stops a plan.
    """
    root, images, remarks = data.test_images, list[str](), list[str]()
    try:
        images = list(test_photos(data).values())
    except KitError as error:
        remarks.append(f"the audit leaves the test photos out: {error}")
    train, groups = photos["image"].tolist(), photos["group"].tolist()
    read = data.competition.read
    audit = audit_photos(data.train_images, train, groups, root, images, read)
    if audit.damaged:
        remarks.append(
            str(
                problem(
                    root,
                    "damaged test photos, at which kit.ensemble will stop",
                    audit.damaged,
                    "unpack the data again before that",
                )
            )
        )
    if audit.test:
        remarks.append(
            str(
                problem(
                    root,
                    "test photos that are training photos, too",
                    [
                        f"{link.b}, which is {link.a} ({link.kind}, {link.score:.2f})"
                        for link in audit.test
                    ],
                    "their scores are no guide to those of other photos; folds.json has all",
                )
            )
        )
    return audit, remarks
