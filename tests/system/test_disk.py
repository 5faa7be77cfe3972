"""Files are written whole or not at all, and nowhere where they would do harm."""

import json
import os
import socket

import pytest

from kit.system.checksum import with_checksum
from kit.system.disk import (
    atomic_write,
    check_guard,
    check_output,
    file_hash,
    guarded,
    json_bytes,
    near,
    read_json,
    remove,
    text_hash,
    write_json,
)
from kit.system.errors import KitError
from kit.system.temporary import host_name, temporary_path, writer_of


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_what_exists_unless_forced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KitError, match="exists already"), atomic_write(path):
        raise AssertionError("the block must not run")
    with atomic_write(path, force=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with (
        pytest.raises(KitError, match="a.txt: cannot be written: No space left"),
        atomic_write(path, force=True) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_json_keeps_korean(tmp_path):
    write_json(tmp_path / "a.json", {"이름": "값"})
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content == with_checksum({"이름": "값"}) and read_json(tmp_path / "a.json") == {
        "이름": "값"
    }


def test_json_of_no_utf8_is_escaped_and_comes_back(tmp_path):
    content = {"path": os.fsdecode(b"\xff.csv")}
    (tmp_path / "a.json").write_bytes(json_bytes(with_checksum(content)))
    assert read_json(tmp_path / "a.json") == content


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        ('{"a": 1}', "its checksum does not fit"),
    ],
)
def test_bad_json_is_one_line(tmp_path, content, said):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(KitError, match=said):
        read_json(tmp_path / "a.json")
    with pytest.raises(KitError, match="cannot be read"):
        read_json(tmp_path / "b.json")


def test_hashes_are_those_of_the_bytes(tmp_path):
    (tmp_path / "a").write_text("abc")
    assert file_hash(tmp_path / "a") == text_hash("abc") and text_hash("abc").startswith("ba7816bf")


def test_an_output_is_written_to_a_new_name_in_its_form(tmp_path):
    check_output(tmp_path / "new" / "a.csv", "a table", suffixes=(".csv", ".npz"))
    with pytest.raises(KitError, match="a.txt: is no name for a table; let --save end in .csv or"):
        check_output(tmp_path / "a.txt", "a table", suffixes=(".csv", ".npz"), option="--save")
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(KitError, match="exists already; .*--force"):
        check_output(tmp_path / "a.csv")
    check_output(tmp_path / "a.csv", force=True)
    with pytest.raises(KitError, match="is a folder"):
        check_output(tmp_path, force=True)
    with pytest.raises(KitError, match="a.csv is read-only, or no folder"):
        check_output(tmp_path / "a.csv" / "b.csv")


@pytest.mark.parametrize("force", [False, True])
def test_no_output_lies_over_or_in_an_input(tmp_path, force):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    for path in ("data/a.csv", "data", "link/a.csv", "link/../data/b/c.csv"):
        with pytest.raises(KitError, match="choose a place outside of .*data"):
            check_output(tmp_path / path, inputs=[tmp_path / "data"], force=force)
    check_output(tmp_path / "data.csv", inputs=[tmp_path / "data"], force=force)


def test_the_file_that_was_meant(tmp_path):
    (tmp_path / "folds.csv").touch()
    assert near(tmp_path / "fold.csv") == f" (did you mean {tmp_path / 'folds.csv'}?)"
    assert near(tmp_path / "nowhere" / "fold.csv") == ""


@pytest.mark.parametrize("name", ["n" * 255, "이" * 85, os.fsdecode(b"\xff" * 250)])
def test_the_longest_names_are_written(tmp_path, monkeypatch, name):
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    with atomic_write(tmp_path / name) as temporary:
        temporary.write_text("new")
        other = temporary_path(tmp_path / f"{name[:-1]}x")
        assert writer_of(temporary) == (host_name(), os.getpid()) and other != temporary
    assert (tmp_path / name).read_text() == "new" and len(list(tmp_path.iterdir())) == 1


def test_a_guard_runs_before_each_write_and_removal_in_its_folder_alone(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "mine", target_is_directory=True)
    inside, outside = tmp_path / "mine" / "a.txt", tmp_path / "a.txt"
    with atomic_write(inside) as temporary:
        temporary.write_text("old")

    def refuse():
        raise KitError("not yours")

    def write(path):
        with atomic_write(path, force=True) as temporary:
            temporary.write_text("new")

    with guarded(tmp_path / "mine", refuse):
        write(outside)
        remove(outside)
        for path in (inside, tmp_path / "link" / "a.txt", tmp_path / "mine" / "deep" / "a.txt"):
            for change in (write, remove, check_guard):
                with pytest.raises(KitError, match="not yours"):
                    change(path)
        with pytest.raises(KitError, match="not yours"):
            check_guard(tmp_path / "mine")
    assert inside.read_text() == "old" and not list((tmp_path / "mine").glob(".*"))
    remove(inside)
    remove(inside)
    assert not inside.exists()
