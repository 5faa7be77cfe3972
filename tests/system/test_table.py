"""CSV tables are read as text, and what is wrong with them is told."""

import pandas as pd
import pytest

from kit.system.errors import KitError
from kit.system.table import (
    cell_text,
    check_unique,
    formula_free,
    is_plain_name,
    read_csv,
    read_header,
    read_table,
    whole_numbers,
)


@pytest.fixture
def csv(tmp_path):
    def write(content: bytes | str):
        path = tmp_path / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_value_stays_text(csv):
    table = read_csv(csv("\ufeffid, n ,x\n000001,NA,1\n-1,,2\n"), ["id", "n"], ["x", "y"])
    assert table.to_dict("list") == {"id": ["000001", "-1"], "n": ["NA", ""], "x": ["1", "2"]}
    assert list(read_csv(csv("b,a\n1,2\n")).columns) == ["b", "a"]


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "is empty; it needs a header line id,n"),
        ("id,n\n", "has a header and no rows"),
        ("id\n1\n", "has no column 'n'; it needs id,n, and has id"),
        ("id;n\n1;2\n", "is separated by something else than commas"),
        ("id,n,id\n1,2,3\n", "has column 'id' twice"),
        (
            "id,n\n1,2,3\n4,5,6\n",
            "has rows with more fields than its header (1 found: line 2: 3 of 2)",
        ),
        (
            "id,n\n1,2\n4,5,6\n",
            "has rows with more fields than its header (1 found: line 3: 3 of 2)",
        ),
        ('id,n\n"1,2\n', "EOF inside string"),
        ("id,n\n얼굴,2\n".encode("cp949"), "is no UTF-8 CSV"),
    ],
)
def test_what_is_no_table_is_one_line(csv, content, said):
    with pytest.raises(KitError) as error:
        read_csv(csv(content), ["id", "n"])
    assert said in str(error.value)


def test_a_table_that_is_not_there(tmp_path):
    for read in (read_csv, read_header):
        with pytest.raises(KitError, match="cannot be read: No such file"):
            read(tmp_path / "none.csv")


def test_the_header_as_it_stands(csv):
    assert read_header(csv("\n  \n id,n\n1,2\n")) == [" id", "n"]
    assert read_header(csv("\ufeffid,n\n")) == ["\ufeffid", "n"] and read_header(csv("")) == []
    assert read_header(csv("x" * 200_000)) == []


def test_whole_numbers_are_digits_in_range(csv, tmp_path):
    table = pd.DataFrame({"id": ["a", "b", "c", "d"], "n": ["17", "0", "007", "0"]})
    assert whole_numbers(tmp_path, table, "n", 0, 17, "id").tolist() == [17, 0, 7, 0]
    for value in ("18", "-1", "1.0", "", "x", "٣", " 1"):
        with pytest.raises(KitError, match=r"whole numbers 0..17 \(1 found: '.*' at b\)"):
            whole_numbers(tmp_path, table.assign(n=["0", value, "1", "2"]), "n", 0, 17, "id")


def test_a_repeated_value_is_told(tmp_path):
    table = pd.DataFrame({"id": ["a", "b", "a"]})
    with pytest.raises(KitError, match=r"repeats a value in column 'id' \(1 found: a\); mend it"):
        check_unique(tmp_path, table, "id", "mend it")


def test_names_that_stay_in_their_folder():
    assert is_plain_name("얼굴 1.jpg") and is_plain_name("a..b")
    for name in ("", ".", "..", ".hidden", "a/b", "..\\a", "a\0b"):
        assert not is_plain_name(name)


def test_a_table_by_its_suffix(tmp_path):
    (tmp_path / "a.tsv").write_text("id\tn\n001\t1,5\n")
    assert read_table(tmp_path / "a.tsv").to_dict("list") == {"id": ["001"], "n": ["1,5"]}
    (tmp_path / "a.csv").write_text("id,number\n001,1\n")
    assert list(read_table(tmp_path / "a.csv", {"id": "id"})) == ["id", "number"]
    with pytest.raises(KitError, match=r"no column 'numbr' .did you mean number\?., which target"):
        read_table(tmp_path / "a.csv", {"id": "id", "numbr": "target"})


@pytest.mark.parametrize(
    "text", ["", "a", "'a", "''", "=1", "'=1", "''=1", "-5", "+", "@x", "\tx", "\r"]
)
def test_a_cell_is_no_formula_and_is_read_back(text):
    cell = formula_free(text)
    assert cell_text(cell) == text and cell[:1] not in tuple("=+-@\t\r")
    assert (cell == text) == (text in ("", "a", "'a", "''"))
