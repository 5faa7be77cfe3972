"""The paired permutation test against all swaps, and where nothing differs."""

import itertools

import numpy as np
import pytest
from draws import grouped_predictions, macro_f1

from kit.scoring.bootstrap import GroupBootstrap


def test_the_paired_p_is_that_of_all_swaps():
    for seed in range(4):
        truth, person, a, b = grouped_predictions(seed, people=10)
        observed, found = abs(macro_f1(truth, b, 18) - macro_f1(truth, a, 18)), []
        for swap in itertools.product([False, True], repeat=10):
            swapped = np.array(swap)[person]
            found.append(
                abs(
                    macro_f1(truth, np.where(swapped, a, b), 18)
                    - macro_f1(truth, np.where(swapped, b, a), 18)
                )
            )
        exact = np.mean(np.array(found) >= observed - 1e-9)
        assert GroupBootstrap(person, truth, 18).paired_p(a, b) == pytest.approx(exact, abs=0.05)


def test_the_paired_test_is_right_where_nothing_differs_and_finds_what_does():
    people = [grouped_predictions(seed) for seed in range(150)]
    p = np.array(
        [
            GroupBootstrap(person, truth, 18, draws=300).paired_p(a, b)
            for truth, person, a, b in people
        ]
    )
    assert np.mean(p < 0.1) < 0.18 and np.mean(p) > 0.4
    truth, person, a, b = grouped_predictions(0, people=200, better=0.3)
    assert (
        GroupBootstrap(person, truth, 18).paired_p(a, b) < 0.01
        and GroupBootstrap(person, truth, 18).paired_p(a, a) == 1
    )
