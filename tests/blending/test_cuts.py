"""Cut points of the expected class."""

import numpy as np
import pytest

from kit.blending.cuts import _ascend, _best_place, _kappa, fit_cuts
from kit.blending.target import halves
from kit.metrics.metric import find_metric

KAPPA = find_metric("quadratic_kappa").value


def drawn(seed, n=200, classes=5, shrunk=0.5):
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n, p=[0.5, 0.1, 0.2, 0.1, 0.1])
    values = np.clip(1 + shrunk * (truth - 1) + 0.4 * rng.normal(size=n), 0, classes - 1)
    return values, truth


def cut(values, cuts):
    return np.searchsorted(cuts, values, side="right")


def test_the_best_place_of_a_cut_is_that_of_all_tried():
    for seed in range(20):
        values, truth = drawn(seed)
        order = np.argsort(values)
        values, truth = values[order], truth[order]
        cuts = np.array([0.4, 1.4, 2.2, 3.1])
        assert _kappa(values, truth, cuts) == pytest.approx(KAPPA(truth, cut(values, cuts), 5))
        for j in range(4):
            place, kappa = _best_place(values, truth, cuts, j)
            low, high = np.append(-0.5, cuts)[j], np.append(cuts, 4.5)[j + 1]
            assert low <= place <= high
            moved = cuts.copy()
            moved[j] = place
            assert kappa == pytest.approx(KAPPA(truth, cut(values, moved), 5))
            for tried in np.linspace(low, high, 300):
                moved[j] = tried
                assert kappa >= KAPPA(truth, cut(values, moved), 5) - 1e-9


def test_cuts_pay_where_expected_classes_are_shrunk_and_rise():
    values, truth = drawn(0, n=2000)
    fresh, other = drawn(1, n=2000)
    cuts = fit_cuts(values, truth, np.arange(2000), 5)
    assert (np.diff(cuts) >= 0).all()
    plain = np.arange(4) + 0.5
    assert KAPPA(other, cut(fresh, cuts), 5) > KAPPA(other, cut(fresh, plain), 5) + 0.02


def test_cuts_stay_where_they_are_right():
    truth = np.repeat(np.arange(4), 30)
    cuts = fit_cuts(truth.astype(float), truth, np.arange(120), 4)
    assert cuts.tolist() == [0.5, 1.5, 2.5]


def test_no_cut_moved_makes_it_better_where_the_ascent_ends():
    for seed in range(8):
        values, truth = drawn(seed)
        cuts = _ascend(values, truth, np.arange(4) + 0.5)
        order = np.argsort(values, kind="stable")
        reached = KAPPA(truth, cut(values, cuts), 5)
        assert reached > KAPPA(truth, cut(values, np.arange(4) + 0.5), 5)
        for j in range(4):
            assert _best_place(values[order], truth[order], cuts, j)[1] <= reached + 0.0005 + 1e-12


def test_cuts_are_the_mean_of_those_of_halves():
    values, truth = drawn(0, n=600)
    groups = np.arange(600) // 2
    wanted = [_ascend(values[rows], truth[rows], np.arange(4) + 0.5) for rows in halves(groups, 10)]
    assert fit_cuts(values, truth, groups, 5) == pytest.approx(np.mean(wanted, axis=0))
    assert fit_cuts(values, truth, groups, 5, bags=3) == pytest.approx(np.mean(wanted[:3], axis=0))


def test_photos_of_one_value_move_together():
    values = np.repeat([0.2, 0.8, 1.1, 1.9], 5)
    truth = np.array([0] * 5 + [0, 0, 0, 1, 1] + [1] * 5 + [2] * 5)
    place, kappa = _best_place(values, truth, np.array([0.5, 1.5]), 0)
    assert place == pytest.approx(0.95) and kappa == pytest.approx(
        KAPPA(truth, cut(values, [0.95, 1.5]), 3)
    )
    same = np.ones(4)
    assert _kappa(same, np.ones(4, np.int64), np.array([0.5, 1.5])) == 1
