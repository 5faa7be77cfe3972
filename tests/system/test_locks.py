"""A lock is held by one process, and is free again when it ends."""

import os
import subprocess
import sys

import pytest

from kit.system.errors import KitError
from kit.system.locks import lock_file, lock_folder

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
    (folder / ".best.1.tmp").touch()
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
