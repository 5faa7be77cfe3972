"""A temporary name says who writes there, and what a killed process left is removed."""

import os
import socket
import subprocess
import sys
import time

import pytest

from kit.system.disk import atomic_write, text_hash
from kit.system.temporary import host_name, is_left, remove_left, temporary_path, writer_of


@pytest.fixture(scope="module")
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "host, safe",
    [
        ("box-1.lab.org", "box-1-lab-org"),
        ("스타/..", "-----"),
        ("", "localhost"),
        ("a" * 64, "a" * 31 + "-" + text_hash("a" * 64)[:8]),
    ],
)
def test_a_temporary_name_tells_host_and_process(tmp_path, monkeypatch, host, safe):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert host_name() == safe
    path = temporary_path(tmp_path / "a.csv")
    assert path == tmp_path / f".a.csv.{safe}.{os.getpid()}.tmp"
    assert writer_of(path) == (safe, os.getpid())
    assert writer_of(tmp_path / ".a.1.tmp") is None and writer_of(tmp_path / "a.tmp") is None


def test_what_a_killed_process_left_of_a_file_goes_when_it_is_written(tmp_path, ended):
    host, living = host_name(), os.getppid()
    left = [f".a.csv.{host}.{ended}.tmp", f".a.csv.new.{host}.{ended}.tmp"]
    stay = [f".a.csv.{host}.{living}.tmp", ".a.csv.other.1.tmp", f".b.csv.{host}.{ended}.tmp"]
    (tmp_path / left[1]).mkdir()  # a folder that was to be renamed
    (tmp_path / left[1] / "half").touch()
    for name in (left[0], *stay, ".a.csv.lock"):
        (tmp_path / name).touch()
    with atomic_write(tmp_path / "a.csv") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {*stay, "a.csv", ".a.csv.lock"}


def test_a_link_is_removed_and_not_what_it_names(tmp_path, ended):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    link = tmp_path / f".a.{host_name()}.{ended}.tmp"
    link.symlink_to(tmp_path / "mine", target_is_directory=True)
    remove_left(tmp_path / "a")
    assert not link.is_symlink() and (tmp_path / "mine" / "kept").exists()


def test_what_this_process_writes_stays(tmp_path):
    own = temporary_path(tmp_path / "a")
    own.touch()
    remove_left(tmp_path / "a")
    assert own.exists() and not is_left(tmp_path / "nowhere")
    remove_left(tmp_path / "nowhere" / "a")  # no folder, nothing to do


def test_a_folder_that_is_read_for_hours_stays(tmp_path):
    """Its own time is that of its last new entry."""
    files = [tmp_path / f".{name}.{host_name()}.{os.getppid()}.tmp" for name in ("file", "folder")]
    files[0].touch()
    files[1].mkdir()
    for age, left in ((60, [False, False]), (2 * 3600, [True, False]), (10**6, [True, True])):
        for path in files:
            os.utime(path, (time.time() - age,) * 2)
        assert [is_left(path) for path in files] == left
