"""Where the kernel locks nothing, a file does: for one process, and no longer than that lives."""

import os
import threading

import pytest

import kit.system.soft_lock
from kit.system.soft_lock import SoftLock
from kit.system.temporary import host_name, writer_of


@pytest.fixture
def path(tmp_path):
    """The file that is locked."""
    (tmp_path / "a").touch()
    return tmp_path / "a"


def ended_process():
    """The number of a process that has ended."""
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    return child


def test_one_has_it_until_it_gives_it_back(path):
    first, second = SoftLock(path), SoftLock(path)
    assert first.take() and not second.take() and not first.take()
    assert first.held.read_text().split()[:2] == [host_name(), str(os.getpid())]
    second.release()  # of a lock that it has not
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
    assert list(path.parent.iterdir()) == [path]


def test_one_waits_for_it(path):
    first, second = SoftLock(path), SoftLock(path)
    assert first.take()
    threading.Timer(0.3, first.release).start()
    second.wait()
    assert second.held.read_text() == second.words
    second.release()


@pytest.mark.parametrize(
    "silent, host, free",
    [(0, "here", True), (0, "other", False), (59, "other", False), (61, "other", True)],
)
def test_it_is_taken_from_a_process_that_has_ended_or_says_nothing(path, silent, host, free):
    lock = SoftLock(path)
    name = host_name() if host == "here" else host
    lock.held.write_text(f"{name} {ended_process()} 12ab\n")
    now = lock.held.stat().st_mtime
    os.utime(lock.held, (now - silent, now - silent))
    assert lock.take() is free
    lock.release()
    assert [p for p in path.parent.iterdir() if writer_of(p)] == []


def test_the_empty_file_of_a_process_killed_at_once_is_held_for_a_minute(path):
    lock = SoftLock(path)
    lock.held.touch()
    assert not lock.take()
    os.utime(lock.held, (0, 0))
    assert lock.take()
    lock.release()


def test_a_faster_process_keeps_what_it_took_over(path, monkeypatch):
    lock, faster = SoftLock(path), SoftLock(path)
    lock.held.write_text(f"{host_name()} {ended_process()} 12ab\n")
    real = os.rename

    def rename(source, target):
        monkeypatch.setattr(os, "rename", real)
        assert faster.take()
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    assert not lock.take() and faster.held.read_text() == faster.words
    faster.release()
    assert list(path.parent.iterdir()) == [path]


def test_a_living_process_touches_it(path, monkeypatch):
    touched = threading.Event()
    monkeypatch.setattr(kit.system.soft_lock, "_TOUCH_SECONDS", 0.01)
    lock = SoftLock(path)
    monkeypatch.setattr(os, "utime", lambda file: touched.set() if file == lock.held else None)
    assert lock.take() and touched.wait(10)
    lock.release()


def test_a_full_disk_leaves_no_lock(path, monkeypatch):
    lock = SoftLock(path)
    monkeypatch.setattr(kit.system.soft_lock, "open", full, raising=False)
    with pytest.raises(OSError, match="No space"):
        lock.take()
    assert list(path.parent.iterdir()) == [path]


def full(descriptor, *_, **__):
    """A file that has no room."""
    os.close(descriptor)
    raise OSError(28, "No space left on device")
