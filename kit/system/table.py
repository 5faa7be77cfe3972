"""Tables as text (CSV, TSV, parquet), with the checks that every reader needs.

Ids are text: pandas would turn `000001` into 1 and an id `NA` into NaN, so every CSV is read with
`dtype=str, keep_default_na=False`.
"""

import csv
import importlib.util
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.system.disk import unreadable
from kit.system.errors import did_you_mean, problem

# What an index that pandas has written is called in a header.
INDEX_NAMES: Final = ("", "Unnamed: 0")
_TABS = (".tsv", ".tab")
_PARQUET = (".parquet", ".pq")
_SAFE_PYARROW: Final = [14, 0, 1]  # those before have CVE-2023-47248


def read_csv(path: Path, columns: Sequence[str] = (), optional: Sequence[str] = ()) -> pd.DataFrame:
    """A CSV as text: `columns`, and those of `optional` that it has; without `columns` all.

    It must have each of `columns` once. Raises `KitError` for a file that is no CSV in UTF-8 with
    commas, and for one without rows.
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
    table = _read_parquet(path) if path.suffix.lower() in _PARQUET else read_csv(path)
    names = [str(name) for name in table]
    for column, field in (wanted or {}).items():
        if column not in names:
            what = f"has no column '{column}'{did_you_mean(column, names)}, which {field} names"
            raise problem(path, what, remedy=f"it has {','.join(names)[:300]}")
        if repeated(names, [column]):
            raise problem(path, f"has column '{column}' twice", remedy="keep one of the two")
    return table


def repeated(header: Collection[str], columns: Iterable[str]) -> list[str]:
    """The columns that a header has twice, as pandas reads it: it calls the second one `ans.1`."""
    return [name for name in columns if f"{name}.1" in header]


def _read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file as text."""
    if importlib.util.find_spec("pyarrow") is None:
        remedy = "install it (pip install pyarrow), or save the table as CSV"
        raise problem(path, "a parquet file needs pyarrow, which is not installed", remedy=remedy)
    version = metadata.version("pyarrow")
    if [int(part) for part in re.findall("[0-9]+", version)[:3]] < _SAFE_PYARROW:
        what = f"pyarrow {version} may run code that a parquet file holds"
        raise problem(path, what, remedy="take a newer one (pip install -U pyarrow)")
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:  # pyarrow's errors are some
        remedy = "take the file again, or save the table as CSV"
        raise problem(path, f"is no parquet file ({error})", remedy=remedy) from error
    if table.empty:
        raise problem(path, "has no rows", remedy="it needs at least one row")
    flags = table.select_dtypes("bool").columns
    table = table.astype(dict.fromkeys(flags, "int64"))
    texts = {
        str(name): column.astype(str).where(column.notna(), "") for name, column in table.items()
    }
    return pd.DataFrame(texts).astype(str).reset_index(drop=True)


def _parse(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV as text, names of columns stripped; raises `KitError` for a file that is no CSV."""
    separator = "\t" if path.suffix.lower() in _TABS else ","
    try:
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except OSError as error:
        raise unreadable(path, error) from error
    except pd.errors.EmptyDataError as error:
        raise problem(
            path, "is empty", remedy=f"it needs a header line {','.join(columns)}".removesuffix(" ")
        ) from error
    except UnicodeDecodeError as error:
        raise problem(
            path, f"is no UTF-8 CSV ({error})", remedy="save it as UTF-8 with commas"
        ) from error
    except pd.errors.ParserError as error:
        raise problem(
            path, f"is no CSV with as many fields in every row ({error})", remedy="mend that row"
        ) from error
    if len(table.columns) == 1 and re.search("[;\t|]", str(table.columns[0])):
        raise problem(
            path,
            "has one column only, and is separated by something else than commas",
            remedy="save it with commas",
        )
    table.columns = table.columns.str.strip()
    return table


def _check_columns(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `KitError` unless a table has each of `columns` once, and no row too long.

    A row is too long if it has more fields than the header.
    """
    # pandas takes a field too many in every row for an index.
    twice = repeated(table.columns, columns)
    if twice or not isinstance(table.index, pd.RangeIndex):
        raise problem(
            path,
            f"has column '{twice[0]}' twice"
            if twice
            else "has rows with more fields than its header",
            remedy=f"it needs {','.join(columns)}"
            if columns
            else "give every row as many fields as the header",
        )
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise problem(
            path,
            f"has no column '{missing[0]}'",
            remedy=f"it needs {','.join(columns)}, and has "
            f"{','.join(map(str, table.columns))[:80]}",
        )


def read_header(path: Path) -> list[str]:
    """The names of a CSV's columns as its first line has them.

    Blank lines are left out, and a byte-order mark is left in. Empty if a field is too long for
    Python's reader.
    """
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return next((row for row in csv.reader(file) if "".join(row).strip()), [])
    except OSError as error:
        raise unreadable(path, error) from error
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
