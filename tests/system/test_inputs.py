"""Input files are regular files, none of them too large, and no pipe is waited for."""

import os

import pytest

from kit.system.disk import read_json
from kit.system.errors import KitError
from kit.system.inputs import open_input, read_input
from kit.system.table import read_csv, read_header


def test_the_bytes_of_a_file_up_to_a_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    with open_input(path) as file:
        assert file.read() == b"1234"
    assert read_input(path, 4) == b"1234"
    with pytest.raises(KitError, match="a: has 4 bytes, and at most 3 are read; cut it"):
        read_input(path, 3, "cut it")


@pytest.mark.parametrize("read", [open_input, lambda p: read_input(p, 9), read_csv, read_header])
def test_what_is_no_file_is_told_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (
        ("pipe", "is a pipe or a device, and no file; write what it gives to a file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("", "cannot be read: Is a directory"),
        ("none", "cannot be read: No such file"),
        ("x" * 256, "cannot be read: File name too long"),
        ("a" * 9 + "/b", "cannot be read: No such file"),
    ):
        with pytest.raises(KitError, match=said):
            read(tmp_path / name)
    with pytest.raises(KitError, match="is a pipe or a device"):
        read_json(tmp_path / "pipe", "delete it")
