"""Errors of a disk as the trials make them, and what a single file meets of them."""

import errno
import os
from pathlib import Path

import pytest

from faults.disk import Faulty, Where
from faults.forked import Counter
from faults.mounts import (
    in_own_mounts,
    mount_read_only,
    mount_tmpfs,
    resize_tmpfs,
    unmount,
    why_no_mounts,
)
from kit.system.disk import atomic_write
from kit.system.errors import KitError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads


def try_to_write(path, size=3):
    """The error of writing a file of so many bytes as the kit does; empty without one."""
    try:
        with atomic_write(Path(path), force=True) as temporary:
            temporary.write_bytes(b"n" * size)
    except KitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("first", range(5))
def test_a_file_stays_whole_at_any_call_that_fails(tmp_path, number, first):
    place, met = tmp_path / "work", Counter()
    place.mkdir()
    (place / "a").write_text("old")
    pid = os.fork()
    if not pid:
        os.chdir(place)
        folder = "" if number == errno.EROFS else None
        Faulty(place, place, number, Where(first, folder=folder), met).start()
        said = try_to_write("a")
        os._exit(10 * bool(said) + (os.strerror(number) in said))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    names = {path.name for path in place.iterdir()}
    assert code in (0, 11) and (met.value > 0 or first == 4)
    assert (place / "a").read_text() in ("old", "nnn") and (
        code or (place / "a").read_text() == "nnn"
    )
    assert names == {"a"} or (number == errno.EROFS and "a" in names)  # nothing can be removed then


def test_a_file_that_cannot_be_read_is_one_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("here")
    met = Counter()
    pid = os.fork()
    if not pid:
        os.chdir(tmp_path)
        Faulty(tmp_path, tmp_path / "data", errno.EIO, Where(99, path="a"), met).start()
        code = len(Path("b").read_text())
        try:
            Path("a").read_text()
        except OSError as error:
            code += error.errno
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4 + errno.EIO and met.value == 1


@pytest.mark.skipif(bool(why_no_mounts()), reason=f"no mounts of one's own: {why_no_mounts()}")
def test_a_full_file_system_and_a_read_only_one_are_real(tmp_path):
    def work():
        (tmp_path / "full").mkdir()
        mount_tmpfs(tmp_path / "full", 2**16)
        path = tmp_path / "full" / "a"
        said = [try_to_write(path), try_to_write(path, 10**6)]
        said += [str(path.read_bytes()), str(len(list(path.parent.iterdir())))]
        resize_tmpfs(path.parent, 2**21)
        said += [try_to_write(path, 10**6)]
        mount_read_only(path.parent)
        said += [try_to_write(path)]
        unmount(path.parent)
        return said + [try_to_write(path)]

    said = in_own_mounts(work)
    assert said[0] == said[4] == said[6] == "" and said[2:4] == ["b'nnn'", "1"]
    assert "a: cannot be written: No space left on device; free some space" in said[1]
    assert "a: cannot be written: Read-only file system; name another place" in said[5]
    assert not list((tmp_path / "full").iterdir())  # the mounts were that process's own


@pytest.mark.skipif(bool(why_no_mounts()), reason=f"no mounts of one's own: {why_no_mounts()}")
def test_an_error_in_own_mounts_is_told():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        in_own_mounts(lambda: 1 / 0)
