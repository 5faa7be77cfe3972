"""One trial: a variant of the recipe trained on the search folds, and scored there."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit.data.loader import end_workers
from kit.metrics.metric import metric_of
from kit.reporting.comparing import read_runs
from kit.results.predictions import Predictions
from kit.results.run import read_metrics, score_column
from kit.scoring.metrics import Scores, score
from kit.system.errors import KitError
from kit.training.job import FoldJob
from kit.training.run import train_alone
from kit.tuning.pruning import MedianRule, Pruned
from kit.tuning.study import DONE, FAILED, PRUNED, Curves


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: its state, its `score` if it is done, else a `note` that says why not.

    `curves` has the score of each epoch, for each fold that was begun.
    """

    state: str
    score: float | None = None
    curves: Curves = ()
    note: str = ""


def run_trial(folds: Sequence[FoldJob], rules: Sequence[MedianRule | None]) -> Outcome:
    """Train a trial on its folds one after another, each watched by its rule, and score it.

    A mistake in its settings, such as a loss that is not finite or a batch too large, is its
    outcome. Raises `KitError` for one of the system, such as a full disk.
    """
    column = score_column(metric_of(folds[0].competition))
    curves = []
    for fold, rule in zip(folds, rules):
        options = dataclasses.replace(fold.options, watch=rule)
        try:
            train_alone(dataclasses.replace(fold, options=options), "")
        except Pruned as pruned:
            end_workers()  # they would wait for the next epoch
            curves.append(tuple(row[column] for row in pruned.rows))
            return Outcome(PRUNED, None, tuple(curves), f"on fold {fold.fold}, {pruned}")
        except KitError as error:
            if isinstance(error.__cause__ or error.__context__, OSError):
                raise
            return Outcome(FAILED, None, tuple(curves), str(error))
        curves.append(tuple(row[column] for row in read_metrics(fold.files.metrics, fold.origin)))
    predictions = read_runs([fold.files.folder for fold in folds], folds[0].plan)
    value = scores_of(predictions).score
    if not np.isfinite(value):
        return Outcome(FAILED, None, tuple(curves), "the photos of the search folds have no score")
    return Outcome(DONE, value, tuple(curves))


def scores_of(
    predictions: Predictions, n: int = 0, rows: slice | np.ndarray = slice(None)
) -> Scores:
    """The scores of the n-th of predictions, on some of their photos."""
    truth, probs = predictions.truth, predictions.probs
    if truth is None:
        raise ValueError("the truth is not known")
    return score(
        truth[rows],
        predictions.classes[n][rows],
        predictions.competition,
        None if probs is None else probs[n][rows],
    )
