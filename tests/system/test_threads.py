"""Trainings on one machine share its threads."""

import subprocess
import sys

import torch
from helpers import everywhere

import kit.system.threads


def test_trainings_side_by_side_share_the_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    everywhere(monkeypatch, kit.system.threads, "_THREADS", 8)
    hold = (
        "import sys; from kit.system import threads; from pathlib import Path\n"
        "threads._trainings = lambda: Path(sys.argv[1])\n"
        "with threads.count_training(): print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(kit.system.threads._trainings())],
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
        assert not list(kit.system.threads._trainings().iterdir())
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
