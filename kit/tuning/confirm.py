"""The confirmation: the best trial against the recipe, on folds that nothing was chosen on."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from kit.metrics.metric import metric_of
from kit.reporting.comparing import compare_predictions, read_runs
from kit.results.predictions import Predictions
from kit.scale.job import raise_errors
from kit.scoring.bootstrap import Interval
from kit.system.console import say
from kit.training.run import train_folds
from kit.tuning.search import Search
from kit.tuning.show import say_folds
from kit.tuning.study import Confirmation, Study, Trial, write_study
from kit.tuning.trial import scores_of


def confirm(search: Search, study: Study) -> Study:
    """Train the best trial, and the recipe as it was, on the other folds, and compare them there.

    Where no trial is better than the recipe on the search folds there is nothing to confirm.
    """
    best = study.best(search.metric.sign)
    if study.confirmation is not None or best.number == 0:
        return study
    recipe, winner = (
        search.folds(study, trial, study.confirm_folds) for trial in (study.trials[0], best)
    )
    pairs = [fold for pair in zip(recipe, winner) for fold in pair]
    say(
        f"trial {best.number} is the best one so far; now it is trained on "
        f"{say_folds(study.confirm_folds)}, and so is the recipe as it is"
    )
    raise_errors(train_folds(pairs, search.place))
    predictions = read_runs([fold.files.folder for fold in (*recipe, *winner)], search.plan)
    fold_of = search.plan.photos.set_index("image")["fold"]
    folds = fold_of.loc[predictions.ids].to_numpy()
    study = dataclasses.replace(study, confirmation=judge(predictions, folds, best))
    write_study(search.folder, study)
    return study


def judge(predictions: Predictions, folds: np.ndarray, trial: Trial) -> Confirmation:
    """The confirmation of a trial: `predictions` are the recipe's and the trial's.

    They are of photos of `folds` (N,).
    """
    comparison = compare_predictions(predictions)
    gain, truth = comparison.pairs[0].gain, comparison.truth
    if gain is None or truth is None:
        raise ValueError("the truth is not known")
    sign = metric_of(predictions.competition).sign
    rows = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    old, new = ([scores_of(predictions, n, at).score for at in rows] for n in (0, 1))
    gains = [sign * (after - before) for before, after in zip(old, new)]
    before, after = (scores_of(predictions, n).score for n in (0, 1))
    return Confirmation(
        trial.number,
        (before, after),
        gain.value,
        gain.interval,
        truth.effective,
        gain.p,
        tuple(gains),
        mean_interval(gains),
    )


def mean_interval(gains: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean of folds' gains, by Student's t; None of fewer than two."""
    finite = np.array([gain for gain in gains if np.isfinite(gain)])
    if len(finite) < 2:
        return None
    half = t.ppf(0.975, len(finite) - 1) * finite.std(ddof=1) / np.sqrt(len(finite))
    return float(finite.mean() - half), float(finite.mean() + half)
