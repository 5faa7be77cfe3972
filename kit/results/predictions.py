"""Predicted classes of several submissions, joined by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.results.submission import read_answers
from kit.system.errors import problem


@dataclass(frozen=True)
class Predictions:
    """Predicted `classes` (files, N) of the photos `ids`, by files' `names`; `truth` and `person`
    are (N,) where known.

    `chosen` are the names of runs whose epochs were chosen on the fold that they are scored on;
    None of files.
    """

    names: list[str]
    ids: list[str]
    classes: np.ndarray
    truth: np.ndarray | None = None
    person: np.ndarray | None = None
    chosen: list[str] | None = None


def read_files(files: Sequence[Path], answers: Path | None = None) -> Predictions:
    """Read submissions, joined by id in the first one's order, and answers.

    Answers may have a column `person`. Raises `KitError` where two files do not have the same ids.
    """
    names, tables = _names(files), [read_answers(path) for path in files]
    ids = pd.Index(tables[0]["ImageID"])
    classes = np.stack([_joined(path, table, files[0], ids) for path, table in zip(files, tables)])
    if answers is None:
        return Predictions(names, ids.tolist(), classes)
    table = read_answers(answers)
    where = pd.Index(table["ImageID"]).get_indexer(ids)
    truth = _joined(answers, table, files[0], ids)
    return Predictions(
        names,
        ids.tolist(),
        classes,
        truth,
        table["person"].to_numpy()[where] if "person" in table else None,
    )


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
    """A file's classes in the order of `ids`, the ids of the file `first`."""
    own = pd.Index(table["ImageID"])
    where = np.arange(len(ids)) if own.equals(ids) else own.get_indexer(ids)
    if (where < 0).any() or len(own) != len(ids):  # ids are unique
        missing, extra = ids[where < 0], own[~own.isin(ids)]
        what, found = (
            ("lacks ids of", missing) if len(missing) else ("has ids that are not in", extra)
        )
        raise problem(
            path, f"{what} {first}", list(found), "compare submissions to one competition"
        )
    classes: np.ndarray = table["ans"].to_numpy()[where]
    return classes
