"""One trial: a variant of the recipe trained on the search folds, and scored there."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.data.folder import DataFolder
from kit.data.loader import end_workers
from kit.data.plan import Plan
from kit.metrics.metric import metric_of
from kit.recipe import Recipe
from kit.reporting.comparing import read_runs
from kit.results.predictions import Predictions
from kit.results.run import Fold, read_metrics, score_column
from kit.scoring.metrics import Scores, score
from kit.training.job import TrainOptions
from kit.training.run import train
from kit.tuning.pruning import MedianRule, Pruned


@dataclass(frozen=True)
class Training:
    """What is trained: a recipe on `folds` of a plan, into `runs`, by `options`."""

    recipe: Recipe
    plan: Plan
    data: DataFolder
    folds: tuple[int, ...]
    runs: Path
    options: TrainOptions

    def files(self, fold: int) -> Fold:
        """The files of a fold."""
        return Fold(self.runs / self.recipe.name / f"fold{fold}")


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: its `score`, None if it was pruned, and `note` says when.

    `curves` has the score of each epoch, for each fold that was begun.
    """

    score: float | None
    curves: tuple[tuple[float, ...], ...]
    note: str = ""


def run_trial(training: Training, rules: Sequence[MedianRule | None]) -> Outcome:
    """Train a trial on its folds one after another, each watched by its rule, and score it."""
    column = score_column(metric_of(training.plan.competition))
    curves = []
    for fold, rule in zip(training.folds, rules):
        try:
            run_training(dataclasses.replace(training, folds=(fold,)), rule)
        except Pruned as pruned:
            end_workers()  # they would wait for the next epoch
            curves.append(tuple(row[column] for row in pruned.rows))
            return Outcome(None, tuple(curves), f"on fold {fold}, {pruned}")
        rows = read_metrics(training.files(fold).metrics)
        curves.append(tuple(row[column] for row in rows))
    folders = [training.files(fold).folder for fold in training.folds]
    return Outcome(scores_of(read_runs(folders, training.plan)).score, tuple(curves))


def run_training(training: Training, rule: MedianRule | None = None) -> None:
    """Train the folds one after another, or go on with them."""
    of = training
    options = dataclasses.replace(of.options, watch=rule)
    train(of.recipe, of.plan, of.data, of.folds, of.runs, options)


def scores_of(
    predictions: Predictions, n: int = 0, rows: slice | np.ndarray = slice(None)
) -> Scores:
    """The scores of the n-th of predictions, of some of their photos."""
    truth, probs = predictions.truth, predictions.probs
    if truth is None:
        raise ValueError("the truth is not known")
    return score(
        truth[rows],
        predictions.classes[n][rows],
        predictions.competition,
        None if probs is None else probs[n][rows],
    )
