"""The record beside a submission: none, its own, another's, or damaged."""

import pytest
from helpers import write_classes

from kit.results.check import check_place
from kit.results.record_file import check_record, is_replaceable, read_record, record_beside
from kit.system.disk import file_hash, write_json
from kit.system.errors import KitError


def test_a_record_is_its_submission_s_own(tmp_path):
    path = write_classes(tmp_path / "s.csv", [1, 2, 3])
    check_record(path)
    assert record_beside(path) is None and read_record(path) is None
    record = {"sha256": file_hash(path), "members": []}
    write_json(tmp_path / "s.json", record)
    check_record(path)
    assert record_beside(path) == record == read_record(path)
    write_classes(path, [1, 2, 4])
    assert record_beside(path) == record and read_record(path) is None
    with pytest.raises(KitError, match="s.csv: is not the file that s.json .*; make it again"):
        check_record(path)
    check_record(tmp_path / "s.json")  # is no submission that has a record beside it


@pytest.mark.parametrize(
    "content", ["", "{", "\0", "[" * 10**5, '{"members": []}', '{"sha256": "a", "x": 1}']
)
def test_a_damaged_record_is_one_line(tmp_path, content):
    path = write_classes(tmp_path / "s.csv", [1])
    (tmp_path / "s.json").write_text(content)
    assert read_record(path) is None
    with pytest.raises(KitError, match="s.json: is .*; delete it, for the submission stands"):
        check_record(path)


@pytest.mark.parametrize("content", ["{}", "[1]", '{"of": "another program"}'])
def test_what_another_program_wrote_is_no_record(tmp_path, content):
    path = write_classes(tmp_path / "s.csv", [1])
    (tmp_path / "s.json").write_text(content)
    check_record(path)
    assert record_beside(path) is None


@pytest.mark.parametrize(
    "content, mine",
    [
        ('{"kit": "0", "sha256": "0", "members": [], "checksum": "damaged"}', True),
        ('{"sha256": "0"}', False),
        ("[1]", False),
        ("{", False),
        ("\0\udcff", False),
    ],
)
def test_a_damaged_record_may_be_replaced_and_no_other_file(tmp_path, content, mine):
    record = tmp_path / "s.json"
    record.write_bytes(content.encode(errors="surrogateescape"))
    assert is_replaceable(record) == mine
    path = write_classes(tmp_path / "s.csv", [1])
    if mine:
        check_place(path, (), force=True)
    else:
        with pytest.raises(KitError, match="is no record of a submission.*; delete it, or choose"):
            check_place(path, (), force=True)
    with pytest.raises(KitError, match="exists already"):
        check_place(path, (), force=False)
