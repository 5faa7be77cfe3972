"""One trial: trained and scored on its folds, pruned, and found finished."""

import numpy as np
import pytest
from helpers import small
from trainings import on_cpu

from kit.results.probs import read_probs
from kit.scoring.metrics import score
from kit.tuning.pruning import MedianRule
from kit.tuning.trial import Training, run_trial

NEVER = MedianRule("val_f1_macro", 1, (2.0,) * 3, 3)


@pytest.fixture
def training(world):
    """The world's own run, which is trained."""
    return Training(small(), world.plan, world.folder, (0, 2), world.runs, on_cpu())


def test_the_score_of_a_trial_is_that_of_its_folds_photos_pooled(world, training):
    outcome = run_trial(training, [None, None])
    tables = [read_probs(training.files(fold).oof) for fold in (0, 2)]
    ids = np.concatenate([table.ids for table in tables])
    labels = world.plan.photos.set_index("image")["label"].loc[ids].to_numpy()
    said = np.concatenate([table.probs for table in tables]).argmax(axis=1)
    assert outcome.score == pytest.approx(score(labels, said, world.plan.competition).score)
    assert [len(curve) for curve in outcome.curves] == [2, 2] and outcome.note == ""


def test_a_pruned_trial_has_the_curves_so_far_and_no_score(world, training, tmp_path):
    pruned = Training(small("mine", epochs=3), world.plan, world.folder, (1, 0), tmp_path, on_cpu())
    first = run_trial(pruned, [NEVER, None])
    assert first.score is None and [len(curve) for curve in first.curves] == [2]
    assert first.note.startswith("on fold 1, epoch 2: worse than the median")
    assert not pruned.files(0).folder.exists()
    assert run_trial(pruned, [NEVER, None]) == first  # as after a kill before it was recorded
