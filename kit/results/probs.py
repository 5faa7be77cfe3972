"""Probability files: the kit's own, and those of other programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.system.arrays import read_arrays
from kit.system.console import warn
from kit.system.disk import atomic_write
from kit.system.errors import KitError, is_unreadable, problem, unreadable
from kit.system.table import INDEX_NAMES, read_csv

PROBABILITY_FILES: Final = (".npz", ".csv")


@dataclass(frozen=True)
class Probs:
    """Class probabilities keyed by id: `ids` (N,) text, `probs` (N, C) float32 in 0..1.

    Rows sum to 1, except those of several labels, whose probabilities are each label's own.
    `key` names everything they were computed from (checkpoint, photos, view), so that a stale file
    is never used.
    """

    ids: np.ndarray
    probs: np.ndarray
    key: str = ""

    def at(self, ids: Sequence[str]) -> np.ndarray:
        """The rows of `ids`, in their order: (len(ids), C); an unknown id is a `KeyError`."""
        where = pd.Index(self.ids).get_indexer(pd.Index(ids))
        if (where < 0).any():
            raise KeyError(f"no probabilities for {ids[int(np.argmin(where))]}")
        return self.probs[where]


def write_probs(path: Path, table: Probs, force: bool = False) -> None:
    """Write probabilities as an `.npz` of plain arrays (no pickle)."""
    wrong = _wrong_probs(table)
    if wrong:
        raise ValueError(f"{path}: {wrong}")
    with atomic_write(path, force) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            ids=table.ids.astype(np.str_),
            probs=table.probs.astype(np.float32),
            key=np.array(table.key),
        )


def read_probs(path: Path) -> Probs:
    """Read and check probabilities."""
    again = "delete it; the command that made it makes it again"
    table = _read_npz(path, again)
    wrong = _wrong_probs(table)
    if wrong:
        raise problem(path, wrong, remedy=again)
    return table


def read_key(path: Path) -> str:
    """The key alone of probabilities; empty where there is none."""
    try:
        return str(read_arrays(path, ("key",))["key"])
    except Exception:  # damaged, or none: `read_probs` says it
        return ""


def _read_npz(path: Path, remedy: str) -> Probs:
    try:
        content = read_arrays(path, ("ids", "probs", "key"))
        key = str(content["key"]) if "key" in content else ""
        return Probs(content["ids"], content["probs"], key)
    except KitError:
        raise
    except Exception as error:  # zipfile, numpy and zlib each raise their own on a damaged file
        if is_unreadable(error):
            raise unreadable(path, error) from error
        if "Object arrays" in str(error):
            remedy = "save ids.astype(str), which needs no pickle"
        elif not isinstance(error, KeyError):  # the file, and not what it lacks
            remedy = f"put a copy of it back; {remedy}"
        raise problem(
            path, f"is no probability file ({type(error).__name__}: {error})", remedy=remedy
        ) from error


def _wrong_probs(table: Probs) -> str:
    """What is wrong with probabilities; empty if nothing is."""
    ids, probs = table.ids, table.probs
    if ids.dtype.kind != "U" or ids.ndim != 1 or len(ids) == 0:
        return "ids must be a list of texts"
    if probs.dtype.kind != "f" or probs.ndim != 2 or len(probs) != len(ids) or not probs.shape[1]:
        return f"probs must be floats {len(ids)} x classes, and are {probs.dtype} {probs.shape}"
    if len(np.unique(ids)) != len(ids):
        return "ids are not unique"
    if not np.isfinite(probs).all() or (probs < 0).any() or (probs > 1.001).any():
        return "probs are not finite numbers in 0..1"
    return ""


def read_foreign_probs(path: Path, competition: Competition) -> Probs:
    """Read another program's probabilities: an `.npz` of `ids` and `probs`, or a CSV.

    The CSV's first column is the competition's id, `image` or `id`; the others are named 0 to C-1,
    or by the class names, in any order. Of two classes answered by one probability, that of the
    second is enough: the answer's column, or `probs` (N,). Rows are scaled to sum to 1, except of
    several labels. Raises `KitError` with the count and the first id of what is wrong.
    """
    last = competition.num_classes - 1
    remedy = f"it needs an id and the probabilities of the classes 0 to {last} in every row"
    if path.suffix == ".npz":
        table = _read_foreign_npz(path, competition, remedy)
    else:
        table = _read_probs_csv(path, competition, remedy)
    _check_foreign(path, table, remedy, competition)
    if competition.several_labels:
        return Probs(table.ids, np.minimum(table.probs, 1).astype(np.float32))
    # To float32's precision, which deciding early relies on.
    sums = table.probs.sum(axis=1, dtype=np.float64, keepdims=True)
    return Probs(table.ids, (table.probs / sums).astype(np.float32))


def _read_foreign_npz(path: Path, competition: Competition, remedy: str) -> Probs:
    """The ids and numbers of an `.npz` of probabilities, their values not checked yet."""
    table, classes = _read_npz(path, remedy), competition.num_classes
    ids, probs, floats = table.ids, table.probs, table.probs.dtype.kind == "f"
    if (
        floats
        and competition.answer == "probability"
        and probs.shape in ((len(ids),), (len(ids), 1))
    ):
        return Probs(ids, of_second(probs.reshape(-1)))
    if ids.dtype.kind != "U" or ids.ndim != 1 or not floats or probs.shape != (len(ids), classes):
        raise problem(
            path,
            f"ids must be texts (N,) and probs floats (N, {classes}), and are "
            f"{ids.dtype} {ids.shape} and {probs.dtype} {probs.shape}",
            remedy=remedy,
        )
    return table


def of_second(second: np.ndarray) -> np.ndarray:
    """The probabilities of two classes (N, 2) from those of the second (N,)."""
    return np.stack([1 - second, second], axis=1).astype(np.float32)


def _read_probs_csv(path: Path, competition: Competition, remedy: str) -> Probs:
    """The ids and numbers of a CSV of probabilities, their values not checked yet."""
    rows = read_csv(path)
    if rows.columns[0] in INDEX_NAMES:
        warn(f"{path}: has an index column, which is left out")
        rows = rows.iloc[:, 1:]
    ident = competition.id if competition.id in rows else str(rows.columns[0])
    named = [str(name) for name in rows if name != ident]
    last = competition.num_classes - 1
    single = named == [competition.answer_column]
    if single and competition.answer != "probability":
        raise problem(path, "is a submission, and holds no probabilities", remedy=remedy)
    if ident not in (competition.id, "image", "id"):
        mend = f"name it {competition.id}, and the others 0 to {last}"
        raise problem(path, f"its first column is '{ident}'", remedy=mend)
    if single:
        second = pd.to_numeric(rows[named[0]], errors="coerce").to_numpy(dtype=np.float32)
        return Probs(rows[ident].to_numpy().astype(np.str_), of_second(second))
    by_name = bool(set(named) & set(competition.class_names))
    names = list(competition.class_names) if by_name else [str(c) for c in range(last + 1)]
    extra = [name for name in named if name not in names]
    lacking = [name for name in names if name not in named]
    if extra or lacking:
        what = "columns that are no class" if extra else "lacks columns of classes"
        raise problem(path, what, extra or lacking, f"name them 0 to {last}, or by the class names")
    numbers = rows[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    return Probs(rows[ident].to_numpy().astype(np.str_), numbers)


def _check_foreign(path: Path, table: Probs, remedy: str, competition: Competition) -> None:
    """Raise `KitError` for repeated ids, and for rows that are no probabilities."""
    ids, probs = pd.Series(table.ids), table.probs
    outside = ~((probs >= 0) & (probs <= 1.001))
    worst = probs[np.arange(len(probs)), outside.argmax(axis=1)]
    kind = "sigmoid" if competition.several_labels else "softmax"
    softmax = f"give {kind} probabilities, not logits or percents"
    decimals = "give them with more decimals, or divide each row by its sum"
    unsummed = ~(np.abs(probs.sum(axis=1, dtype=np.float64) - 1) <= 1e-3)
    unsummed &= not competition.several_labels
    no_numbers = ~np.isfinite(probs).all(axis=1)
    for what, bad, values, mend in (
        ("repeats ids", ids.duplicated(), None, "keep one row of each"),
        ("rows with values that are no numbers", no_numbers, None, remedy),
        ("rows with values outside 0..1", outside.any(axis=1), worst, softmax),
        ("rows that do not sum to 1", unsummed, probs.sum(axis=1), decimals),
    ):
        if bad.any():
            first = ids[bad].tolist()
            if values is not None:
                first = [f"{i}: {v:.4g}" for i, v in zip(first, values[bad])]
            raise problem(path, what, first, mend)


def write_foreign_probs(
    path: Path, table: Probs, competition: Competition, force: bool = False
) -> None:
    """Write probabilities as `read_foreign_probs` reads them, by the suffix.

    That is `.npz`, or `.csv` to the last bit.
    """
    if path.suffix == ".npz":
        return write_probs(path, table, force)
    with atomic_write(path, force) as temporary:
        names = [str(c) for c in range(table.probs.shape[1])]
        if set(names) & set(competition.class_names):  # numbers that may be other classes' names
            names = list(competition.class_names)
        rows = pd.DataFrame(table.probs.astype(np.float32), columns=names)
        rows.insert(0, competition.id, table.ids)
        rows.to_csv(temporary, index=False, lineterminator="\n", float_format="%.9g")
