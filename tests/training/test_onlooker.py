import numpy as np
import torch
from helpers import MASK, small
from trainings import on_cpu

from kit.training.fold_data import split_fold
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.onlooker import Onlooker
from kit.training.resume import TrainingState
from kit.training.trackers import open_tracker


def test_an_onlooker_writes_nothing(world, tmp_path):
    job = FoldJob(small(), world.plan, world.folder, 0, tmp_path, on_cpu(save_minutes=1e-9))
    valid = split_fold(job).valid
    learner = Learner(job.recipe, MASK, np.ones(18), torch.device("cpu"))
    writer, row = Onlooker(job, learner, valid, 1, True), {"epoch": 1, "val_loss": 1.0}
    probs, tracker = np.full((len(valid), 18), 1 / 18), open_tracker(None, tmp_path, {}, [])
    state = TrainingState(rows=[row])
    assert not writer.due and not writer.lacks([row])
    assert not writer.end_epoch(state, probs, tracker)
    writer.save(state)
    writer.keep(row, probs)
    writer.keep_epoch(row)
    writer.finish(state)
    assert list(tmp_path.rglob("*")) == []
