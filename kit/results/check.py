"""What is wrong with a submission, and what is unusual about it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.folder import DataFolder, read_ids
from kit.data.plan import Plan
from kit.results import leaderboard
from kit.results.submission import read_answers, read_submission
from kit.scoring.class_counts import Expected, distribution_p, rao_scott_correction
from kit.system.disk import check_output, file_hash, read_json
from kit.system.errors import KitError, problem

_FAR = 0.001  # the p of a chi-square below which class counts are strange


def check_place(out: Path, inputs: Iterable[Path], force: bool) -> None:
    """Raise `KitError` unless a submission may be written to `out`, and its record beside it."""
    if out.name == leaderboard.NAME:
        what = "is no name for a submission, but the leaderboard log's"
        raise problem(out, what, remedy="choose another --out")
    record, inputs = out.with_suffix(".json"), list(inputs)
    check_output(out, "a submission", suffixes=(".csv",), inputs=inputs, force=force)
    check_output(record, inputs=inputs, force=force)
    if record.exists() and not {"kit", "sha256", "members"} <= read_json(record).keys():
        what = "is no record of a submission, and would be replaced by one"
        raise problem(record, what, remedy="choose another --out")


def read_record(path: Path) -> dict[str, Any] | None:
    """The record beside a submission; None without a record, or if it is of another file."""
    try:
        record = read_json(path.with_suffix(".json"))
        return record if record.get("sha256") == file_hash(path) else None
    except KitError:
        return None


def paired_draws(rows: Sequence[leaderboard.BoardRow], folder: Path) -> np.ndarray | None:
    """The bootstrap draws (submissions, draws) of out-of-fold macro-F1 that records hold.

    `rows` are those of the submissions in the leaderboard log of a `folder`. None unless all draws
    are paired, that is, of the same photos of one fold plan: then each draw takes the same groups.
    """
    draws, photos = [], []
    for row in rows:
        try:
            record = read_record(folder / row.submission) or {}
            oof = record["oof"]
            of = (record["plan"], oof["photos"], oof["groups"], sorted(oof["folds"]))
            photos.append((row.sha256 == record["sha256"], *of))
            draws.append([float(value) for value in oof["draws"].split()])
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
    same = bool(photos) and photos[0][0] and all(other == photos[0] for other in photos)
    if not same or len({len(values) for values in draws}) > 1:
        return None
    table = np.array(draws)
    return table if table.size and np.isfinite(table).all() else None


def expected_counts(path: Path, plan: Plan | None, classes: int) -> Expected | None:
    """The class counts that a submission's are compared with.

    They are its record's out-of-fold counts, or, without a record, the plan's labels.
    """
    try:
        oof = (read_record(path) or {})["oof"]
        (scale, freedom), counts = oof["rao_scott_correction"], np.array(oof["predicted_counts"])
        if counts.shape != (classes,) or counts.dtype.kind not in "iu":
            raise ValueError(f"{len(counts)} classes")
        correction = float(scale), float(freedom)
        return Expected(counts, correction, "the out-of-fold predictions")
    except (KeyError, TypeError, ValueError):
        if plan is None:
            return None
    labels, groups = plan.photos["label"].to_numpy(), plan.photos["group"].to_numpy()
    counts = np.bincount(labels, minlength=classes)
    return Expected(counts, rao_scott_correction(labels, groups, classes), "the training labels")


def check_submission(path: Path, data: DataFolder, expected: Expected | None) -> list[str]:
    """Check a submission as the competition will; warnings for the user.

    They are of absent classes, of unusual counts and of an equal file. Raises `KitError` if ids,
    order or classes are not those that the competition wants.
    """
    competition = data.competition
    predicted, ids = read_submission(path, data), read_ids(data)
    counts = np.bincount(predicted, minlength=competition.num_classes)
    warnings = _absent(path, counts, competition) if competition.answers_classes else []
    if expected is not None:
        warnings += _strange(path, counts, expected, competition)
    others = [p for p in sorted(path.parent.glob("*.csv")) if p.resolve() != path.resolve()]
    equal = [other for other in others if _same(other, ids, predicted, competition)]
    if equal:
        more = f", and {len(equal) - 1} more" * (len(equal) > 1)
        warnings.append(f"{path}: is the same submission as {equal[0]}{more}")
    record = path.with_suffix(".json")
    if record.exists() and read_record(path) is None:
        warnings.append(
            f"{path}: {record.name} beside it is not its record: one of the two was changed"
        )
    return warnings


def _absent(path: Path, counts: np.ndarray, competition: Competition) -> list[str]:
    """A warning of the classes that no photo has, if there are any."""
    absent = [competition.class_names[c] for c in np.flatnonzero(counts == 0)]
    if not absent:
        return []
    which = "the class" if len(absent) == 1 else f"any of {len(absent)} classes"
    names = f"{', '.join(absent[:3])}{', ...' * (len(absent) > 3)}"
    return [f"{path}: no photo has {which} ({names}), whose F1 is 0 then"]


def _strange(
    path: Path, counts: np.ndarray, expected: Expected, competition: Competition
) -> list[str]:
    """A warning of class counts that chance does not explain."""
    p = distribution_p(counts, expected)
    if p >= _FAR:
        return []
    shares, usual = counts / counts.sum(), expected.counts / expected.counts.sum()
    far = np.abs(shares - usual).argmax()
    return [
        f"{path}: its classes are distributed otherwise than {expected.source} (p = {p:.1g}), most "
        f"of all {competition.class_names[far]}: {shares[far]:.1%} instead of {usual[far]:.1%}"
    ]


def _same(other: Path, ids: Sequence[str], predicted: np.ndarray, competition: Competition) -> bool:
    """True if another file is a submission of the same classes."""
    if not competition.answers_classes:
        return False  # other probabilities may have the same classes
    try:
        table = read_answers(other, competition, strict=True)
    except KitError:
        return False  # a leaderboard, or another file
    answers = pd.Series(table[competition.answer_column].to_numpy(), index=table[competition.id])
    return len(table) == len(ids) and bool((answers.reindex(ids).to_numpy() == predicted).all())
