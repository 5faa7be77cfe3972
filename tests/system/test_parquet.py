"""Parquet files are read as text, and refused where they are none, or unsafe."""

import importlib.util

import pandas as pd
import pytest

from kit.system.errors import KitError
from kit.system.table import read_table


def test_parquet_is_text_as_a_csv_is(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"x")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(KitError, match="a parquet file needs pyarrow, which is not installed"):
        read_table(path)
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setattr("kit.system.parquet.importlib.util.find_spec", lambda name: True)
        for version in ("10.0.1", "14.0.0"):
            patch.setattr("kit.system.parquet.metadata.version", lambda _, version=version: version)
            with pytest.raises(KitError, match=f"pyarrow {version} may run code .*install -U"):
                read_table(path)
    pytest.importorskip("pyarrow")
    with pytest.raises(KitError, match="is no parquet file"):
        read_table(path)
    table = pd.DataFrame({"id": ["001", None], "n": [1, 20], "flag": [True, False], "x": [0.5, 1]})
    table.to_parquet(path)
    expected = {"id": ["001", ""], "n": ["1", "20"], "flag": ["1", "0"], "x": ["0.5", "1.0"]}
    assert read_table(path).to_dict("list") == expected
