"""One trial: trained and scored on its folds, pruned, and found finished."""

import numpy as np
import pytest
from helpers import small
from trainings import on_cpu

from kit.results.probs import read_probs
from kit.scoring.metrics import score
from kit.system.errors import KitError
from kit.system.locks import lock_folder
from kit.training.job import FoldJob
from kit.tuning.pruning import MedianRule
from kit.tuning.study import DONE, FAILED, PRUNED
from kit.tuning.trial import run_trial

NEVER = MedianRule("val_f1_macro", 1, (2.0,) * 3, 3)


def folds(world, runs, numbers, **changes):
    return [FoldJob(small(**changes), world.plan, world.folder, n, runs, on_cpu()) for n in numbers]


def test_the_score_of_a_trial_is_that_of_its_folds_photos_pooled(world):
    trained = folds(world, world.runs, (0, 2))
    outcome = run_trial(trained, [None, None])
    tables = [read_probs(fold.files.oof) for fold in trained]
    ids = np.concatenate([table.ids for table in tables])
    labels = world.plan.photos.set_index("image")["label"].loc[ids].to_numpy()
    said = np.concatenate([table.probs for table in tables]).argmax(axis=1)
    assert outcome.score == pytest.approx(score(labels, said, world.plan.competition).score)
    assert [len(curve) for curve in outcome.curves] == [2, 2]
    assert (outcome.state, outcome.note) == (DONE, "")


def test_a_pruned_trial_has_the_curves_so_far_and_no_score(world, tmp_path):
    pruned = folds(world, tmp_path, (1, 0), name="mine", epochs=3)
    first = run_trial(pruned, [NEVER, None])
    assert (first.state, first.score) == (PRUNED, None)
    assert [len(curve) for curve in first.curves] == [2]
    assert first.note.startswith("on fold 1, epoch 2: worse than the median")
    assert not pruned[1].files.folder.exists()
    assert run_trial(pruned, [NEVER, None]) == first  # as after a kill before it was recorded


def test_a_mistake_in_the_settings_is_an_outcome_and_one_of_the_system_an_error(
    world, tmp_path, monkeypatch
):
    trial = folds(world, tmp_path, (0,), lr=1e6, optimizer="sgd")
    outcome = run_trial(trial, [None])
    assert (outcome.state, outcome.score) == (FAILED, None)
    assert "is not a finite number" in outcome.note

    def full(fold, stamp):
        raise KitError("the disk is full") from OSError("no space left")

    monkeypatch.setattr("kit.tuning.trial.train_alone", full)
    with pytest.raises(KitError, match="the disk is full"):
        run_trial(trial, [None])


def test_a_fold_that_another_process_trains_is_no_outcome(world, tmp_path):
    (fold,) = folds(world, tmp_path, (0,))
    with lock_folder(fold.files.folder):
        with pytest.raises(KitError, match="another process is training this fold"):
            run_trial([fold], [None])


def test_a_score_that_is_no_number_is_a_failure(world, monkeypatch):
    class Nothing:
        score = float("nan")

    monkeypatch.setattr("kit.tuning.trial.scores_of", lambda predictions: Nothing)
    outcome = run_trial(folds(world, world.runs, (0,)), [None])
    assert (outcome.state, outcome.score) == (FAILED, None)
    assert "no score" in outcome.note
