"""Who lost a folder to another process writes no more, and says who has it."""

import json
import os
import socket

import pytest

from kit.system.disk import atomic_write, remove
from kit.system.errors import KitError
from kit.system.fence import OWNER, owned


def write(path, text):
    """Write a text as the kit does."""
    with atomic_write(path, force=True) as temporary:
        temporary.write_text(text)


def test_an_owner_writes_and_leaves_no_owner_behind(tmp_path):
    with owned(tmp_path / "fold0"):
        owner = json.loads((tmp_path / "fold0" / OWNER).read_text())
        assert owner["host"] == socket.gethostname() and owner["pid"] == os.getpid()
        write(tmp_path / "fold0" / "a", "1")
        write(tmp_path / "fold0" / "a", "2")
        remove(tmp_path / "fold0" / "a")
        write(tmp_path / "fold0" / "b", "3")
    assert [path.name for path in (tmp_path / "fold0").iterdir()] == ["b"]
    with owned(tmp_path / "fold0"):
        assert json.loads((tmp_path / "fold0" / OWNER).read_text())["token"] != owner["token"]


@pytest.mark.parametrize(
    "content, said",
    [
        ('{"host": "box2", "pid": 77, "token": "x"}', "process 77 on box2 took it over; this proc"),
        (None, "another process took it over and has ended, or .owner was removed; this process"),
        ("{", r".owner cannot be read \(JSONDecodeError\); this process stops"),
        ("[]", r".owner cannot be read \(TypeError\); this process stops"),
        ('{"token": "x"}', r".owner cannot be read \(KeyError\); this process stops"),
    ],
)
def test_who_lost_a_folder_changes_nothing_there(tmp_path, content, said):
    path = tmp_path / OWNER
    with pytest.raises(KitError, match=said) as error, owned(tmp_path):
        write(tmp_path / "a", "old")
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(KitError, match=said):
            remove(tmp_path / "a")
        write(tmp_path / "a", "new")
    assert str(error.value).startswith(f"{tmp_path}: ") and "\n" not in str(error.value)
    assert (tmp_path / "a").read_text() == "old"
    assert (path.read_text() if path.exists() else None) == content
    assert {p.name for p in tmp_path.iterdir()} <= {"a", OWNER}


def test_the_next_owner_takes_the_folder_of_one_that_was_killed(tmp_path):
    (tmp_path / OWNER).write_text('{"host": "gone", "pid": 1, "token": "x"}')
    with owned(tmp_path):
        write(tmp_path / "a", "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
