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
from kit.data.targets import targets
from kit.inference.engine import Compute
from kit.inference.member import unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.metrics.metric import Metric, metric_of
from kit.reporting.comparison import ComparedFile, Comparison, Gain, OofCounts, Pair, Truth
from kit.reporting.likeness import Likeness, of_classes, of_lists, of_probs
from kit.results.check import expected_counts
from kit.results.predictions import Predictions, read_files
from kit.results.record_file import read_record
from kit.scoring.agreement import cluster_order, leaf_order, most_diverse
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.class_counts import class_counts, distribution_p
from kit.scoring.metrics import decided, score

_TESTED: Final = 10  # files of which every pair is tested
_Scored = dict[str, tuple[float, float | None]]  # more is better


def read_runs(runs: Sequence[Path], plan: Plan) -> Predictions:
    """The out-of-fold predictions of runs, for the photos that all of them have."""
    members, competition = find_members(runs, plan, [], allow_missing=True), plan.competition
    oof = oof_probs(members, plan, DataFolder(Path(), competition), "none", Compute())
    names = unique_names(members)
    chosen = [
        name
        for name, member in zip(names, members)
        if any(checkpoint.info.chosen_on_fold for checkpoint in member.checkpoints)
    ]
    needed = metric_of(competition).of_probs or not competition.decided
    return Predictions(
        competition,
        names,
        oof.photos["image"].tolist(),
        np.stack([decided(probs, competition) for probs in oof.probs]),
        targets(oof.photos, competition),
        oof.photos["group"].to_numpy(),
        chosen,
        oof.probs if needed else None,
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
    comparison, competition = compare_predictions(predictions, all_flips), predictions.competition
    compared, photos = dict(comparison.files), len(predictions.ids)
    for name, path in zip(predictions.names, files):
        expected = expected_counts(path, None, competition) if competition.decided else None
        if expected is not None:
            counts = np.array(compared[name].counts)
            scale = counts.sum() / max(expected.counts.sum(), 1)
            scale = photos / expected.photos if expected.photos else float(scale)
            p = distribution_p(counts, expected, photos)
            oof = OofCounts(expected.counts.tolist(), p, scale)
            compared[name] = dataclasses.replace(compared[name], oof=oof)
    apart = comparison.apart
    if comparison.truth is None:
        sign = metric_of(competition).sign
        scores = {name: _oof_score(path, sign) for name, path in zip(predictions.names, files)}
        scored = {name: value for name, value in scores.items() if value is not None}
        apart = _apart(comparison.pairs, scored)
    return dataclasses.replace(comparison, files=compared, apart=apart)


def compare_predictions(predictions: Predictions, all_flips: bool = False) -> Comparison:
    """The comparison of predictions with each other, and with the truth if it is known.

    A pair has its most frequent flips, or `all_flips`, and, of ten files or fewer, the gain of one
    over the other.
    """
    competition, truth, names = predictions.competition, predictions.truth, predictions.names
    files = {name: _file(predictions, n) for n, name in enumerate(names)}
    gains: dict[tuple[int, int], Gain] = {}
    reference = None
    if truth is not None:
        metric = metric_of(competition)
        bootstrap = _bootstrap(predictions, truth, metric)
        by = "photos" if predictions.groups is None else competition.groups
        counts = class_counts(truth, competition.num_classes).tolist()
        reference = Truth(by, bootstrap.effective, counts)
        given = [_scored_answers(predictions, n, metric) for n in range(len(names))]
        draws = [bootstrap.draws(answers) for answers in given]
        for name, said, answers, drawn in zip(names, predictions.classes, given, draws):
            scores = score(truth, said, competition, answers if metric.of_probs else None)
            interval = bootstrap.interval(drawn)
            files[name] = dataclasses.replace(files[name], scores=scores, interval=interval)
        if len(names) <= _TESTED:
            values = [file.scores.score for file in files.values() if file.scores]
            gains = _gains(given, bootstrap, draws, values)
    pairs = [
        Pair(
            names[i],
            names[j],
            len(predictions.ids),
            _likeness(predictions, (i, j), all_flips),
            gains.get((i, j)),
        )
        for i, j in itertools.combinations(range(len(names)), 2)
    ]
    return Comparison(
        competition,
        files,
        [names[i] for i in _order(predictions, pairs)],
        pairs,
        _apart(pairs, _scored(files, competition)),
        reference,
        predictions.chosen,
    )


def _file(predictions: Predictions, n: int) -> ComparedFile:
    """The counts of a file by its number, or the means of its probabilities."""
    competition = predictions.competition
    counts = class_counts(predictions.classes[n], competition.num_classes).tolist()
    if competition.decided or predictions.probs is None:
        return ComparedFile(counts)
    means = predictions.probs[n].mean(axis=0, dtype=np.float64).tolist()
    return ComparedFile(counts, means=means)


def _scored_answers(predictions: Predictions, n: int, metric: Metric) -> np.ndarray:
    """What the metric scores of a file: its decided answers, or probabilities.

    Where it takes probabilities, and a submission has classes, they are 1 and 0.
    """
    classes, probs = predictions.classes[n], predictions.probs
    if not metric.of_probs:
        return classes
    if probs is not None:
        return np.asarray(probs[n])
    if classes.ndim == 2:
        return np.asarray(classes.astype(np.float32))
    return np.eye(predictions.competition.num_classes, dtype=np.float32)[classes]


def _bootstrap(predictions: Predictions, truth: np.ndarray, metric: Metric) -> GroupBootstrap:
    """A bootstrap over groups, or over photos where groups are not known.

    Photos are told apart by their ids, so that the order of a file's rows does not matter.
    """
    groups = np.array(predictions.ids) if predictions.groups is None else predictions.groups
    return GroupBootstrap(groups, truth, predictions.competition.num_classes, metric)


def _gains(
    given: Sequence[np.ndarray],
    bootstrap: GroupBootstrap,
    draws: Sequence[np.ndarray],
    scores: Sequence[float],
) -> dict[tuple[int, int], Gain]:
    """The gain of each pair's second file over its first, by the pair's numbers."""
    sign = bootstrap.metric.sign
    return {
        (i, j): Gain(
            sign * (scores[j] - scores[i]),
            bootstrap.interval(sign * (draws[j] - draws[i])),
            bootstrap.paired_p(given[i], given[j]),
        )
        for i, j in itertools.combinations(range(len(given)), 2)
    }


def _likeness(predictions: Predictions, at: tuple[int, int], all_flips: bool) -> Likeness:
    """How alike the two files of numbers `at` are, by the form of a submission."""
    competition, (a, b) = predictions.competition, predictions.classes[list(at)]
    if not competition.decided and predictions.probs is not None:
        of_ranks = metric_of(competition).column is not None
        one, other = predictions.probs[list(at)]
        return of_probs(one, other, competition.several_labels, of_ranks)
    if competition.several_labels:
        return of_lists(a, b, all_flips)
    return of_classes(a, b, competition, all_flips)


def _order(predictions: Predictions, pairs: Sequence[Pair]) -> list[int]:
    """The numbers of the files, similar ones side by side."""
    competition, files = predictions.competition, len(predictions.names)
    if competition.decided and not competition.several_labels:
        return cluster_order(predictions.classes)
    if files < 3:
        return list(range(files))
    return leaf_order(np.array([max(0.0, 1 - pair.likeness.similarity) for pair in pairs]))


def _scored(files: Mapping[str, ComparedFile], competition: Competition) -> _Scored:
    """The scores of files, and the worse end of their intervals, times -1 where less is better."""
    sign = metric_of(competition).sign
    return {
        name: (sign * file.scores.score, _worse_end(file.interval, sign))
        for name, file in files.items()
        if file.scores is not None
    }


def _worse_end(interval: Sequence[float] | None, sign: int) -> float | None:
    return min(sign * float(end) for end in interval) if interval else None


def _apart(pairs: Sequence[Pair], scored: _Scored) -> list[dict[str, Any]] | None:
    """The files that are strong and least alike, as `most_diverse` has them."""
    alike = {frozenset((pair.a, pair.b)): pair.likeness.similarity for pair in pairs}
    measure = pairs[0].likeness.measure if pairs else ""
    return most_diverse(alike, scored, measure)


def _oof_score(path: Path, sign: int) -> tuple[float, float | None] | None:
    """A submission's out-of-fold score and its worse end, by the record beside it, signed."""
    try:
        oof = (read_record(path) or {})["oof"]
        return sign * float(oof["score"]), _worse_end(oof["interval"], sign)
    except (KeyError, TypeError, ValueError, IndexError):
        return None
