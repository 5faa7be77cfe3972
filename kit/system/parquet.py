"""Parquet files as tables of text, through pandas and pyarrow, which need not be installed."""

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from typing import Final

import pandas as pd

from kit.system.errors import KitError, problem
from kit.system.inputs import open_input

_SAFE_PYARROW: Final = [14, 0, 1]  # those before have CVE-2023-47248
_MOST_CELLS: Final = 10**8  # whose few bytes may stand for any number


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file as text."""
    if importlib.util.find_spec("pyarrow") is None:
        remedy = "install it (pip install pyarrow), or save the table as CSV"
        raise problem(path, "a parquet file needs pyarrow, which is not installed", remedy=remedy)
    version = metadata.version("pyarrow")
    if [int(part) for part in re.findall("[0-9]+", version)[:3]] < _SAFE_PYARROW:
        what = f"pyarrow {version} may run code that a parquet file holds"
        raise problem(path, what, remedy="take a newer one (pip install -U pyarrow)")
    from_file = importlib.import_module("pyarrow.parquet").ParquetFile
    try:
        with open_input(path) as file, from_file(file) as parquet:
            cells = parquet.metadata.num_rows * parquet.metadata.num_columns
            if cells <= _MOST_CELLS:
                table = parquet.read().to_pandas()
    except KitError:
        raise
    except Exception as error:  # pyarrow's errors are of many types
        remedy = "take the file again, or save the table as CSV"
        raise problem(path, f"is no parquet file ({error})", remedy=remedy) from error
    if cells > _MOST_CELLS:
        what = f"has {cells:,} cells, and at most {_MOST_CELLS:,} are read"
        raise problem(path, what, remedy="keep the columns that are needed")
    if any(name is not None for name in table.index.names):  # to_parquet keeps an index so
        table = table.reset_index()
    if table.empty:
        raise problem(path, "has no rows", remedy="it needs at least one row")
    flags = table.select_dtypes("bool").columns
    table = table.astype(dict.fromkeys(flags, "int64"))
    texts = {
        str(name): column.astype(str).where(column.notna(), "") for name, column in table.items()
    }
    return pd.DataFrame(texts).astype(str).reset_index(drop=True)
