"""A replay shows what a power cut can lose; what `kit.system` writes and removes loses nothing."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from faults.calls import Recorder
from faults.power import build
from faults.replays import LOSSES, Replay
from kit.system.disk import atomic_write, remove
from kit.system.durable import make_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads


@pytest.fixture
def replay(tmp_path):
    """A function that runs another one in a folder with the file `old`: the replay of its calls."""

    def record(work):
        before, place = tmp_path / "before", tmp_path / "work"
        for folder in (before, place):
            folder.mkdir()
            (folder / "old").write_text("old")
        recorder = Recorder(place, tmp_path / "calls")
        pid = os.fork()
        if not pid:
            try:
                os.chdir(place)
                recorder.start()
                work()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return Replay(before, place, recorder)

    return record


def left(replay, end):
    """What the disk may hold after so many calls, for each way to lose: bytes by paths."""
    rng = random.Random(0)
    cuts = [replay.cut(end, loss, rng) for loss in LOSSES for _ in range(8)]
    return [{p: c for p, c in files.items() if not Path(p).name.startswith(".")} for files in cuts]


def write(path, text="new"):
    """Write a text as the kit does."""
    with atomic_write(Path(path), force=True) as temporary:
        temporary.write_text(text)


def test_a_plain_write_may_leave_nothing(replay):
    plain = replay(lambda: Path("old").write_text("new"))
    assert b"" in [files["old"] for files in left(plain, len(plain.calls))]


def test_an_atomic_write_leaves_the_old_file_or_the_new_one(replay):
    atomic = replay(lambda: write("old"))
    end = len(atomic.calls)
    assert not atomic.escaped and end >= 5
    for k in range(end + 1):
        assert {files["old"] for files in left(atomic, k)} <= {b"old", b"new"}
    assert {files["old"] for files in left(atomic, end)} == {b"new"}


def test_a_rename_alone_may_be_lost_or_come_before_its_bytes(replay):
    def work():
        Path("new").write_text("new")
        os.rename("new", "old")

    plain = replay(work)
    assert {files["old"] for files in left(plain, len(plain.calls))} == {b"old", b"", b"n", b"new"}


def test_a_removal_lasts_only_if_its_folder_is_synced(replay):
    plain = replay(lambda: Path("old").unlink())
    assert {"old" in files for files in left(plain, len(plain.calls))} == {True, False}


def test_what_is_removed_does_not_stand_beside_what_is_written_next(replay):
    def work():
        remove(Path("old"))
        write("new")

    ordered = replay(work)
    for k in range(len(ordered.calls) + 1):
        assert not any({"old", "new"} <= files.keys() for files in left(ordered, k))
    assert all(files.keys() == {"new"} for files in left(ordered, len(ordered.calls)))


@pytest.mark.parametrize("make, lasts", [(os.mkdir, {True, False}), (make_folder, {True})])
def test_a_file_lasts_only_if_the_folder_that_was_made_for_it_does(replay, make, lasts):
    def work():
        make(Path("a"))
        write("a/b")

    made = replay(work)
    assert {"a/b" in files for files in left(made, len(made.calls))} == lasts


def test_a_folder_of_unsynced_files_lasts_if_all_is_synced_before_its_move(replay):
    def work():
        os.mkdir(".new")
        Path(".new/a").write_text("new")
        os.sync()
        os.rename(".new", "new")

    moved = replay(work)
    for files in left(moved, len(moved.calls)):
        assert files.get("new/a", b"new") == b"new"


def test_calls_that_fail_change_nothing(replay, tmp_path):
    def work():
        for call in (os.unlink, os.rmdir, lambda p: os.rename(p, "b"), lambda p: os.mkdir("x/y")):
            with pytest.raises(OSError, match="No such file"):
                call("nowhere")
        Path("c").mkdir()
        Path("c").rmdir()

    failed = replay(work)
    assert not failed.escaped
    place = build(failed.cut(len(failed.calls), "journal", random.Random(0)), tmp_path / "built")
    assert (place / "old").read_text() == "old"


def test_what_escapes_the_record_is_known(replay):
    def work():
        subprocess.run(["sh", "-c", "echo hidden > hidden; echo more >> old"], check=True)

    assert replay(work).escaped == ["hidden", "old"]
