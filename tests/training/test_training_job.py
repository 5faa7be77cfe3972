import dataclasses

import pytest
import torch
from helpers import small
from trainings import on_cpu

from kit.inference.engine import Compute
from kit.system.errors import KitError
from kit.training.job import FoldJob, TrainOptions


def test_a_job_knows_its_place_device_and_workers(world, tmp_path):
    job = FoldJob(small("mine"), world.plan, world.folder, 2, tmp_path, on_cpu())
    assert job.files.folder == tmp_path / "mine" / "fold2" and job.device == torch.device("cpu")
    assert job.workers == 0 and job.competition is world.plan.competition
    options = TrainOptions(compute=Compute("cpu", 3))
    assert dataclasses.replace(job, options=options).workers == 3


def test_a_device_that_is_not_there_is_told_when_it_is_asked_for(world, tmp_path):
    options = TrainOptions(compute=Compute("cuda:77"))
    job = FoldJob(small(), world.plan, world.folder, 0, tmp_path, options)
    with pytest.raises(KitError, match="--device cuda:77"):
        _ = job.device
