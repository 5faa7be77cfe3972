"""Margins: no more other classes than promised."""

import numpy as np
import pytest
from draws import decided_early, random_passes
from scipy.stats import hypergeom

from kit.blending.early import exact_stopping_rule, headroom
from kit.blending.margins import (
    Sample,
    allowed_to_differ,
    draw_sample,
    fit_stopping_rule,
    most_that_may_differ,
    sample_size,
)
from kit.blending.rule import decide, weighted
from kit.system.errors import KitError


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


@pytest.mark.parametrize(("photos", "tested"), [(40, 12), (60, 25), (200, 60)])
def test_the_bound_is_the_first_number_that_would_be_a_surprise(photos, tested):
    for differ in (0, 1, 3):
        chance = [hypergeom.cdf(differ, photos, bad, tested) for bad in range(photos + 1)]
        most = max(bad for bad, p in enumerate(chance) if p > 0.05)
        assert (
            most_that_may_differ(photos, tested, differ)
            == min(most, photos - tested + differ) - differ
        )


def test_a_sample_is_drawn_once_and_for_all():
    sample, again = draw_sample(3000, 0.99), draw_sample(3000, 0.99)
    fitting, tested = sample_size(3000, 0.99)
    assert (sample.rows == again.rows).all() and len(set(sample.rows)) == fitting + tested
    assert (sample.fitting, sample.photos, sample.agree) == (fitting, 3000, 0.99)
    assert sample.rows.max() < 3000 and sample.rows.min() >= 0
    assert sample_size(10_000, 0.5) == (25, 50)  # fifty are tested at the least
    said = "--agree 0.99 allows 2 of 200 photos to differ: to be 95 % sure of it, most of them must"
    with pytest.raises(KitError, match=f"^{said}"):
        sample_size(200, 0.99)


def test_margins_by_hand():
    """Two passes of equal weight: the second decides a photo that it turns."""
    n, sure = 400, np.tile([0.9, 0.1], (400, 1))
    probs, sample = np.stack([sure, sure]), Sample(np.arange(n), 100, 4000, 0.95)
    weights, gains = np.array([0.5, 0.5]), np.ones(2)
    room = headroom(0.5 * sure, gains, 0.5)[0]  # .4 of .5
    assert room == pytest.approx(0.8, abs=1e-4)

    def fitted(*turned):
        changed = probs.copy()
        changed[1, list(turned)] = [0.0, 1.0]
        classes = changed.mean(axis=0).argmax(axis=1)
        return fit_stopping_rule(changed, weights, gains, sample, classes)

    none = fitted()  # no photo differs: the lowest margin, 0, stops all photos
    assert (none.after.tolist(), none.differ, none.tested) == ([0], 0, 300)
    assert (none.allowed, none.sample.tolist()) == (200, list(range(n)))
    # One that turns among the fitting ones: the margin is its room, and below it down to 0, for
    # the others keep their class.
    one = fitted(3)
    assert one.after.tolist() == [0] and one.differ == 0
    most = max(d for d in range(300) if most_that_may_differ(3900, 300, d) <= 200)
    allowed, more = fitted(*range(100, 100 + most)), fitted(*range(100, 101 + most))
    assert (allowed.after.tolist(), allowed.differ) == ([0], most)
    # One more: to stop below the room is a failure, and the last step above it is taken.
    assert more.differ == 0 and more.after == pytest.approx([0.8])
    both = fitted(3, *range(100, 101 + most))  # from 1 down to the room, which is not above itself
    assert both.differ == 0 and both.after == pytest.approx([room])


def test_margins_between_the_fitted_and_the_exact_ones_and_with_gains():
    n, sample = 400, Sample(np.arange(400), 100, 4000, 0.95)
    most = max(d for d in range(300) if most_that_may_differ(3900, 300, d) <= 200)

    def fitted(first, second, gains):
        classes = ((first + second) * gains).argmax(axis=1)
        halves = np.array([0.5, 0.5])
        return fit_stopping_rule(np.stack([first, second]), halves, gains, sample, classes)

    # A fitting photo with a room of .8 turns, and too many tested ones with one of .9.
    first = np.tile([0.9, 0.1], (n, 1))
    first[100 : 101 + most] = 0.95, 0.05
    second = first.copy()
    second[[3, *range(100, 101 + most)]] = 0.0, 1.0
    assert fitted(first, second, np.ones(2)).after == pytest.approx([0.9], abs=1e-4)
    # With a gain of 3 the second class leads by .45 to .35, and has a room of .2, until the rest.
    first = np.tile([0.7, 0.3], (n, 1))
    second = first.copy()
    second[100 : 101 + most] = 1.0, 0.0
    rule = fitted(first, second, np.array([1.0, 3.0]))
    assert rule.after == pytest.approx([0.2]) and rule.differ == 0


def test_agree_keeps_its_bound_in_at_least_95_of_100_simulations():
    kept, saved, differing, n, photos, agree = 0, [], [], 200, 3000, 0.99
    fitting, tested = sample_size(photos, agree)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        count = 6
        probs = random_passes(rng, count, photos, rng.uniform(0.5, 0.95), rng.uniform(1, 3))
        weights, gains = rng.dirichlet(np.full(count, 5.0)), np.exp(rng.normal(0, 0.3, 18))
        sample = rng.choice(photos, fitting + tested, replace=False)
        margins = fit_stopping_rule(
            probs[:, sample],
            weights,
            gains,
            Sample(sample, fitting, photos, agree),
            (np.tensordot(weights, probs[:, sample], 1) * gains).argmax(axis=1),
        )
        classes, taken = decided_early(probs, weights, gains, margins)
        differ = int((classes != decide(weighted(probs, weights), gains)).sum())
        assert (taken[sample] == count).all() and margins.allowed == allowed_to_differ(
            photos, agree
        )
        kept += differ <= allowed_to_differ(photos, agree)
        exact = decided_early(probs, weights, gains, exact_stopping_rule(count))[1]
        saved.append((exact.mean() - taken.mean()) / count)
        differing.append(differ)
    assert kept >= 0.95 * n
    assert max(differing) > 0 and np.mean(saved) > 0.01  # it is not the exact bound in disguise
