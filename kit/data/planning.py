"""From a competition's folder to its fold plan."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.competition import Competition
from kit.data.folder import DataFolder, check_test, fingerprint, test_photos
from kit.data.leaks import Audit, audit_photos
from kit.data.photos import DamagedPhotos
from kit.data.plan import Plan, definition_hash, is_unfinished, plan_json, write_plan
from kit.data.remarks import balance_remarks, plan_remarks, suspects
from kit.data.split import assign_folds
from kit.data.train_rows import table_hash
from kit.data.training import read_training
from kit.system.disk import atomic_write, check_output
from kit.system.errors import KitError, problem


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How to plan: the number of folds, the seed, label fixes, and whether photos are audited.

    `definition` is the file that the competition is from, if it is from one.
    """

    folds: int = 5
    seed: int = 42
    corrections: Path | None = None
    audit: bool = True
    force: bool = False
    definition: Path | None = None


def plan_folds(
    data: DataFolder, out: Path, options: PlanOptions = PlanOptions()
) -> tuple[Plan, list[str]]:
    """Plan the folds of a competition's folder and write them to `out`.

    Returns the plan, and remarks for the user.
    """
    competition, seed = data.competition, options.seed
    inputs = [*data.inputs, *([options.corrections] if options.corrections else [])]
    check_output(out, "a plan", suffixes=(".csv",), inputs=inputs, force=options.force)
    check_output(plan_json(out), inputs=inputs, force=options.force or is_unfinished(out))
    given = read_training(competition, data.root, options.corrections)
    check_test(data, given.table["image"].tolist())
    photos = given.table.sort_values("image", ignore_index=True)
    # Too many folds are told before the photos are read, which takes a while.
    _deal(photos, competition, options)
    with _listing(out.with_name(f"{out.stem}.damaged.txt")):
        leaks, remarks = _audit(data, photos) if options.audit else (Audit([], [], []), list[str]())
    owner = dict(zip(photos["image"], photos["group"])) if leaks.links else {}
    linked = [(owner[link.a], owner[link.b]) for link in leaks.links]
    photos["fold"] = _deal(photos, competition, options, linked)
    doubtful = suspects(leaks.links, photos, competition)
    meta = {
        "kit": __version__,
        "seed": seed,
        "folds": int(photos["fold"].max()) + 1,
        "groups": photos["group"].nunique(),
        "photos": len(photos),
        "data": fingerprint(data.train_images, photos["image"].tolist()),
        data.train_table.name: table_hash(data.root, competition),
        "corrections": given.corrections,
        "audit": {
            "done": options.audit,
            "links": [link.record() for link in leaks.links],
            "test": [link.record() for link in leaks.test],
            "damaged": leaks.damaged,
        }
        | ({"suspects": doubtful} if doubtful else {}),
    } | definition_hash(options.definition)
    plan = write_plan(out, photos, competition, meta, options.force)
    remarks += plan_remarks(leaks.links, doubtful, plan)
    return plan, [*given.remarks, *remarks, *balance_remarks(photos, competition)]


@contextlib.contextmanager
def _listing(path: Path) -> Iterator[None]:
    """Write what is wrong with all photos that cannot be used in the block to a file, a line each.

    Where all can be used there is no such file.
    """
    try:
        yield
        path.unlink(missing_ok=True)
    except DamagedPhotos as error:
        with atomic_write(path, force=True) as temporary:
            temporary.write_text("".join(f"{fault}\n" for fault in error.faults), "utf-8")
        raise KitError(f"{error}; {path} lists them") from error


def _deal(
    photos: pd.DataFrame,
    competition: Competition,
    options: PlanOptions,
    linked: Sequence[tuple[str, str]] = (),
) -> np.ndarray:
    """The fold of each photo (N,): the definition's own, or a planned one."""
    if competition.fold and "fold" in photos:
        return photos["fold"].to_numpy(dtype=np.int64)
    return assign_folds(photos, competition, options.folds, options.seed, linked)


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
