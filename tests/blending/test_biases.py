"""Class biases."""

import numpy as np
import pytest
from conftest import SHAPE, simulated, softmax

from kit.blending.biases import fit_biases, line_search
from kit.blending.fit import fit_rule, nested
from kit.blending.rule import Rule
from kit.scoring.metrics import macro_f1


def test_the_line_search_finds_the_best_of_all_shifts():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logs, truth = np.log(rng.dirichlet(np.ones(18), 120)), rng.integers(0, 18, 120)
        group = rng.random(18) < 0.3
        group[0], group[1] = True, False
        shift, f1 = line_search(logs, truth, group)
        assert macro_f1(truth, (logs + shift * group).argmax(axis=1), 18) == pytest.approx(f1)
        tried = [
            macro_f1(truth, (logs + s * group).argmax(axis=1), 18) for s in np.linspace(-8, 8, 400)
        ]
        assert f1 >= max(tried) - 0.001 - 1e-9


def test_biases_are_invariant_to_a_common_shift():
    for seed in range(5):
        members, truth, person, _ = simulated(seed, members=1)
        logs = np.log(members[0].astype(np.float64))
        biases = fit_biases(logs, truth, person, SHAPE)
        rows = np.random.default_rng(seed).normal(size=(len(logs), 1))
        np.testing.assert_allclose(fit_biases(logs + 5, truth, person, SHAPE), biases, atol=1e-9)
        np.testing.assert_allclose(fit_biases(logs + rows, truth, person, SHAPE), biases, atol=1e-9)
        assert biases.mean() == pytest.approx(0, abs=1e-12)
        shifted = Rule("mean", np.ones(1), 1.0, biases + 3)
        assert (
            shifted.classes(members) == Rule("mean", np.ones(1), 1.0, biases).classes(members)
        ).all()


def test_biases_undo_a_known_one_in_the_nested_score():
    members, truth, person, fold = simulated(0, members=1, people=400, signal=6)
    old = np.log(members[0].astype(np.float64))
    old[:, np.arange(18) % 3 == 2] -= 6  # as from a network that was trained with few of the oldest
    spoilt = softmax(old)[None]
    classes, _, _ = nested(
        spoilt, truth, person, fold, lambda *part: fit_rule(*part, "mean", "bias", SHAPE)
    )
    assert macro_f1(truth, classes, 18) > macro_f1(truth, spoilt[0].argmax(axis=1), 18) + 0.05
    assert macro_f1(truth, classes, 18) > 0.85 * macro_f1(truth, members[0].argmax(axis=1), 18)
