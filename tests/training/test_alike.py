import dataclasses
import json

import numpy as np
import pytest
import torch
from helpers import MASK, small
from trainings import on_cpu

from kit.scale.group import Group
from kit.scale.ranks import Ranks
from kit.system.errors import KitError
from kit.training.alike import check_alike, weights_hash
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.resume import TrainingState


@dataclasses.dataclass(frozen=True)
class Other(Group):
    """A group of two, whose other process has all that this one has but for `changes`."""

    changes: tuple[tuple[str, str], ...] = ()

    def gather_values(self, value):
        return [json.loads(json.dumps(value)), value | dict(self.changes)]


def checked(world, folder, **changes):
    group = Other(Ranks(0, 2), changes=tuple(changes.items()))
    options = on_cpu(group=group)
    job = FoldJob(small(), world.plan, world.folder, 0, folder, options)
    learner = Learner(job.recipe, MASK, np.ones(18), torch.device("cpu"))
    check_alike(job, learner, TrainingState(step=3))


@pytest.mark.parametrize(
    "name, value", [("precision", "float16"), ("last.pt", "epoch 2, step 0"), ("weights", "0" * 64)]
)
def test_processes_that_begin_otherwise_are_told(world, tmp_path, name, value):
    checked(world, tmp_path)
    with pytest.raises(
        KitError, match=rf"process 1 has another {name} than process 0: {value:.60}"
    ):
        checked(world, tmp_path, **{name: value})


def test_the_hash_is_of_weights_and_statistics():
    learners = [Learner(small(), MASK, np.ones(18), torch.device("cpu")) for _ in range(2)]
    before = weights_hash(learners[0])
    assert before == weights_hash(learners[1])
    learners[0].network.body.bn1.running_mean += 1
    assert weights_hash(learners[0]) != before
