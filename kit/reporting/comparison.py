"""Submissions, or runs, compared with each other and with the truth."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kit.competitions.mask import NUM_CLASSES, TASKS, decode
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.inference.member import unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.results.check import expected_counts, read_record
from kit.results.predictions import Predictions, read_files
from kit.scoring.agreement import cluster_order, kappa, most_diverse
from kit.scoring.bootstrap import GroupBootstrap, Interval
from kit.scoring.class_counts import distribution_p
from kit.scoring.metrics import score

_SHOWN = 5  # flips told of a pair, but for --all-flips


# The pairs of classes that differ in a task.
_DIFFER = {
    task: np.not_equal.outer(part, part)
    for task, part in zip(TASKS, decode(np.arange(NUM_CLASSES)))
}


_TESTED = 10  # files of which every pair is tested


def read_runs(runs: Sequence[Path], plan: Plan) -> Predictions:
    """The predictions of runs, out of fold, of the photos that all of them have."""
    members = find_members(runs, plan, [], allow_missing=True)
    oof = oof_probs(members, plan, Path(), "none", Compute())
    names = unique_names(members)
    return Predictions(
        names,
        oof.photos["image"].tolist(),
        oof.probs.argmax(axis=2),
        oof.photos["label"].to_numpy(),
        oof.photos["person"].to_numpy(),
        [
            name
            for name, m in zip(names, members)
            if any(c.card.chosen_on_fold for c in m.checkpoints)
        ],
    )


def compare(
    files: Sequence[Path], answers: Path | None = None, all_flips: bool = False
) -> dict[str, Any]:
    """Compare submission files, any order of rows, with each other and with answers: see
    `compare_files`.
    """
    return compare_files(files, read_files(files, answers), all_flips)


def compare_files(
    files: Sequence[Path], read: Predictions, all_flips: bool = False
) -> dict[str, Any]:
    """What `compare_classes` tells of files that were `read`, and what the records beside them do.

    A file with a record has `oof_counts` (18,), what was predicted out of fold, and `oof_p`, how
    likely counts that differ as much are by chance. Without answers `apart` is by the records'
    out-of-fold scores.
    """
    result = compare_classes(read.names, read.classes, read.truth, read.person, all_flips)
    for name, path in zip(read.names, files):
        expected = expected_counts(path, None)
        if expected is not None:
            file = result["files"][name]
            file |= {
                "oof_counts": expected.counts.tolist(),
                "oof_p": distribution_p(np.array(file["counts"]), expected),
            }
    if read.truth is None:
        scored = {
            name: found for name, path in zip(read.names, files) if (found := _out_of_fold(path))
        }
        result["apart"] = most_diverse(result, scored)
    return result


def compare_classes(
    names: Sequence[str],
    classes: np.ndarray,
    truth: np.ndarray | None = None,
    person: np.ndarray | None = None,
    all_flips: bool = False,
) -> dict[str, Any]:
    """Compare predicted classes (files, N) as plain values; `truth` and `person` are (N,).

    `files`: by name, `counts` (18,). `order`: the names, similar ones side by side. `pairs`: `a`,
    `b`, `photos`, `agreement` (0..1), `kappa` (Cohen's: agreement beyond that of chance, 1 at
    most), `differ`, how many of these differ in `mask`, `gender` and `age`, `flips`: `from`, `to`,
    `photos`, the most frequent first, five of them unless `all_flips`, and `other_flips`, how many
    more there are. With `truth`, `true_counts` are its own, `by` says whether intervals are by
    people or, where those are not known, by photos, which makes them too narrow, and `effective`
    how many of these they rest on; files have `scores` and `interval`, and pairs of ten files or
    fewer `gain` (b's macro-F1 over a's), `gain_interval` and `p`, of a paired permutation test;
    `apart` are the files that are strong and least alike (`most_diverse`). Intervals are None where
    they would rest on too few.
    """
    result: dict[str, Any] = {
        "files": {},
        "order": [names[i] for i in cluster_order(classes)],
        "pairs": [],
    }
    people, draws = None, []
    if truth is not None:
        people = GroupBootstrap(np.arange(len(truth)) if person is None else person, truth)
        result |= {"by": "photos" if person is None else "people", "effective": people.effective}
        result["true_counts"] = np.bincount(truth, minlength=NUM_CLASSES).tolist()
        draws = [people.macro(own) for own in classes]
    for n, (name, own) in enumerate(zip(names, classes)):
        result["files"][name] = {"counts": np.bincount(own, minlength=NUM_CLASSES).tolist()}
        if truth is not None and people is not None:
            result["files"][name] |= {
                "scores": asdict(score(truth, own)),
                "interval": _plain(people.interval(draws[n])),
            }
    for i, j in itertools.combinations(range(len(names)), 2):
        a, b = classes[i], classes[j]
        table = np.bincount(a * NUM_CLASSES + b, minlength=NUM_CLASSES**2).reshape(
            NUM_CLASSES, NUM_CLASSES
        )
        flips = np.where(np.eye(NUM_CLASSES, dtype=bool), 0, table).ravel()
        kinds = int(np.count_nonzero(flips))
        order = np.argsort(-flips, kind="stable")[
            : kinds if all_flips else min(kinds, _SHOWN)
        ].tolist()
        pair: dict[str, Any] = {
            "a": names[i],
            "b": names[j],
            "photos": len(a),
            "agreement": float(np.trace(table) / len(a)),
            "kappa": kappa(table),
            "differ": int(flips.sum()),
        }
        pair |= {task: int(table[differ].sum()) for task, differ in _DIFFER.items()}
        if people is not None and len(names) <= _TESTED:
            scores = [result["files"][names[k]]["scores"]["f1"] for k in (i, j)]
            pair |= {
                "gain": scores[1] - scores[0],
                "gain_interval": _plain(people.interval(draws[j] - draws[i])),
                "p": people.paired_p(a, b),
            }
        pair["flips"] = [
            {"from": f // NUM_CLASSES, "to": f % NUM_CLASSES, "photos": int(flips[f])}
            for f in order
        ]
        pair["other_flips"] = kinds - len(order)
        result["pairs"].append(pair)
    scored = {
        name: (file["scores"]["f1"], (file["interval"] or [None])[0])
        for name, file in result["files"].items()
        if "scores" in file
    }
    return result | {"apart": most_diverse(result, scored)}


def _plain(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None


def _out_of_fold(path: Path) -> tuple[float, float | None] | None:
    """The out-of-fold macro-F1 of a submission, and the lower end of its interval, by the record
    beside it.
    """
    try:
        oof = (read_record(path) or {})["oof"]
        return float(oof["f1"]), float(oof["interval"][0]) if oof["interval"] is not None else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None
