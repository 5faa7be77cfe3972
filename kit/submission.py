"""What is wrong with a submission, and what is strange about it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import board
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, NUM_CLASSES
from kit.tables import (Plan, file_hash, read_answers, read_info, read_json, read_submission, refuse_existing,
                        refuse_input)

_FAR = 0.001
_OOF = "the out-of-fold predictions"


@dataclass(frozen=True)
class Expected:
    """The class counts (18,) that a submission's are held against, whose they are, and the `design` of their chance."""

    counts: np.ndarray
    design: tuple[float, float]
    source: str


def design(classes: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """What photos of one person do to a chi-square of class counts: the scale and the degrees of freedom of its distribution.

    `classes` and `person` are (N,). Of photos of different people they are 1 and the classes less one; where all of a person's
    photos have one class, the scale is their number. Rao and Scott's second-order correction (The analysis of categorical data
    from complex sample surveys, 1981), from the people's covariance of class shares.
    """
    n = len(classes)
    of = np.unique(np.asarray(person), return_inverse=True)[1]
    people = int(of.max()) + 1
    counts = np.bincount(of * NUM_CLASSES + classes, minlength=people * NUM_CLASSES).reshape(people, NUM_CLASSES)
    share = counts.sum(axis=0) / n
    there = share > 0
    if there.sum() < 2 or people < 2:
        return 1.0, float(max(there.sum() - 1, 1))
    apart = (counts - share * counts.sum(axis=1, keepdims=True))[:, there]
    effects = apart.T @ apart * people / (people - 1) / n / share[there]  # its eigenvalues are the design effects
    first, second = np.trace(effects), np.trace(effects @ effects)
    return float(second / first), float(first**2 / second)


def distribution_p(counts: np.ndarray, expected: Expected) -> float:
    """How likely class counts at least so different are, if both come from people of one kind: p of a chi-square test.

    Of two samples, by `design`; classes absent from both are left out.
    """
    from scipy.stats import chi2
    table = np.stack([counts, expected.counts]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    scale, freedom = expected.design
    return float(chi2.sf(((table - fitted) ** 2 / fitted).sum() / scale, freedom))


def check_place(out: Path, data: Path, paths: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless a submission made from `paths` may be written to `out`, and its record beside it."""
    if out.suffix != ".csv" or out.name == board.NAME:
        raise problem(out, "is no name for a submission", remedy="let --out end in .csv")
    for place in (out, out.with_suffix(".json")):
        refuse_input(place, data, *paths)
    record = out.with_suffix(".json")
    if not force:
        refuse_existing(out, record)
    elif record.exists() and not {"kit", "sha256", "members"} <= read_json(record).keys():
        raise problem(record, "is no record of a submission, and would be replaced by one", remedy="choose another --out")
    check_writable(out)


def check_writable(path: Path) -> None:
    """Raise `KitError` where a file could not be written for its folder."""
    place = next(folder for folder in path.absolute().parents if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise problem(path, f"cannot be written: {place} is read-only, or no folder", remedy="choose another place")


def record_of(path: Path) -> dict[str, Any] | None:
    """The record beside a submission; None where there is none, or it is of another file."""
    try:
        record = read_json(path.with_suffix(".json"))
        return record if record.get("sha256") == file_hash(path) else None
    except KitError:
        return None


def paired_draws(rows: Sequence[dict[str, Any]], folder: Path) -> np.ndarray | None:
    """The bootstrap draws (submissions, draws) of out-of-fold macro-F1 that the records of submissions, `rows` of a log, hold.

    None unless all are paired, that is, of the same photos of one fold plan, so that each draw takes the same people.
    """
    found, of = [], []
    for row in rows:
        try:
            record = record_of(folder / row["submission"]) or {}
            oof = record["oof"]
            of.append((row["sha256"] == record["sha256"], record["plan"], oof["photos"], oof["people"], sorted(oof["folds"])))
            found.append([float(value) for value in oof["draws"].split()])
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
    if not of or not of[0][0] or any(other != of[0] for other in of) or len({len(draws) for draws in found}) > 1:
        return None
    draws = np.array(found)
    return draws if draws.size and np.isfinite(draws).all() else None


def expected_of(path: Path, plan: Plan | None) -> Expected | None:
    """What a submission's class counts are held against: its record's out-of-fold counts, or the plan's labels without one."""
    try:
        oof = (record_of(path) or {})["oof"]
        (scale, freedom), counts = oof["design"], np.array(oof["predicted_counts"], dtype=np.int64)
        if counts.shape != (NUM_CLASSES,):
            raise ValueError(f"{len(counts)} classes")
        return Expected(counts, (float(scale), float(freedom)), _OOF)
    except (KeyError, TypeError, ValueError):
        if plan is None:
            return None
    labels = plan.photos["label"].to_numpy()
    return Expected(np.bincount(labels, minlength=NUM_CLASSES), design(labels, plan.photos["person"].to_numpy()),
                    "the training labels")


def check_submission(path: Path, info: Path, expected: Expected | None) -> list[str]:
    """Check a submission as the competition will, and return warnings: absent classes, strange counts, an equal file.

    Raises `KitError` where ids, order or classes are not those of `info`.
    """
    classes, ids = read_submission(path, info), read_info(info)
    counts = np.bincount(classes, minlength=NUM_CLASSES)
    warnings = []
    absent = [CLASS_NAMES[c] for c in np.flatnonzero(counts == 0)]
    if absent:
        warnings.append(f"{path}: no photo has {'the class' if len(absent) == 1 else f'any of {len(absent)} classes'} "
                        f"({', '.join(absent[:3])}{', ...' * (len(absent) > 3)}), whose F1 is 0 then")
    if expected is not None:
        p = distribution_p(counts, expected)
        if p < _FAR:
            far = np.abs(counts / counts.sum() - expected.counts / expected.counts.sum()).argmax()
            warnings.append(f"{path}: its classes are distributed otherwise than {expected.source} (p = {p:.1g}), most of all "
                            f"{CLASS_NAMES[far]}: {counts[far] / counts.sum():.1%} instead of "
                            f"{expected.counts[far] / expected.counts.sum():.1%}")
    equal = [other for other in sorted(path.parent.glob("*.csv"))
             if other.resolve() != path.resolve() and _same(other, ids, classes)]
    if equal:
        warnings.append(f"{path}: is the same submission as {equal[0]}" + f", and {len(equal) - 1} more" * (len(equal) > 1))
    record = path.with_suffix(".json")
    if record.exists() and record_of(path) is None:
        warnings.append(f"{path}: {record.name} beside it is not its record: one of the two was changed")
    return warnings


def _same(other: Path, ids: Sequence[str], classes: np.ndarray) -> bool:
    try:
        theirs = read_answers(other, strict=True)
    except KitError:
        return False  # a leaderboard, or whatever else lies there
    joined = pd.Series(theirs["ans"].to_numpy(), index=theirs["ImageID"]).reindex(ids)
    return len(theirs) == len(ids) and bool((joined.to_numpy() == classes).all())
