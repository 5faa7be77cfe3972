"""Workers are real processes that begin together; one that fails does not leave others waiting."""

import threading

import pytest
import torch
from helpers import InPlace, everywhere
from trainings import recipe_file

import kit.benchmarks.scaling
import kit.benchmarks.timing
from kit.benchmarks.scale_table import STAGES, TRAINING
from kit.benchmarks.scaling import (
    Effort,
    bench_scale,
    cases,
    device_names,
    run_together,
    worker_counts,
)
from kit.system.errors import KitError


def cores(monkeypatch, number):
    everywhere(monkeypatch, kit.benchmarks.scaling, "cores", lambda: number)


def test_numbers_of_workers_double_up_to_the_most(monkeypatch):
    cores(monkeypatch, 6)
    assert worker_counts(0, None) == [1, 2, 4, 6] and worker_counts(0, 4) == [1, 2, 4]
    assert worker_counts(4, None) == [1, 2, 4] and worker_counts(1, None) == [1, 2]
    assert worker_counts(0, 1) == [1]
    with pytest.raises(KitError, match="--processes 7: each takes a core, and there are 6"):
        worker_counts(0, 7)


def test_workers_are_spread_over_all_gpus_or_stay_on_the_one_named(monkeypatch):
    scaling = kit.benchmarks.scaling
    monkeypatch.setattr(scaling, "choose_device", lambda name: torch.device(name or "cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert device_names(None) == device_names("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert device_names("cuda:1") == ["cuda:1"] and device_names("cpu") == ["cpu"]


def test_one_worker_with_all_threads_is_measured_beside_where_that_means_something():
    assert cases(TRAINING, [1, 2], 2) == [(1, 1), (2, 1), (1, 2)]
    assert cases(TRAINING, [1, 2], 1) == cases(STAGES[-1], [1, 2], 2) == [(1, 1), (2, 1)]


def test_the_slowest_of_those_at_once_counts():
    meeting = threading.Barrier(3)
    loops = [lambda n=n: (meeting.wait(10), float(n))[1] for n in (2, 5, 3)]
    assert run_together(loops, meeting) == 5


def test_one_that_fails_does_not_leave_the_others_waiting():
    def fail():
        raise KitError("too few photos")

    meeting = threading.Barrier(2)
    with pytest.raises(KitError, match="too few photos"):
        run_together([lambda: meeting.wait(60), fail], meeting)
    assert meeting.broken


def test_two_processes_are_measured_beside_one(world, tmp_path, monkeypatch):
    cores(monkeypatch, 2)
    effort = Effort(rounds=2, steps=1, photos=8)
    table = bench_scale(recipe_file(tmp_path), effort, world.folder, "cpu", 0)
    rates = table.numbers["per_second"]
    assert list(rates) == list(STAGES)
    assert list(rates[TRAINING]) == ["1", "2", "1 with 2 threads"]
    assert all(rate > 0 for cases_ in rates.values() for rate in cases_.values())
    assert len(table.rows) == 2 * len(STAGES) + 2


def test_a_mistake_in_a_worker_is_told(world, tmp_path, monkeypatch):
    everywhere(monkeypatch, kit.benchmarks.timing, "SeparateProcess", InPlace)
    effort = Effort(rounds=1, steps=99, photos=8, workers=1)
    with pytest.raises(KitError, match="too few photos for 100 steps"):
        bench_scale(recipe_file(tmp_path), effort, world.folder, "cpu", 0)
