"""The confirmation: what chance makes of settings without an effect, and of such with one."""

import dataclasses

import numpy as np
import pytest
from kinds import SIDES
from scipy.stats import ttest_1samp

from kit.results.predictions import Predictions
from kit.tuning.confirm import judge, mean_interval
from kit.tuning.study import Confirmation, Trial

FOLDS, GROUPS, PHOTOS, TRIALS = 5, 60, 4, 8


def simulate(rng: np.random.Generator, spread: float, effect: float = 0.0) -> Confirmation | None:
    """The confirmation of the best of 8 trials, or None where the recipe itself is the best.

    Each of 60 people has four photos. Each training has a skill of its own, with such a `spread`,
    as another seed would give it, and each trial but the recipe has an `effect`.
    """
    fold = np.repeat(np.arange(GROUPS) % FOLDS, PHOTOS)
    group = np.repeat(np.arange(GROUPS), PHOTOS)
    truth = rng.integers(0, 3, len(fold))
    ease = 0.8 + rng.normal(0, 1, GROUPS)[group] + rng.normal(0, 0.5, len(fold))
    answers = []
    for n in range(TRIALS):
        skill = rng.normal(effect * (n > 0), spread, FOLDS)[fold]
        right = ease + skill + rng.normal(0, 0.7, len(fold)) > 0
        answers.append(np.where(right, truth, (truth + rng.integers(1, 3, len(fold))) % 3))
    score = [float((answer == truth)[fold == 0].mean()) for answer in answers]
    best = int(np.argmax(score))
    if best == 0:
        return None
    at = fold > 0
    ids = [str(n) for n in np.flatnonzero(at)]
    classes = np.stack([answers[0][at], answers[best][at]])
    predictions = Predictions(SIDES, ["recipe", "best"], ids, classes, truth[at], group[at], [])
    return judge(predictions, fold[at], Trial(best, {}))


def share_taken(seed: int, studies: int, spread: float, effect: float = 0.0) -> float:
    rng = np.random.default_rng(seed)
    confirmed = [simulate(rng, spread, effect) for _ in range(studies)]
    return float(np.mean([one is not None and one.above_chance for one in confirmed]))


def test_a_field_without_effect_is_taken_in_few_of_many_searches():
    """Trainings differ as seeds do, and by drawn groups alone 10 of 100 such trials seem better."""
    assert share_taken(0, 200, spread=0.3) <= 0.05


def test_an_effect_is_found():
    assert share_taken(1, 25, spread=0.15, effect=0.8) >= 0.6


@pytest.mark.trial
@pytest.mark.parametrize("spread", [0.0, 0.15, 0.3, 0.6])
def test_a_field_without_effect_is_taken_in_few_of_200_searches(spread):
    assert share_taken(0, 200, spread) <= 0.05


def test_a_confirmation_has_both_scores_and_the_gains_of_folds():
    truth = np.repeat([0, 1, 2, 0], 10)
    folds, groups = np.repeat([1, 2], 20), np.arange(40)
    old = np.where(np.arange(40) % 2, truth, (truth + 1) % 3)
    predictions = Predictions(
        SIDES, ["a", "b"], [str(n) for n in range(40)], np.stack([old, truth]), truth, groups, []
    )
    confirmed = judge(predictions, folds, Trial(3, {}))
    assert (confirmed.trial, confirmed.scores, confirmed.gain) == (3, (0.5, 1.0), 0.5)
    assert (
        confirmed.folds == (0.5, 0.5)
        and confirmed.folds_interval == (0.5, 0.5)
        and confirmed.groups == 40
    )
    assert confirmed.above_chance
    turned = dataclasses.replace(predictions, classes=predictions.classes[::-1])
    assert judge(turned, folds, Trial(3, {})).gain == -0.5


def test_the_interval_of_the_folds_gains_is_student_s():
    assert mean_interval([0.1]) is None and mean_interval([0.1, float("nan")]) is None
    assert mean_interval([0.1, 0.1]) == (0.1, 0.1)
    gains = [0.1, 0.14, 0.06, 0.1]
    expected = ttest_1samp(gains, 0).confidence_interval(0.95)
    assert mean_interval(gains) == pytest.approx((expected.low, expected.high))


def test_it_holds_the_true_mean_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    samples = [mean_interval(rng.normal(0.1, 1, 4)) for _ in range(2000)]
    assert np.mean([low <= 0.1 <= high for low, high in samples]) == pytest.approx(0.95, abs=0.015)
