"""What is wrong with a submission, and what is strange about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competitions.mask import CLASS_NAMES, NUM_CLASSES
from kit.data.folder import data_places, read_info
from kit.data.plan import Plan
from kit.results import leaderboard as board
from kit.results.submission import read_answers, read_submission
from kit.scoring.class_counts import Expected, distribution_p, rao_scott_correction
from kit.system.disk import check_output, file_hash, read_json
from kit.system.errors import KitError, problem

_FAR = 0.001


_OOF = "the out-of-fold predictions"


def check_place(out: Path, data: Path, paths: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless a submission made from `paths` may be written to `out`, and its
    record beside it.
    """
    inputs = [*data_places(data), *paths]
    if out.name == board.NAME:
        raise problem(
            out,
            "is no name for a submission, but the leaderboard log's",
            remedy="choose another --out",
        )
    check_output(out, "a submission", suffixes=(".csv",), inputs=inputs, force=force)
    record = out.with_suffix(".json")
    check_output(record, inputs=inputs, force=force)
    if record.exists() and not {"kit", "sha256", "members"} <= read_json(record).keys():
        raise problem(
            record,
            "is no record of a submission, and would be replaced by one",
            remedy="choose another --out",
        )


def read_record(path: Path) -> dict[str, Any] | None:
    """The record beside a submission; None where there is none, or it is of another file."""
    try:
        record = read_json(path.with_suffix(".json"))
        return record if record.get("sha256") == file_hash(path) else None
    except KitError:
        return None


def paired_draws(rows: Sequence[dict[str, Any]], folder: Path) -> np.ndarray | None:
    """The bootstrap draws (submissions, draws) of out-of-fold macro-F1 that the records of
    submissions, `rows` of a log, hold.

    None unless all are paired, that is, of the same photos of one fold plan, so that each draw
    takes the same people.
    """
    found, of = [], []
    for row in rows:
        try:
            record = read_record(folder / row["submission"]) or {}
            oof = record["oof"]
            of.append(
                (
                    row["sha256"] == record["sha256"],
                    record["plan"],
                    oof["photos"],
                    oof["people"],
                    sorted(oof["folds"]),
                )
            )
            found.append([float(value) for value in oof["draws"].split()])
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
    if (
        not of
        or not of[0][0]
        or any(other != of[0] for other in of)
        or len({len(draws) for draws in found}) > 1
    ):
        return None
    draws = np.array(found)
    return draws if draws.size and np.isfinite(draws).all() else None


def expected_counts(path: Path, plan: Plan | None) -> Expected | None:
    """What a submission's class counts are held against: its record's out-of-fold counts, or the
    plan's labels without one.
    """
    try:
        oof = (read_record(path) or {})["oof"]
        (scale, freedom), counts = (
            oof["rao_scott_correction"],
            np.array(oof["predicted_counts"], dtype=np.int64),
        )
        if counts.shape != (NUM_CLASSES,):
            raise ValueError(f"{len(counts)} classes")
        return Expected(counts, (float(scale), float(freedom)), _OOF)
    except (KeyError, TypeError, ValueError):
        if plan is None:
            return None
    labels = plan.photos["label"].to_numpy()
    return Expected(
        np.bincount(labels, minlength=NUM_CLASSES),
        rao_scott_correction(labels, plan.photos["person"].to_numpy()),
        "the training labels",
    )


def check_submission(path: Path, info: Path, expected: Expected | None) -> list[str]:
    """Check a submission as the competition will, and return warnings: absent classes, strange
    counts, an equal file.

    Raises `KitError` where ids, order or classes are not those of `info`.
    """
    classes, ids = read_submission(path, info), read_info(info)
    counts = np.bincount(classes, minlength=NUM_CLASSES)
    warnings = []
    absent = [CLASS_NAMES[c] for c in np.flatnonzero(counts == 0)]
    if absent:
        warnings.append(
            f"{path}: no photo has "
            f"{'the class' if len(absent) == 1 else f'any of {len(absent)} classes'} "
            f"({', '.join(absent[:3])}{', ...' * (len(absent) > 3)}), whose F1 is 0 then"
        )
    if expected is not None:
        p = distribution_p(counts, expected)
        if p < _FAR:
            far = np.abs(counts / counts.sum() - expected.counts / expected.counts.sum()).argmax()
            warnings.append(
                f"{path}: its classes are distributed otherwise than {expected.source} (p = "
                f"{p:.1g}), most of all "
                f"{CLASS_NAMES[far]}: {counts[far] / counts.sum():.1%} instead of "
                f"{expected.counts[far] / expected.counts.sum():.1%}"
            )
    equal = [
        other
        for other in sorted(path.parent.glob("*.csv"))
        if other.resolve() != path.resolve() and _same(other, ids, classes)
    ]
    if equal:
        warnings.append(
            f"{path}: is the same submission as {equal[0]}"
            + f", and {len(equal) - 1} more" * (len(equal) > 1)
        )
    record = path.with_suffix(".json")
    if record.exists() and read_record(path) is None:
        warnings.append(
            f"{path}: {record.name} beside it is not its record: one of the two was changed"
        )
    return warnings


def _same(other: Path, ids: Sequence[str], classes: np.ndarray) -> bool:
    try:
        theirs = read_answers(other, strict=True)
    except KitError:
        return False  # a leaderboard, or whatever else lies there
    joined = pd.Series(theirs["ans"].to_numpy(), index=theirs["ImageID"]).reindex(ids)
    return len(theirs) == len(ids) and bool((joined.to_numpy() == classes).all())
