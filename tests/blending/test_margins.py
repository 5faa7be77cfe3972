"""Margins: no more other classes than promised."""

import numpy as np
import pytest
from draws import decided_early, random_passes

from kit.blending.early import exact_stopping_rule
from kit.blending.margins import (
    Sample,
    allowed_to_differ,
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
