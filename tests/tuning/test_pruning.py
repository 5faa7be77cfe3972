"""The median rule: when a training ends early, and that it can be resumed to the same end."""

import pytest
from helpers import small
from trainings import metrics_of, on_cpu

from kit.results.run import Fold
from kit.training.run import train
from kit.tuning.pruning import LEAST_TRIALS, MedianRule, Pruned, medians
from kit.tuning.study import DONE, PRUNED, Trial


def trials(*curves, state=DONE):
    return [Trial(n, {}, state, 0.5, (curve,)) for n, curve in enumerate(curves)]


def test_medians_are_of_finished_trials_at_the_same_epoch():
    curves = [(n / 10, n / 5) for n in range(5)]
    assert medians(trials(*curves), 0) == (0.2, 0.4)
    assert medians(trials(*curves[: LEAST_TRIALS - 1]), 0) == ()
    assert medians(trials(*curves) + trials((9.0, 9.0), state=PRUNED), 0) == (0.2, 0.4)
    assert medians(trials(*curves[:4], (0.4,)), 0) == (0.2,)  # one is shorter


def rows(*scores):
    return [{"epoch": n + 1, "val_f1_macro": score} for n, score in enumerate(scores)]


def test_a_training_ends_where_its_best_epoch_is_below_the_median():
    rule = MedianRule("val_f1_macro", 1, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), 6)
    for fine in (rows(), rows(0.1), rows(0.1, 0.4), rows(0.1, 0.55, 0.2)):
        rule(fine)
    with pytest.raises(Pruned, match="epoch 2: worse than the median, 0.4") as pruned:
        rule(rows(0.3, 0.39))
    assert pruned.value.rows == rows(0.3, 0.39)
    rule(rows(*[0.1] * 7))  # no trial came so far


def test_less_is_better_of_a_loss():
    rule = MedianRule("val_f1_macro", -1, (0.3, 0.3), 2)
    rule(rows(0.4, 0.3))
    with pytest.raises(Pruned):
        rule(rows(0.4, 0.31))


def test_a_pruned_training_is_saved_and_ends_at_the_same_epoch_again(world, tmp_path):
    rule = MedianRule("val_f1_macro", 1, (2.0, 2.0, 2.0), 3)
    options, recipe = on_cpu(watch=rule), small("pruned", epochs=3)
    seen = []
    for _ in range(2):  # the second one resumes
        with pytest.raises(Pruned) as pruned:
            train(recipe, world.plan, world.folder, [0], tmp_path, options)
        seen.append(pruned.value.rows)
    files = Fold(tmp_path / "pruned" / "fold0")
    assert seen[0] == seen[1] and len(seen[0]) == 2
    assert files.last.exists() and len(metrics_of(files)) == 2
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    assert len(metrics_of(files)) == 3 and not files.last.exists()
