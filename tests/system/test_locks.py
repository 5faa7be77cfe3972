"""A lock is held by one process, and is free again when it ends."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

import kit.system.locks
from kit.system.errors import KitError
from kit.system.locks import lock_file, lock_folder
from kit.system.temporary import host_name

HOLD = (
    "import sys; from pathlib import Path; from kit.system.locks import lock_folder\n"
    "with lock_folder(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder `held` until it is killed or its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "held")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"in\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_folder_is_held_by_one_process_until_it_ends(holder, tmp_path):
    folder = tmp_path / "held"
    with pytest.raises(KitError, match="another process is training this fold"):
        with lock_folder(folder):
            raise AssertionError("the block must not run")
    (folder / f".best.{host_name()}.{holder.pid}.tmp").touch()
    holder.kill()
    holder.wait()
    with lock_folder(folder):  # the kernel has released it
        assert [path.name for path in folder.iterdir()] == [".lock"]


def test_one_that_waits_says_so_and_goes_on(holder, tmp_path, capsys):
    holder.stdin.close()
    with lock_folder(tmp_path / "held", "another process makes it; waiting"):
        pass
    warning = capsys.readouterr().err
    assert warning in ("", f"warning: {tmp_path / 'held'}: another process makes it; waiting\n")


def test_a_lock_that_is_held_calls_or_raises(tmp_path):
    with lock_file(tmp_path / "a"):
        with pytest.raises(BlockingIOError), lock_file(tmp_path / "a"):
            pass

        def refuse():
            raise KitError("wait for it")

        with pytest.raises(KitError, match="wait for it"), lock_file(tmp_path / "a", refuse):
            pass
    with lock_file(tmp_path / "a"):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads
def test_a_forked_process_does_not_keep_the_lock(tmp_path):
    (read, write), (ready, started) = os.pipe(), os.pipe()
    with lock_file(tmp_path / "a"):
        child = os.fork()
        if child == 0:
            os.write(started, b"x")
            os.read(read, 1)  # it lives on beyond its parent's block
            os._exit(0)
        os.read(ready, 1)
    try:
        with lock_file(tmp_path / "a"):
            pass
    finally:
        os.write(write, b"x")
        os.waitpid(child, 0)


def test_temporary_files_of_living_processes_and_of_other_hosts_stay(tmp_path):
    parent, host = os.getppid(), host_name()
    left = [f".a.{host}.{os.getpid()}.tmp", ".a.other.1.tmp", ".a.tmp"]
    stay = [f".b.{host}.{parent}.tmp", ".b.other.1.tmp", ".b.1.tmp", "c.tmp"]
    for name in (*left, *stay):
        (tmp_path / name).touch()
    hours_ago = time.time() - 2 * 3600
    for name in left[1:]:
        os.utime(tmp_path / name, (hours_ago, hours_ago))
    with lock_folder(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {*stay, ".lock"}


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP])
def no_locks(request, monkeypatch):
    """The text of an error that `flock` raises from here on, as on a file system without locks."""

    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(kit.system.locks, "_unlocked", set())
    return os.strerror(request.param)


def test_without_locks_one_warning_says_what_stands_for_them(no_locks, tmp_path, capsys):
    ran = []
    for name in ("a", "b", "a"):
        with lock_folder(tmp_path / name, seconds=60), lock_file(tmp_path / "c"):
            ran.append(name)
            assert (tmp_path / name / ".lock.held").read_text().startswith(f"{host_name()} ")
            with pytest.raises(KitError, match="another process is training this fold"):
                with lock_folder(tmp_path / name):
                    raise AssertionError("the block must not run")
            with pytest.raises(BlockingIOError), lock_file(tmp_path / "c"):
                pass
    said = capsys.readouterr().err
    assert ran == ["a", "b", "a"] and said.startswith(f"warning: {tmp_path / 'a'}: its file system")
    assert said.count("\n") == 1 and "*.held, names the host and the process" in said
    assert not list(tmp_path.rglob("*.held"))
    with pytest.raises(OSError, match=no_locks), lock_file(tmp_path / "c", strict=True):
        pass


def test_without_locks_one_that_waits_goes_on_when_the_other_ends(no_locks, tmp_path, monkeypatch):
    monkeypatch.setattr(kit.system.locks, "_unlocked", {tmp_path.stat().st_dev})
    inside, order = threading.Event(), list[str]()

    def first():
        with lock_file(tmp_path / "a"):
            inside.set()
            order.append("first")
            time.sleep(0.3)
            order.append("end of the first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with lock_file(tmp_path / "a", lambda: order.append("waiting")):
        order.append("second")
    thread.join()
    assert order == ["first", "waiting", "end of the first", "second"]


def test_another_error_of_locking_is_raised(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"), lock_folder(tmp_path):
        pass


class Clock:
    """Time that only sleeping takes; at `free` seconds the lock is let go."""

    def __init__(self, free, release):
        self.now, self.free, self.release = 0.0, free, release

    def monotonic(self):
        return self.now

    def time(self):
        return time.time()

    def sleep(self, seconds):
        self.now += seconds
        if self.now >= self.free:
            self.release()


@pytest.mark.parametrize("free, seconds", [(20, 180), (200, 180), (1, 0)])
def test_a_lock_is_waited_for_as_long_as_is_said(tmp_path, monkeypatch, capsys, free, seconds):
    with open(tmp_path / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        clock = Clock(free, lambda: fcntl.flock(held, fcntl.LOCK_UN))
        monkeypatch.setattr(kit.system.locks, "time", clock)
        if free <= seconds:
            with lock_folder(tmp_path, seconds=seconds):
                assert clock.now == free
        else:
            with pytest.raises(KitError, match="another process is training this fold"):
                with lock_folder(tmp_path, seconds=seconds):
                    raise AssertionError("the block must not run")
            assert clock.now == seconds
    said = capsys.readouterr().err.count("has the lock; waiting up to 3 min 00 s")
    assert said == (1 if seconds else 0)


def test_the_lock_of_a_folder_leaves_folders(tmp_path):
    """Those of pixels, of an ensemble that was killed: a cache in the same folder must be made."""
    pixels = tmp_path / ".kit-pixels.a.host.1.tmp"
    pixels.mkdir()
    years_ago = time.time() - 10**8
    os.utime(pixels, (years_ago, years_ago))
    with lock_folder(tmp_path):
        assert pixels.is_dir()
