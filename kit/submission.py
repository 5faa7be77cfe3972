"""What is wrong with a submission, and what is strange about it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.errors import KitError
from kit.labels import CLASS_NAMES, NUM_CLASSES
from kit.tables import Plan, read_answers, read_json, read_submission

_FAR = 0.001


@dataclass(frozen=True)
class Expected:
    """The class counts (18,) that a submission's are held against, how much photos of one person widen their chance, and whose
    they are.

    `effect` is the design effect: the variance of a class's share over that of as many photos of different people.
    """

    counts: np.ndarray
    effect: float
    source: str


def design_effect(classes: np.ndarray, person: np.ndarray) -> float:
    """The mean design effect of class shares (Rao and Scott, 1981, On the analysis of categorical data from surveys).

    `classes` and `person` are (N,). 1 where a person's photos are like anyone's, up to their number a person.
    """
    n = len(classes)
    of = np.unique(np.asarray(person), return_inverse=True)[1]
    people = int(of.max()) + 1
    counts = np.bincount(of * NUM_CLASSES + classes, minlength=people * NUM_CLASSES).reshape(people, NUM_CLASSES)
    share = counts.sum(axis=0) / n
    spread = ((counts - share * counts.sum(axis=1, keepdims=True)) ** 2).sum(axis=0) * people / max(people - 1, 1) / n
    there = share > 0
    if there.sum() < 2:
        return 1.0
    return float(max(1.0, (spread[there] / share[there]).sum() / (there.sum() - 1)))


def distribution_p(counts: np.ndarray, expected: Expected) -> float:
    """How likely class counts at least so different are, if both come from people of one kind: p of a chi-square test.

    Of two samples, divided by the design effect (Rao and Scott's first-order correction); classes absent from both are left
    out.
    """
    from scipy.stats import chi2
    table = np.stack([counts, expected.counts]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = ((table - fitted) ** 2 / fitted).sum() / expected.effect
    return float(chi2.sf(statistic, max(table.shape[1] - 1, 1)))


def expected_of(path: Path, plan: Plan | None) -> Expected | None:
    """What a submission's class counts are held against: its record's out-of-fold counts, or the plan's labels without one."""
    record = path.with_suffix(".json")
    try:
        oof = read_json(record)["oof"]
        return Expected(np.array(oof["predicted_counts"]), float(oof["design_effect"]), "the out-of-fold predictions")
    except (KitError, KeyError, TypeError, ValueError):
        if plan is None:
            return None
    labels = plan.photos["label"].to_numpy()
    return Expected(np.bincount(labels, minlength=NUM_CLASSES), design_effect(labels, plan.photos["person"].to_numpy()),
                    "the training labels")


def check_submission(path: Path, info: Path, expected: Expected | None) -> list[str]:
    """Check a submission as the competition will, and return warnings: absent classes, strange counts, an equal file.

    Raises `KitError` where ids, order or classes are not those of `info`.
    """
    classes = read_submission(path, info)
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
    for other in sorted(path.parent.glob("*.csv")):
        if other.resolve() != path.resolve() and _same(other, classes, path):
            warnings.append(f"{path}: is the same submission as {other}")
    return warnings


def _same(other: Path, classes: np.ndarray, path: Path) -> bool:
    try:
        theirs, ours = read_answers(other), read_answers(path)
    except KitError:
        return False  # a leaderboard, or whatever else lies there
    if len(theirs) != len(ours):
        return False
    joined = pd.Series(theirs["ans"].to_numpy(), index=theirs["ImageID"]).reindex(ours["ImageID"])
    return bool((joined.to_numpy() == classes).all())
