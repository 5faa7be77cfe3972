"""The answers of several submissions, joined by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.results.answers import read_answers
from kit.results.record_file import check_record
from kit.system.errors import problem


@dataclass(frozen=True)
class Predictions:
    """The answers of files (F,) by their `names`, to the photos `ids` (N,), or to their units.

    `classes` are int64 (F, N), or uint8 (F, N, C) of several labels; `probs` are float32 (F, N, C)
    where probabilities are asked for. `truth` is (N,) or (N, C), and `groups` (N,), where they are
    known. `chosen` are the names of runs whose epochs were chosen on the fold that they are scored
    on; None of files.
    """

    competition: Competition
    names: list[str]
    ids: list[str]
    classes: np.ndarray
    truth: np.ndarray | None = None
    groups: np.ndarray | None = None
    chosen: list[str] | None = None
    probs: np.ndarray | None = None


def read_files(
    files: Sequence[Path], answers: Path | None, competition: Competition
) -> Predictions:
    """Read submissions, joined by id in the first one's order, and answers.

    Answers may have a column of groups. Raises `KitError` where two files have not the same ids,
    where the record beside one is another's, and where one has no probabilities, and probabilities
    are asked for.
    """
    for path in files:
        check_record(path)
    names, given = _names(files), [read_answers(path, competition) for path in files]
    ids, probs, truth, groups = given[0].ids, None, None, None
    rows = [_rows_of(path, one.ids, files[0], ids) for path, one in zip(files, given)]
    if not competition.decided:
        probs = np.stack([_probs(path, one.probs)[r] for path, one, r in zip(files, given, rows)])
    classes = np.stack([one.classes[r] for one, r in zip(given, rows)])
    if answers is not None:
        true = read_answers(answers, competition)
        order = _rows_of(answers, true.ids, files[0], ids)
        truth = true.classes[order]
        groups = None if true.groups is None else true.groups[order]
    return Predictions(competition, names, list(ids), classes, truth, groups, probs=probs)


def _probs(path: Path, probs: np.ndarray | None) -> np.ndarray:
    """The probabilities of a file; raises `KitError` if it has none."""
    if probs is None:
        what = "holds classes, and a submission holds probabilities"
        raise problem(path, what, remedy="name a submission, or the truth with --answers")
    return probs


def _names(files: Sequence[Path]) -> list[str]:
    """The files' stems; whole paths where two stems are the same."""
    places = [path.resolve() for path in files]
    first = {place: i for i, place in reversed(list(enumerate(places)))}
    twice = [str(path) for i, (path, place) in enumerate(zip(files, places)) if first[place] < i]
    if twice:
        raise problem(twice[0], "the same file twice", twice, "name each file once")
    stems = [path.stem for path in files]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in files]


def _rows_of(path: Path, given: pd.Index, first: Path, ids: pd.Index) -> np.ndarray:
    """The rows (N,) of a file, whose ids are `given`, in the order of `ids` of the file `first`."""
    rows = np.arange(len(ids)) if given.equals(ids) else given.get_indexer(ids)
    if (rows < 0).any() or len(given) != len(ids):  # ids are unique
        missing, extra = ids[rows < 0], given[~given.isin(ids)]
        what = "lacks ids of" if len(missing) else "has ids that are not in"
        names = list(missing) if len(missing) else list(extra)
        raise problem(path, f"{what} {first}", names, "compare submissions to one competition")
    return rows
