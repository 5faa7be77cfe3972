"""Trainings on one machine share its threads."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest
import torch
from helpers import everywhere

import kit.system.threads


def test_trainings_side_by_side_share_the_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    everywhere(monkeypatch, kit.system.threads, "_THREADS", 8)
    hold = (
        "import sys; from kit.system import threads; from pathlib import Path\n"
        "threads.user_folder = lambda: Path(sys.argv[1])\n"
        "with threads.count_training(): print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(kit.system.threads.user_folder())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert kit.system.threads.share_threads() == 8
        with kit.system.threads.count_training():  # oneself counts once
            assert kit.system.threads.share_threads() == 8 and other.stdout.readline() == b"in\n"
            assert (
                kit.system.threads.other_trainings() == 1
                and kit.system.threads.share_threads() == 4
            )
            assert kit.system.threads.share_threads(begun_with=3) == 3  # what goes on keeps its own
            other.kill()
            other.wait()
            assert (
                kit.system.threads.other_trainings() == 0
                and kit.system.threads.share_threads() == 8
            )
        assert not list(kit.system.threads.user_folder().glob("*.lock"))
        assert kit.system.threads.share_threads(begun_with=64) == 8  # but no more than there are
        monkeypatch.setenv("OMP_NUM_THREADS", "8")
        torch.set_num_threads(2)
        assert kit.system.threads.share_threads(begun_with=3) == 2
    finally:
        other.kill()
        other.communicate()
        torch.set_num_threads(before)


def test_there_is_a_core():
    assert kit.system.threads.cores() >= 1


@pytest.fixture
def shares(monkeypatch):
    """A process of eight cores whose share may be taken; torch's threads are put back."""
    before = torch.get_num_threads()
    monkeypatch.setattr(kit.system.threads, "_taken", [])
    everywhere(monkeypatch, kit.system.threads, "machine_cores", lambda: 8)
    yield kit.system.threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("variable", ["1", None])
def test_a_share_that_was_taken_decides_whatever_the_environment_says(
    shares, monkeypatch, variable
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert shares.cores() == 8
    shares.take_cores(3)
    assert shares.cores() == 3 and shares.share_threads() == 3
    assert shares.share_threads(begun_with=2) == 2  # what goes on keeps its own
    assert shares.share_threads(begun_with=5) == 5  # though that is more than its share
    assert shares.share_threads(begun_with=64) == 8  # but no more than there are
    shares.take_cores(0)
    assert shares.cores() == 1 and shares.share_threads() == 1
    shares.take_cores(100)
    assert shares.cores() == 8


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "250000\n"}, float("inf")),
        ({"cpu.max": "nonsense"}, float("inf")),
        ({"cpu.max": "100000 0"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_container_s_quota_is_read(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert kit.system.threads.quota(tmp_path) == expected


@pytest.mark.parametrize(
    "quota, expected", [(0.1, 1), (1.0, 1), (2.01, 3), (63.9, 64), (float("inf"), 64)]
)
def test_cores_are_those_of_affinity_and_quota_rounded_up(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    everywhere(monkeypatch, kit.system.threads, "quota", lambda: quota)
    assert kit.system.threads.machine_cores() == kit.system.threads.cores() == expected


def test_torch_has_no_more_threads_than_the_container_s_cores_unless_the_user_says(
    shares, monkeypatch
):
    everywhere(monkeypatch, kit.system.threads, "machine_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    torch.set_num_threads(6)
    assert shares.limit_threads() == 6
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert shares.limit_threads() == 2 == torch.get_num_threads()
    torch.set_num_threads(1)
    assert shares.limit_threads() == 1


def test_trainings_are_not_counted_where_files_cannot_be_locked(monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with kit.system.threads.count_training():
        assert kit.system.threads.other_trainings() == 0
    assert not list(kit.system.threads.user_folder().glob("*.lock"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wanted, threads", [(None, 4), ("2", 2), ("8", 4), ("0", 1), ("2,1", 4)])
def test_a_job_has_no_more_threads_than_the_environment_says(monkeypatch, wanted, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert kit.system.threads.wanted_threads(4) == threads
