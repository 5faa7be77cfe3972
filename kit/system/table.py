"""Tables as text (CSV, TSV, parquet), with the checks that every reader needs.

Ids are text: pandas would turn `000001` into 1 and an id `NA` into NaN, so every CSV is read with
`dtype=str, keep_default_na=False`.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.system.errors import did_you_mean, problem
from kit.system.inputs import open_input, read_input
from kit.system.parquet import read_parquet

# What an index that pandas has written is called in a header.
INDEX_NAMES: Final = ("", "Unnamed: 0")
_TABS = (".tsv", ".tab")
_PARQUET = (".parquet", ".pq")
_LARGEST: Final = 2**32  # bytes of a CSV, which takes some six times as much memory
_MOST_COLUMNS: Final = 10**5
# How files begin that are no text.
_PACKED: Final = {
    b"\x1f\x8b": "gzip",
    b"PK\3\4": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "parquet",
}


def read_csv(path: Path, columns: Sequence[str] = (), optional: Sequence[str] = ()) -> pd.DataFrame:
    """A CSV as text: `columns`, and those of `optional` that it has; without `columns` all.

    It must have each of `columns`, and no column twice. Raises `KitError` for a file that is no CSV
    in UTF-8 with commas, for one without rows, and for rows with more or fewer fields than others.
    """
    table = _parse(path, columns)
    _check_columns(path, table, columns)
    if table.empty:
        raise problem(path, "has a header and no rows", remedy="it needs at least one row")
    return table[[*columns, *(name for name in optional if name in table)]] if columns else table


def read_table(path: Path, wanted: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A table as text, by its suffix CSV, TSV (tabs) or parquet (through pandas and pyarrow).

    `wanted` are columns that it must have, each with the name of the field that asks for it.
    Numbers of a parquet file are written as Python writes them, and what it lacks is empty.
    """
    table = read_parquet(path) if path.suffix.lower() in _PARQUET else read_csv(path)
    names = [str(name) for name in table]
    for column, field in (wanted or {}).items():
        if column not in names:
            what = f"has no column '{column}'{did_you_mean(column, names)}, which {field} names"
            raise problem(path, what, remedy=f"it has {','.join(names)[:300]}")
    return table


