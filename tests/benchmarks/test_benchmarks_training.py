"""Training is measured in steps, of which the first is not counted."""

import pytest
import torch
from helpers import MASK, small

import kit.benchmarks.training
from kit.benchmarks.synthetic import training_photos
from kit.benchmarks.training import Steps, kit_training
from kit.system.errors import KitError


def test_the_first_step_is_not_counted(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(kit.benchmarks.training, "clock", lambda device: now[0])
    monkeypatch.setattr(kit.benchmarks.training.time, "perf_counter", lambda: now[0])

    def batches():
        for n in range(9):
            now[0] += 1000 if n == 0 else 2  # the loader starts, or a batch is waited for
            yield n

    def train(batch):
        now[0] += 500 if batch == 0 else 3

    def ready():
        now[0] += 7000  # other workers are waited for

    cpu = torch.device("cpu")
    for more in ((), (ready,)):
        seconds = kit.benchmarks.training._timed_steps(batches(), train, 4, cpu, *more)
        assert seconds == (4 * (2 + 3), 4 * 2)
    assert now[0] > 7000
    with pytest.raises(KitError, match="too few photos for 21 steps"):
        kit.benchmarks.training._timed_steps(batches(), train, 20, torch.device("cpu"))


@pytest.mark.parametrize("cached", [True, False])
def test_a_loop_trains_as_often_as_it_is_told(world, tmp_path, monkeypatch, cached):
    steps, real = [], kit.benchmarks.training.Learner.step

    def step(learner, batches, rate, seeds):
        steps.append(len(batches[0][1]))
        return real(learner, batches, rate, seeds)

    monkeypatch.setattr(kit.benchmarks.training.Learner, "step", step)
    photos = training_photos(world.folder, tmp_path, 30)
    measured = Steps(small(batch_size=6), MASK, 3, 0, torch.device("cpu"))
    took, waited = kit_training(measured, photos, tmp_path / "pixels" if cached else None)()
    assert steps == [6] * 4 and 0 <= waited < took
    assert (tmp_path / "pixels").exists() == cached
