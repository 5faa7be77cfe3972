"""From predictions to a `Comparison`."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.inference.member import unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.metrics.metric import metric_of
from kit.reporting.comparison import ComparedFile, Comparison, Flip, Gain, OofCounts, Pair, Truth
from kit.results.check import expected_counts, read_record
from kit.results.predictions import Predictions, read_files
from kit.scoring.agreement import cluster_order, kappa, most_diverse
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.class_counts import distribution_p
from kit.scoring.metrics import score

_SHOWN: Final = 5  # flips of a pair, unless all are asked for
_TESTED: Final = 10  # files of which every pair is tested
_Scored = dict[str, tuple[float, float | None]]


def read_runs(runs: Sequence[Path], plan: Plan) -> Predictions:
    """The out-of-fold predictions of runs, for the photos that all of them have."""
    members = find_members(runs, plan, [], allow_missing=True)
    oof = oof_probs(members, plan, DataFolder(Path(), plan.competition), "none", Compute())
    names = unique_names(members)
    chosen = [
        name
        for name, member in zip(names, members)
        if any(checkpoint.info.chosen_on_fold for checkpoint in member.checkpoints)
    ]
    return Predictions(
        plan.competition,
        names,
        oof.photos["image"].tolist(),
        oof.probs.argmax(axis=2),
        oof.photos["label"].to_numpy(),
        oof.photos["group"].to_numpy(),
        chosen,
    )


def compare(
    files: Sequence[Path],
    competition: Competition,
    answers: Path | None = None,
    all_flips: bool = False,
) -> Comparison:
    """Compare submission files, any order of rows, with each other and with answers."""
    return compare_files(files, read_files(files, answers, competition), all_flips)


def compare_files(
    files: Sequence[Path], predictions: Predictions, all_flips: bool = False
) -> Comparison:
    """The comparison of files, with what the records beside them hold.

    A file with a record has its out-of-fold counts. Without answers `apart` is by the records'
    out-of-fold scores.
    """
    comparison = compare_predictions(predictions, all_flips)
    compared = dict(comparison.files)
    for name, path in zip(predictions.names, files):
        expected = expected_counts(path, None, predictions.competition)
        if expected is not None:
            p = distribution_p(np.array(compared[name].counts), expected)
            oof = OofCounts(expected.counts.tolist(), p)
            compared[name] = dataclasses.replace(compared[name], oof=oof)
    apart = comparison.apart
    if comparison.truth is None:
        scores = {name: _oof_score(path) for name, path in zip(predictions.names, files)}
        scored = {name: value for name, value in scores.items() if value is not None}
        apart = _apart(comparison.pairs, scored)
    return dataclasses.replace(comparison, files=compared, apart=apart)


def compare_predictions(predictions: Predictions, all_flips: bool = False) -> Comparison:
    """The comparison of predicted classes with each other, and with the truth if it is known.

    A pair has its most frequent flips, or `all_flips`, and, of ten files or fewer, the gain of one
    over the other.
    """
    competition, truth, names = predictions.competition, predictions.truth, predictions.names
    tables = [np.bincount(c, minlength=competition.num_classes) for c in predictions.classes]
    files = {name: ComparedFile(table.tolist()) for name, table in zip(names, tables)}
    gains: dict[tuple[int, int], Gain] = {}
    reference = None
    if truth is not None:
        bootstrap = _bootstrap(predictions, truth)
        by = "photos" if predictions.groups is None else competition.groups
        counts = np.bincount(truth, minlength=competition.num_classes).tolist()
        reference = Truth(by, bootstrap.effective, counts)
        draws = [bootstrap.draws(predicted) for predicted in predictions.classes]
        for name, predicted, drawn in zip(names, predictions.classes, draws):
            scores = score(truth, predicted, competition)
            interval = bootstrap.interval(drawn)
            files[name] = dataclasses.replace(files[name], scores=scores, interval=interval)
        if len(names) <= _TESTED:
            f1 = [file.scores.score for file in files.values() if file.scores]
            gains = _gains(predictions.classes, bootstrap, draws, f1)
    pairs = [
        _pair(predictions, (i, j), gains.get((i, j)), all_flips)
        for i, j in itertools.combinations(range(len(names)), 2)
    ]
    return Comparison(
        competition,
        files,
        [names[i] for i in cluster_order(predictions.classes)],
        pairs,
        _apart(pairs, _scored(files)),
        reference,
        predictions.chosen,
    )


def _bootstrap(predictions: Predictions, truth: np.ndarray) -> GroupBootstrap:
    """A bootstrap over groups, or over photos where groups are not known."""
    groups = np.arange(len(truth)) if predictions.groups is None else predictions.groups
    return GroupBootstrap(
        groups, truth, predictions.competition.num_classes, metric_of(predictions.competition)
    )


def _gains(
    predicted: np.ndarray,
    bootstrap: GroupBootstrap,
    draws: Sequence[np.ndarray],
    f1: Sequence[float],
) -> dict[tuple[int, int], Gain]:
    """The gain of each pair's second file over its first, by the pair's numbers."""
    return {
        (i, j): Gain(
            f1[j] - f1[i],
            bootstrap.interval(draws[j] - draws[i]),
            bootstrap.paired_p(predicted[i], predicted[j]),
        )
        for i, j in itertools.combinations(range(len(predicted)), 2)
    }


def _pair(
    predictions: Predictions, at: tuple[int, int], gain: Gain | None, all_flips: bool
) -> Pair:
    """The agreement of the two files of numbers `at`."""
    competition, (a, b) = predictions.competition, predictions.classes[list(at)]
    n = competition.num_classes
    table = np.bincount(a * n + b, minlength=n**2).reshape(n, n)
    flips = np.where(np.eye(n, dtype=bool), 0, table).ravel()
    kinds = int(np.count_nonzero(flips))
    number = kinds if all_flips else min(kinds, _SHOWN)
    order = np.argsort(-flips, kind="stable")[:number].tolist()
    answers = zip(competition.parts, competition.decode(np.arange(n)))
    return Pair(
        predictions.names[at[0]],
        predictions.names[at[1]],
        len(a),
        float(np.trace(table) / len(a)),
        kappa(table),
        int(flips.sum()),
        {task.name: int(table[np.not_equal.outer(x, x)].sum()) for task, x in answers},
        [Flip(f // n, f % n, int(flips[f])) for f in order],
        kinds - len(order),
        gain,
    )


def _scored(files: Mapping[str, ComparedFile]) -> _Scored:
    """Macro-F1 of files with scores, and the lower end of its interval."""
    return {
        name: (file.scores.score, file.interval[0] if file.interval else None)
        for name, file in files.items()
        if file.scores is not None
    }


def _apart(pairs: Sequence[Pair], scored: _Scored) -> list[dict[str, Any]] | None:
    """The files that are strong and least alike, as `most_diverse` has them."""
    return most_diverse({frozenset((pair.a, pair.b)): pair.kappa for pair in pairs}, scored)


def _oof_score(path: Path) -> tuple[float, float | None] | None:
    """A submission's out-of-fold macro-F1 and its interval's lower end, by the record beside it."""
    try:
        oof = (read_record(path) or {})["oof"]
        return float(oof["score"]), float(oof["interval"][0]) if oof[
            "interval"
        ] is not None else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None
