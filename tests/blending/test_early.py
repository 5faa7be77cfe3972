"""Deciding early: the same classes as the full run's."""

import numpy as np
import pytest
from draws import decided_early, random_passes

from kit.blending.early import (
    StoppingRule,
    exact_stopping_rule,
    headroom,
    margins_over_next,
    remaining_weights,
    run_passes,
)
from kit.blending.margins import Sample, fit_stopping_rule
from kit.blending.rule import decide, weighted


def test_fast_equals_the_full_run_on_a_thousand_random_member_sets():
    saved = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 12))
        probs = random_passes(rng, count, 40, rng.uniform(0, 0.99), rng.uniform(0.2, 4))
        weights = rng.dirichlet(np.full(count, rng.choice([0.3, 1, 30]))) + 1e-6
        gains = np.exp(rng.normal(0, rng.choice([0, 0.5, 2]), 18))
        classes, taken = decided_early(
            probs, weights / weights.sum(), gains, exact_stopping_rule(count)
        )
        assert (classes == decide(weighted(probs, weights / weights.sum()), gains)).all(), seed
        saved.append(1 - taken.mean() / count)
    assert np.mean(saved) > 0.05


@pytest.mark.parametrize("slack", [0.01, 0.1, 0.4])
def test_with_slack_nothing_is_decided_by_less(slack):
    rng = np.random.default_rng(1)
    probs, weights, gains = (
        random_passes(rng, 10, 500, 0.9, 2),
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
    _, taken = decided_early(
        random_passes(rng, 10, 3000, 0.9, 2), np.full(10, 0.1), np.ones(18), exact_stopping_rule(10)
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
        classes, taken = decided_early(probs, weights, np.ones(18), exact_stopping_rule(2))
        assert classes[0] == weighted(probs, weights)[0].argmax()
        assert taken[0] == (1 if 0.5 * first > (1 - first) + 1e-5 else 2)


def test_a_single_pass_has_nothing_to_decide():
    margins = fit_stopping_rule(
        np.zeros((1, 5, 18)),
        np.ones(1),
        np.ones(18),
        Sample(np.arange(5), 2, 100, 0.9),
        np.zeros(5, int),
    )
    assert margins.after.shape == (0,) and margins.allowed == 0


def test_leads_by_hand():
    total, gains = np.array([[0.5, 0.3, 0.1], [0.2, 0.2, 0.2]]), np.array([1.0, 2.0, 1.0])
    # 0: class 1 has .6, class 0 .5, so .1 ahead; with .04 to come that class 0 may get, .06. 1: .4
    # over .2.
    np.testing.assert_allclose(margins_over_next(total, gains, np.zeros(2)), [0.1, 0.2])
    np.testing.assert_allclose(margins_over_next(total, gains, np.array([0.04, 0.0])), [0.06, 0.2])


def test_a_sample_is_never_decided_and_gains_count():
    probs = np.zeros((3, 4, 2), np.float32)
    probs[:, :, 0] = 1
    weights, gains = np.array([0.5, 0.3, 0.2]), np.array([1.0, 3.0])
    rule = exact_stopping_rule(3)
    assert (rule.after.tolist(), rule.sample.tolist()) == ([1, 1], [])
    assert (rule.allowed, rule.tested, rule.differ) == (0, 0, 0)
    calls = []

    def passes(p, rows):
        calls.append((p, rows.tolist()))
        return probs[p, rows]

    # .5 against .5 x 3; after two passes .8 against .2 x 3; of the sample, 1, all are run.
    sampled = StoppingRule(np.ones(2), np.array([1]), 0, 0, 0)
    total, taken = run_passes(passes, weights, gains, sampled, 4)
    assert taken.tolist() == [2, 3, 2, 2]
    assert calls == [(0, [0, 1, 2, 3]), (1, [0, 1, 2, 3]), (2, [1])]
    assert total[:, 0] == pytest.approx([0.8, 1, 0.8, 0.8]) and not total[:, 1].any()
    calls.clear()
    assert run_passes(passes, weights, np.ones(2), rule, 4)[1].tolist() == [2] * 4
    assert len(calls) == 2  # the last pass is of no photo
    low = StoppingRule(np.array([0.3, 1.0]), np.zeros(0, np.int64), 0, 0, 0)
    assert run_passes(passes, weights, gains, low, 4)[1].tolist() == [1] * 4
    # .8 - .6 ahead with what is to come, which is no more than the slack of .3.
    assert run_passes(passes, weights, gains, rule, 4, 0.1)[1].tolist() == [2] * 4
    assert run_passes(passes, weights, gains, rule, 4, 0.3)[1].tolist() == [3] * 4