def _parse(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV as text, names of columns stripped; raises `KitError` for a file that is no CSV."""
    separator = "\t" if path.suffix.lower() in _TABS else ","
    content = read_input(path, _LARGEST, "keep the columns that are needed, or save it as .npz")
    _check_content(path, content, separator)
    try:
        # The header as a row, for pandas would rename its second `a` to `a.1`.
        table = pd.read_csv(
            io.BytesIO(content),
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError as error:
        raise problem(
            path, "is empty", remedy=f"it needs a header line {','.join(columns)}".removesuffix(" ")
        ) from error
    except UnicodeDecodeError as error:
        raise problem(
            path, f"is no UTF-8 CSV ({error})", remedy="save it as UTF-8 with commas"
        ) from error
    except pd.errors.ParserError as error:
        long = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if long:
            what = "has rows with more fields than its header"
            where = [f"line {long[2]}: {long[3]} of {long[1]}"]
            raise problem(path, what, where, "mend these rows") from error
        raise problem(path, f"is no CSV ({error})", remedy="close the quote, or mend it") from error
    names = [str(name).strip() for name in table.iloc[0]]
    if b'"' in content or (table.iloc[:, -1] == "").any():
        _check_rows(path, content, separator, len(names))
    table = table.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([name or f"Unnamed: {n}" for n, name in enumerate(names)])
    return table


def _check_content(path: Path, content: bytes, separator: str) -> None:
    """Raise `KitError` for what is no text, and for a header of too many columns."""
    packed = next((name for start, name in _PACKED.items() if content.startswith(start)), "")
    if packed:
        remedy = "name it .parquet" if packed == "parquet" else "unpack it first"
        raise problem(path, f"is a {packed} file, and no CSV", remedy=remedy)
    if b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        what = "is no UTF-8 CSV: it holds zero bytes, as UTF-16 and damaged files do"
        raise problem(path, what, remedy="save it as UTF-8 with commas")
    header = match[0] if (match := re.search(rb"[^\r\n]+", content)) else b""
    columns = header.count(separator.encode()) + 1
    if columns == 1 and re.search(b"[;,\t|]", header):
        what = "has one column only, and is separated by something else than "
        what += "commas" if separator == "," else "tabs"
        raise problem(path, what, remedy=f"save it with {what.split()[-1]}")
    if columns > _MOST_COLUMNS:
        what = f"has {columns:,} columns, and at most {_MOST_COLUMNS:,} are read"
        raise problem(path, what, remedy="save it as rows of several columns")


def _check_rows(path: Path, content: bytes, separator: str, width: int) -> None:
    """Raise `KitError` for rows with fewer fields than the header, and for quotes left open.

    pandas fills up the former, and takes for one field what stands between two of the latter.
    """
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    rows = csv.reader(text, delimiter=separator, strict=True)
    short = list[str]()
    try:
        for row in rows:
            # A line of spaces is a blank one, as pandas has it, and one of two quotes is none.
            blank = len(row) == 1 and row[0] != "" and not row[0].strip(" \t")
            if row and len(row) < width and not blank:
                short.append(f"line {rows.line_num}: {len(row)} of {width}")
    except csv.Error as error:
        what = f"is no CSV: a quote is not closed, or a field is too long ({error})"
        raise problem(path, what, [f"line {rows.line_num}"], "mend that row") from error
    if short:
        raise problem(path, "has rows with fewer fields than its header", short, "mend these rows")


def _check_columns(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `KitError` unless a table has each of `columns`, and no name twice."""
    names = table.columns
    twice = names[names.duplicated()].tolist()
    if twice:
        needs = f"it needs {','.join(columns)}" if columns else "keep one of the two"
        raise problem(path, f"has column '{twice[0]}' twice", remedy=needs)
    missing = [name for name in columns if name not in names]
    if missing:
        raise problem(
            path,
            f"has no column '{missing[0]}'",
            remedy=f"it needs {','.join(columns)}, and has {','.join(names)[:80]}",
        )


def read_header(path: Path) -> list[str]:
    """The names of a CSV's columns as its first line has them.

    Blank lines are left out, and a byte-order mark is left in. Empty if a field is too long for
    Python's reader.
    """
    with io.TextIOWrapper(open_input(path), encoding="utf-8", errors="replace", newline="") as file:
        try:
            return next((row for row in csv.reader(file) if "".join(row).strip()), [])
        except csv.Error:
            return []  # `read_csv` says what is wrong


def whole_numbers(
    path: Path, table: pd.DataFrame, column: str, low: int, high: int, key: str
) -> np.ndarray:
    """A column (rows,) int64 of whole numbers in low..high.

    Raises `KitError` with the first other value, and with what its row has in column `key`.
    """
    text = table[column]
    # A submission has few different values in thousands of rows: each is converted once.
    codes, values = pd.factorize(text)
    whole = np.array(
        [int(value) if re.fullmatch("[0-9]{1,9}", value) else -1 for value in values],
        dtype=np.int64,
    )
    numbers: np.ndarray = whole[codes]
    bad = np.flatnonzero((numbers < low) | (numbers > high))
    if len(bad):
        raise problem(
            path,
            f"column '{column}' must hold whole numbers {low}..{high}",
            [f"'{text.iloc[i]}' at {table[key].iloc[i]}" for i in bad],
            "mend these rows",
        )
    return numbers


def check_unique(path: Path, table: pd.DataFrame, column: str, remedy: str) -> None:
    """Raise `KitError` if a value stands twice in a column."""
    repeated = table.loc[table[column].duplicated(), column]
    if len(repeated):
        raise problem(path, f"repeats a value in column '{column}'", repeated.tolist(), remedy)


def formula_free(text: str) -> str:
    """A text as a cell that a spreadsheet takes for no formula; the inverse of `cell_text`.

    It is for notes alone: an id must stay what it is, or it is another photo's.
    """
    return f"'{text}" if re.match(r"'*[=+\-@\t\r\n]", text) else text


def cell_text(cell: str) -> str:
    """The text of a cell that `formula_free` has made."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r\n]", cell) else cell


def is_plain_name(name: str) -> bool:
    """True if a value from a CSV can name a file in a folder: not outside of it, and not hidden."""
    return bool(name) and not name.startswith(".") and not re.search(r"[/\\\0]", name)
