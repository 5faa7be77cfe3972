"""Deciding early: the same classes as the full run, or no more others than promised."""

import numpy as np
import pytest

from kit.blending.early import (
    exact_stopping_rule,
    headroom,
    margins_over_next,
    remaining_weights,
    run_passes,
)
from kit.blending.margins import (
    allowed_to_differ,
    fit_stopping_rule,
    most_that_may_differ,
    sample_size,
)
from kit.blending.rule import decide, weighted
from kit.system.errors import KitError


def passes(rng, count, photos, correlation, sharpness):
    """Probabilities (passes, photos, 18) float32 that agree as much as `correlation` says."""
    shared = rng.normal(size=(photos, 18)).astype(np.float32)
    shared[np.arange(photos), rng.integers(0, 18, photos)] += rng.choice([1.0, 4.0], photos)
    own = rng.normal(size=(count, photos, 18)).astype(np.float32)
    exp = np.exp(sharpness * (correlation * shared + np.sqrt(1 - correlation**2) * own))
    return exp / exp.sum(axis=2, keepdims=True)


def classes_of(probs, weights, gains, margins):
    """The classes and passes taken, and the photos that each pass was asked for."""
    asked = []

    def rows(p, rows):
        asked.append(len(rows))
        return probs[p, rows]

    total, taken = run_passes(rows, weights, gains, margins, probs.shape[1])
    whole = taken == len(weights)
    total[whole] = weighted(probs[:, whole], weights)
    assert sum(asked) == taken.sum()
    return decide(total, gains), taken


def test_fast_equals_the_full_run_on_a_thousand_random_member_sets():
    saved = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 12))
        probs = passes(rng, count, 40, rng.uniform(0, 0.99), rng.uniform(0.2, 4))
        weights = rng.dirichlet(np.full(count, rng.choice([0.3, 1, 30]))) + 1e-6
        gains = np.exp(rng.normal(0, rng.choice([0, 0.5, 2]), 18))
        classes, taken = classes_of(
            probs, weights / weights.sum(), gains, exact_stopping_rule(count)
        )
        assert (classes == decide(weighted(probs, weights / weights.sum()), gains)).all(), seed
        saved.append(1 - taken.mean() / count)
    assert np.mean(saved) > 0.05


@pytest.mark.parametrize("slack", [0.01, 0.1, 0.4])
def test_with_slack_nothing_is_decided_by_less(slack):
    rng = np.random.default_rng(1)
    probs, weights, gains = (
        passes(rng, 10, 500, 0.9, 2),
        rng.dirichlet(np.full(10, 30)),
        np.exp(rng.normal(0, 0.2, 18)),
    )
    total, taken = run_passes(
        lambda p, rows: probs[p, rows], weights, gains, exact_stopping_rule(10), 500, slack
    )
    early = taken < 10
    left = np.append(remaining_weights(weights), 0)[taken - 1]
    assert early.any() and (margins_over_next(total, gains, left)[early] > slack).all()
    plain = run_passes(
        lambda p, rows: probs[p, rows], weights, gains, exact_stopping_rule(10), 500
    )[1]
    assert (taken >= plain).all() and (taken > plain).any()


def test_ten_correlated_members_save_passes():
    rng = np.random.default_rng(0)
    _, taken = classes_of(
        passes(rng, 10, 3000, 0.9, 2), np.full(10, 0.1), np.ones(18), exact_stopping_rule(10)
    )
    assert 0.1 < 1 - taken.mean() / 10 < 0.5


def test_the_headroom_by_hand():
    total = np.zeros((2, 18))
    total[0, :2], total[1, :2] = (0.5, 0.1), (0.3, 0.3)
    assert headroom(total, np.ones(18), 0.2)[0] == pytest.approx(2, rel=1e-3)  # .5 - .1 against .2
    assert headroom(total, np.ones(18), 0.2)[1] == 0
    gains = np.ones(18)
    gains[1] = 2.0  # .5 - .2 against 2 x .2
    assert headroom(total, gains, 0.2)[0] == pytest.approx(0.75, rel=1e-3)
    assert remaining_weights(np.array([0.5, 0.3, 0.2])).tolist() == pytest.approx([0.5, 0.2])


def test_a_photo_that_could_still_change_is_never_decided():
    """The worst case is reached: the passes to come give everything to the second class."""
    probs = np.zeros((2, 1, 18), np.float32)
    probs[0, 0, :2], probs[1, 0, 1] = (0.75, 0.25), 1
    for first in (0.6, 0.66, 0.67, 0.7, 0.8):
        weights = np.array([first, 1 - first])
        classes, taken = classes_of(probs, weights, np.ones(18), exact_stopping_rule(2))
        assert classes[0] == weighted(probs, weights)[0].argmax()
        assert taken[0] == (1 if 0.5 * first > (1 - first) + 1e-5 else 2)


def test_the_hypergeometric_bound_by_hand():
    # 3 of 10 differ; a sample of 5 misses them all with p = C(7,5)/C(10,5) = 1/12 > .05, and 4 with
    # C(6,5)/C(10,5) = 1/42.
    assert most_that_may_differ(10, 5, 0) == 3
    assert most_that_may_differ(10, 10, 2) == 0
    for photos, tested in ((100, 30), (1000, 200)):
        bounds = [most_that_may_differ(photos, tested, differ) for differ in range(5)]
        assert bounds == sorted(bounds)
    assert allowed_to_differ(12600, 0.998) == 25 and allowed_to_differ(100, 0.99) == 1


def test_a_set_too_small_for_the_bound_is_refused():
    with pytest.raises(KitError, match="allows 4 of 2,100 photos to differ"):
        sample_size(2100, 0.998)
    fitting, tested = sample_size(12600, 0.998)
    assert (
        most_that_may_differ(12600, tested, 1) <= 25 < most_that_may_differ(12600, tested - 1, 1)
        and fitting == tested // 2
    )


def test_agree_keeps_its_bound_in_at_least_95_of_100_simulations():
    kept, saved, differing, n, photos, agree = 0, [], [], 200, 3000, 0.99
    fitting, tested = sample_size(photos, agree)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        count = 6
        probs = passes(rng, count, photos, rng.uniform(0.5, 0.95), rng.uniform(1, 3))
        weights, gains = rng.dirichlet(np.full(count, 5.0)), np.exp(rng.normal(0, 0.3, 18))
        sample = rng.choice(photos, fitting + tested, replace=False)
        margins = fit_stopping_rule(
            probs[:, sample],
            weights,
            gains,
            sample,
            fitting,
            photos,
            agree,
            (np.tensordot(weights, probs[:, sample], 1) * gains).argmax(axis=1),
        )
        classes, taken = classes_of(probs, weights, gains, margins)
        differ = int((classes != decide(weighted(probs, weights), gains)).sum())
        assert (taken[sample] == count).all() and margins.allowed == allowed_to_differ(
            photos, agree
        )
        kept += differ <= allowed_to_differ(photos, agree)
        exact = classes_of(probs, weights, gains, exact_stopping_rule(count))[1]
        saved.append((exact.mean() - taken.mean()) / count)
        differing.append(differ)
    assert kept >= 0.95 * n
    assert max(differing) > 0 and np.mean(saved) > 0.01  # it is not the exact bound in disguise


def test_a_single_pass_has_nothing_to_decide():
    margins = fit_stopping_rule(
        np.zeros((1, 5, 18)), np.ones(1), np.ones(18), np.arange(5), 2, 100, 0.9, np.zeros(5, int)
    )
    assert margins.after.shape == (0,) and margins.allowed == 0
