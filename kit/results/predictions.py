"""Predicted classes of several submissions, joined by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.results.submission import read_answers
from kit.system.errors import problem


@dataclass(frozen=True)
class Predictions:
    """Predicted `classes` (files, N) of the photos `ids`, by the files' `names`.

    `truth` and `groups` are (N,) where they are known. `chosen` are the names of runs whose epochs
    were chosen on the fold that they are scored on; None of files.
    """

    competition: Competition
    names: list[str]
    ids: list[str]
    classes: np.ndarray
    truth: np.ndarray | None = None
    groups: np.ndarray | None = None
    chosen: list[str] | None = None


def read_files(
    files: Sequence[Path], answers: Path | None, competition: Competition
) -> Predictions:
    """Read submissions, joined by id in the first one's order, and answers.

    Answers may have a column of groups. Raises `KitError` where two files have not the same ids.
    """
    names, tables = _names(files), [read_answers(path, competition) for path in files]
    ids = pd.Index(tables[0][competition.id])
    joined = [_joined(path, table, files[0], ids) for path, table in zip(files, tables)]
    if answers is None:
        return Predictions(competition, names, ids.tolist(), np.stack(joined))
    table = read_answers(answers, competition)
    truth = _joined(answers, table, files[0], ids)
    rows = pd.Index(table[competition.id]).get_indexer(ids)
    grouped = competition.group in table
    groups = table[competition.group].to_numpy()[rows] if grouped else None
    return Predictions(competition, names, ids.tolist(), np.stack(joined), truth, groups)


def _names(files: Sequence[Path]) -> list[str]:
    """The files' stems; whole paths where two stems are the same."""
    places = [path.resolve() for path in files]
    first = {place: i for i, place in reversed(list(enumerate(places)))}
    twice = [str(path) for i, (path, place) in enumerate(zip(files, places)) if first[place] < i]
    if twice:
        raise problem(twice[0], "the same file twice", twice, "name each file once")
    stems = [path.stem for path in files]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in files]


def _joined(path: Path, table: pd.DataFrame, first: Path, ids: pd.Index) -> np.ndarray:
    """A file's classes in the order of `ids`, the ids of the file `first`.

    The ids are the first column of `table`, and the classes its second one.
    """
    given = pd.Index(table.iloc[:, 0])
    rows = np.arange(len(ids)) if given.equals(ids) else given.get_indexer(ids)
    if (rows < 0).any() or len(given) != len(ids):  # ids are unique
        missing, extra = ids[rows < 0], given[~given.isin(ids)]
        what = "lacks ids of" if len(missing) else "has ids that are not in"
        names = list(missing) if len(missing) else list(extra)
        raise problem(path, f"{what} {first}", names, "compare submissions to one competition")
    classes: np.ndarray = table.iloc[:, 1].to_numpy()[rows]
    return classes
