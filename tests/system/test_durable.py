"""A power failure leaves what was synced: files, their names, the folders they lie in."""

import errno
import os
import stat
import sys

import pytest

from kit.system.disk import atomic_write, remove
from kit.system.durable import make_folder, move, sync_file, sync_folder
from kit.system.errors import KitError


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What is moved, made, removed and synced from here on, in order, by its path in `tmp_path`."""
    said = []

    def name(place):
        return os.path.relpath(place, tmp_path)

    def follow(function, what):
        def call(*places, **options):
            result = function(*places, **options)
            said.append((what, *(name(place) for place in places if not isinstance(place, int))))
            return result

        monkeypatch.setattr(os, what, call)

    def fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        said.append((kind, name(os.readlink(f"/proc/self/fd/{descriptor}"))))

    for what in ("replace", "unlink", "mkdir"):
        follow(getattr(os, what), what)
    monkeypatch.setattr(os, "fsync", fsync)
    return said


# Before Python 3.11 pathlib keeps the functions of `os` that it had at first.
FOLLOWED = pytest.mark.skipif(sys.version_info < (3, 11), reason="pathlib cannot be followed")


@FOLLOWED
def test_a_file_is_synced_before_its_move_and_its_folder_after_it(tmp_path, calls):
    with atomic_write(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("new")
    hidden = os.path.relpath(temporary, tmp_path)
    made = [call for call in calls if call[0] == "mkdir"]
    assert ("mkdir", "a/b") in made
    assert [call for call in calls if call[0] not in ("mkdir", "unlink")] == [
        ("folder", "a"),
        ("folder", "."),
        ("file", hidden),
        ("replace", hidden, "a/b/c.txt"),
        ("folder", "a/b"),
    ]


@FOLLOWED
def test_what_is_removed_is_gone_before_anything_else_is_written(tmp_path, calls):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    remove(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert calls == [("unlink", "a"), ("unlink", "b"), ("folder", ".")]
    calls.clear()
    remove(tmp_path / "c")
    assert not [call for call in calls if call[0] == "folder"]


def test_a_move_is_synced_in_both_folders(tmp_path, calls):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a")
    calls.clear()
    (tmp_path / "a" / "file").touch()
    move(tmp_path / "a" / "file", tmp_path / "a" / "b" / "file")
    assert calls == [("replace", "a/file", "a/b/file"), ("folder", "a/b"), ("folder", "a")]
    sync_file(tmp_path / "a" / "b" / "file")
    assert calls[-1] == ("file", "a/b/file")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("function", ["open", "fsync"])
def test_a_file_system_that_syncs_no_folder_is_let_be(tmp_path, monkeypatch, number, function):
    real = getattr(os, function)

    def refuse(place, *args):
        if os.path.isdir(place):
            raise OSError(number, os.strerror(number))
        return real(place, *args)

    path = tmp_path / "a.txt"
    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        if number == errno.EIO:
            with pytest.raises(OSError, match="Input/output"):
                sync_folder(tmp_path)
            with pytest.raises(KitError, match="a.txt: cannot be written: Input/output"):
                with atomic_write(path) as temporary:
                    temporary.write_text("new")
        else:
            sync_folder(tmp_path)
            with atomic_write(path) as temporary:
                temporary.write_text("new")
    assert list(tmp_path.iterdir()) == [path]
