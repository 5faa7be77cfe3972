"""What one should know of a fold plan: classes out of balance, look-alikes, suspects."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.leaks import Link
from kit.data.plan import Plan
from kit.data.split import class_counts, imbalance

_LINES: Final = 20  # of one kind that are told one by one


def suspects(
    links: Sequence[Link], photos: pd.DataFrame, competition: Competition
) -> list[dict[str, Any]]:
    """Look-alikes with different labels: one of the two is probably wrong.

    Each is a link with `label_a` and `label_b`. Where photos come in groups there are none: the
    audit then compares groups, whose labels it knows nothing of.
    """
    if competition.is_grouped or not links:
        return []
    label = dict(zip(photos["image"], photos["label"]))
    return [
        link.record() | {"label_a": _words(a, competition), "label_b": _words(b, competition)}
        for link in links
        if (a := label[link.a]) != (b := label[link.b])
    ]


def _words(label: Any, competition: Competition) -> str:
    """The names of a photo's label or labels."""
    numbers = map(int, label.split()) if competition.several_labels else [int(label)]
    return competition.names_of(numbers)


def plan_remarks(
    links: Sequence[Link], doubtful: Sequence[dict[str, Any]], plan: Plan
) -> list[str]:
    """Remarks on one's own folds, on suspects, and on look-alikes that one's own folds part."""
    remarks, own = list[str](), plan.competition.fold
    if own:
        what = f"the {plan.k} folds are those of column '{own}'"
        remarks.append(f"{what}: --folds and --seed change nothing")
    if doubtful:
        first = doubtful[0]
        remarks.append(
            f"{len(doubtful):,} pairs of look-alikes have different labels, so one of each is "
            f"probably wrong, the first: {first['a']} ({first['label_a']}) and {first['b']} "
            f"({first['label_b']}); folds.json has all, and --corrections mends them"
        )
    fold = dict(zip(plan.photos["image"], plan.photos["fold"])) if links else {}
    parted = [link for link in links if fold[link.a] != fold[link.b]]
    if parted:
        remarks.append(
            f"the folds of column '{own}' part {len(parted):,} pairs of "
            f"look-alikes, the first: {parted[0].a} and {parted[0].b}; out-of-fold scores are too "
            "good by them"
        )
    return remarks


def balance_remarks(photos: pd.DataFrame, competition: Competition) -> list[str]:
    """Remarks on classes that differ between folds, that a fold lacks, and that have no photo."""
    lines = imbalance(photos, competition)
    if len(lines) > _LINES:
        what = "classes differ between folds by more photos than one group makes, the first: "
        lines = [f"{len(lines):,} {what}{lines[0].removeprefix('class ')}"]
    names, counts = competition.class_names, class_counts(photos, competition)
    total, number = counts.sum(axis=0), competition.num_classes
    thin = [names[c] for c in np.flatnonzero((total > 0) & (counts.min(axis=0) == 0))]
    if thin:
        lines.append(
            f"{len(thin):,} of {number:,} classes have no photo in some folds, the first: {thin[0]}"
        )
    absent = [names[c] for c in np.flatnonzero(total == 0)]
    if absent:
        cost = "; each counts 0 in macro-F1" if competition.metric == "f1_macro" else ""
        lines.append(
            f"{len(absent):,} of {number:,} classes have no photo, the first: {absent[0]}{cost}"
        )
    return lines
