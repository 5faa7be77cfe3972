"""Probability files: the kit's own, and those of other programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.competitions.mask import CLASS_NAMES, NUM_CLASSES
from kit.system.console import warn
from kit.system.disk import atomic_write, unreadable
from kit.system.errors import problem
from kit.system.table import read_csv


@dataclass(frozen=True)
class Probs:
    """Class probabilities keyed by id: `ids` (N,) text, `probs` (N, 18) float32 whose rows sum to
    1.

    `key` says what they were computed from (checkpoint, photos, view), so that a stale file is
    never used, and `seconds` how long that took.
    """

    ids: np.ndarray
    probs: np.ndarray
    key: str = ""
    seconds: float = 0.0

    def at(self, ids: Sequence[str]) -> np.ndarray:
        """The rows of `ids`, in their order: (len(ids), 18); an id that is not here is a
        `KeyError`.
        """
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
            seconds=np.array(table.seconds),
        )


def read_probs(path: Path) -> Probs:
    """Read and check probabilities."""
    again = "delete it; the command that made it makes it again"
    table = _read_npz(path, again)
    wrong = _wrong_probs(table)
    if wrong:
        raise problem(path, wrong, remedy=again)
    return table


def _read_npz(path: Path, remedy: str) -> Probs:
    try:
        with np.load(path, allow_pickle=False) as content:
            seconds = float(content["seconds"]) if "seconds" in content else 0.0
            return Probs(
                content["ids"],
                content["probs"],
                str(content["key"]) if "key" in content else "",
                seconds,
            )
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # zipfile, numpy and zlib each raise their own on a damaged file
        if "Object arrays" in str(error):
            remedy = "save ids.astype(str), which needs no pickle"
        raise problem(
            path, f"is no probability file ({type(error).__name__}: {error})", remedy=remedy
        ) from error


def _wrong_probs(table: Probs) -> str:
    if table.ids.dtype.kind != "U" or table.ids.ndim != 1 or len(table.ids) == 0:
        return "ids must be a list of texts"
    if table.probs.dtype.kind != "f" or table.probs.shape != (len(table.ids), NUM_CLASSES):
        return (
            f"probs must be floats {len(table.ids)} x {NUM_CLASSES}, and are "
            f"{table.probs.dtype} {table.probs.shape}"
        )
    if len(np.unique(table.ids)) != len(table.ids):
        return "ids are not unique"
    if not np.isfinite(table.probs).all() or (table.probs < 0).any():
        return "probs are not finite and positive"
    if len(_unsummed(table.probs)):
        return "rows of probs do not sum to 1"
    return ""


def _unsummed(probs: np.ndarray) -> np.ndarray:
    return np.flatnonzero(~(np.abs(probs.sum(axis=1, dtype=np.float64) - 1) <= 1e-3))


def read_foreign_probs(path: Path) -> Probs:
    """Read another program's probabilities: an `.npz` with `ids` and `probs`, or a CSV of ids and
    18 columns.

    The CSV's first column is `ImageID`, `image` or `id`; the others are named 0 to 17, or by the
    class names, in any order. Raises `KitError` with the count and the first id of what is wrong.
    """
    remedy = "it needs an id and the probabilities of the classes 0 to 17 in every row"
    if path.suffix == ".npz":
        table = _read_npz(path, remedy)
        if (
            table.ids.dtype.kind != "U"
            or table.ids.ndim != 1
            or table.probs.dtype.kind != "f"
            or table.probs.shape != (len(table.ids), NUM_CLASSES)
        ):
            raise problem(
                path,
                f"ids must be texts (N,) and probs floats (N, {NUM_CLASSES}), and are "
                f"{table.ids.dtype} "
                f"{table.ids.shape} and {table.probs.dtype} {table.probs.shape}",
                remedy=remedy,
            )
    else:
        rows = read_csv(path)
        if rows.columns[0] in ("", "Unnamed: 0"):
            warn(f"{path}: has an index column, which is left out")
            rows = rows.iloc[:, 1:]
        ident, named = str(rows.columns[0]), [str(name) for name in rows.columns[1:]]
        if named == ["ans"]:
            raise problem(path, "is a submission, and holds no probabilities", remedy=remedy)
        if ident not in ("ImageID", "image", "id"):
            raise problem(
                path,
                f"its first column is '{ident}'",
                remedy="name it ImageID, and the others 0 to 17",
            )
        wanted = (
            list(CLASS_NAMES)
            if set(named) & set(CLASS_NAMES)
            else [str(c) for c in range(NUM_CLASSES)]
        )
        wrong = [name for name in named if name not in wanted] or [
            name for name in wanted if name not in named
        ]
        if wrong:
            what = "columns that are no class" if wrong[0] in named else "lacks columns of classes"
            raise problem(path, what, wrong, "name them 0 to 17, or by the class names")
        numbers = rows[wanted].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
        table = Probs(rows[ident].to_numpy().astype(np.str_), numbers)
    ids, probs = pd.Series(table.ids), table.probs
    outside = ~((probs >= 0) & (probs <= 1.001))
    worst = probs[np.arange(len(probs)), outside.argmax(axis=1)]
    for what, bad, values, mend in (
        ("repeats ids", ids.duplicated(), None, "keep one row of each"),
        ("rows with values that are no numbers", ~np.isfinite(probs).all(axis=1), None, remedy),
        (
            "rows with values outside 0..1",
            outside.any(axis=1),
            worst,
            "give softmax probabilities, not logits or percents",
        ),
        (
            "rows that do not sum to 1",
            np.isin(np.arange(len(probs)), _unsummed(probs)),
            probs.sum(axis=1),
            "give them with more decimals, or divide each row by its sum",
        ),
    ):
        if bad.any():
            found = (
                [f"{i}: {v:.4g}" for i, v in zip(ids[bad], values[bad])]
                if values is not None
                else ids[bad].tolist()
            )
            raise problem(path, what, found, mend)
    # To float32's precision, which deciding early relies on.
    sums = table.probs.sum(axis=1, dtype=np.float64, keepdims=True)
    return Probs(table.ids, (table.probs / sums).astype(np.float32))


def write_foreign_probs(path: Path, table: Probs, force: bool = False) -> None:
    """Write probabilities in the form that `read_foreign_probs` reads, by the suffix: `.npz`, or
    `.csv` to the last bit.
    """
    if path.suffix == ".npz":
        return write_probs(path, table, force)
    with atomic_write(path, force) as temporary:
        rows = pd.DataFrame(
            table.probs.astype(np.float32), columns=[str(c) for c in range(NUM_CLASSES)]
        )
        rows.insert(0, "ImageID", table.ids)
        rows.to_csv(temporary, index=False, lineterminator="\n", float_format="%.9g")


PROBABILITY_FILES: Final = (".npz", ".csv")
