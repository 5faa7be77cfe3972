"""From a competition's folder to its fold plan."""

from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.competitions.mask import CLASS_NAMES
from kit.competitions.mask_data import apply_corrections, read_corrections, read_layout
from kit.data.folder import data_places, eval_images, fingerprint, read_eval, train_images
from kit.data.leaks import Audit, audit_photos
from kit.data.plan import PLAN_COLUMNS, Plan, plan_json, write_plan
from kit.data.split import assign_folds, class_counts, imbalance
from kit.system.disk import check_output, file_hash
from kit.system.errors import KitError, problem


def plan_folds(
    data: Path,
    out: Path,
    folds: int = 5,
    seed: int = 42,
    corrections: Path | None = None,
    audit: bool = True,
    force: bool = False,
) -> tuple[Plan, list[str]]:
    """Plan the folds of a competition folder and write them to `out`; the plan, and remarks for a
    person.
    """
    inputs = [*data_places(data), *([corrections] if corrections else [])]
    for path in (out, plan_json(out)):
        suffixes = (".csv",) if path == out else ()
        check_output(path, "a plan", suffixes=suffixes, inputs=inputs, force=force)
    fixes = read_corrections(corrections) if corrections else []
    layout = read_layout(data, fixes)
    photos, applied = apply_corrections(layout, fixes, corrections or out)
    photos = photos.sort_values("image", ignore_index=True)
    assign_folds(
        photos, folds, seed
    )  # too many folds are told before the photos are read, which takes a while
    found, test_remarks = _audit(data, photos) if audit else (Audit([], [], []), [])
    owner = dict(zip(photos["image"], photos["person"])) if found.links else {}
    photos["fold"] = assign_folds(
        photos, folds, seed, [(owner[link.a], owner[link.b]) for link in found.links]
    )
    absent = [CLASS_NAMES[c] for c in np.flatnonzero(class_counts(photos).sum(axis=0) == 0)]
    remarks = layout.remarks + test_remarks + imbalance(photos)
    if absent:
        remarks.append(
            f"{len(absent)} of 18 classes have no photo, the first: {absent[0]}; each counts 0 in "
            "macro-F1"
        )
    meta = {
        "kit": __version__,
        "seed": seed,
        "folds": folds,
        "people": photos["person"].nunique(),
        "photos": len(photos),
        "data": fingerprint(train_images(data), photos["image"].tolist()),
        "train.csv": file_hash(data / "train" / "train.csv"),
        "corrections": applied,
        "audit": {
            "done": audit,
            "links": [link.record() for link in found.links],
            "test": [link.record() for link in found.test],
            "damaged": found.damaged,
        },
    }
    return write_plan(out, photos[list(PLAN_COLUMNS)], meta, force), remarks


def _audit(data: Path, photos: pd.DataFrame) -> tuple[Audit, list[str]]:
    """The leak audit of training and test photos, and remarks on the test photos, none of which
    stops a plan.
    """
    root, ids, remarks = eval_images(data), list[str](), list[str]()
    try:
        ids = read_eval(data)
    except KitError as error:
        remarks.append(f"the audit leaves the test photos out: {error}")
    found = audit_photos(
        train_images(data), photos["image"].tolist(), photos["person"].tolist(), root, ids
    )
    if found.damaged:
        remarks.append(
            str(
                problem(
                    root,
                    "damaged test photos, at which kit.ensemble will stop",
                    found.damaged,
                    "unpack the data again before that",
                )
            )
        )
    if found.test:
        remarks.append(
            str(
                problem(
                    root,
                    "test photos that are training photos, too",
                    [
                        f"{link.b}, which is {link.a} ({link.kind}, {link.score:.2f})"
                        for link in found.test
                    ],
                    "their scores are no guide to those of other photos; folds.json has all",
                )
            )
        )
    return found, remarks
