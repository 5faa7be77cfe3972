"""Class biases."""

import numpy as np
import pytest
from draws import macro_f1, simulated, softmax
from helpers import MASK

from kit.blending.biases import fit_biases, task_groups
from kit.blending.fit import fit_rule, nested
from kit.blending.line_search import line_search, terms_of
from kit.blending.rule import Rule
from kit.blending.target import Target
from kit.competition import Competition
from kit.metrics.metric import find_metric

FIVE = Competition(name="five", classes=tuple("abcde"), metric="f1_macro")


def test_the_line_search_finds_the_best_of_all_shifts():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logs, truth = np.log(rng.dirichlet(np.ones(18), 120)), rng.integers(0, 18, 120)
        group = rng.random(18) < 0.3
        group[0], group[1] = True, False
        shift, f1 = line_search(logs, truth, group, terms_of(find_metric("f1_macro"), truth, 18))
        assert macro_f1(truth, (logs + shift * group).argmax(axis=1), 18) == pytest.approx(f1)
        tried = [
            macro_f1(truth, (logs + s * group).argmax(axis=1), 18) for s in np.linspace(-8, 8, 400)
        ]
        assert f1 >= max(tried) - 0.001 - 1e-9


def test_biases_are_invariant_to_a_common_shift():
    for seed in range(5):
        members, truth, person, _ = simulated(seed, members=1)
        logs = np.log(members[0].astype(np.float64))
        biases = fit_biases(logs, Target(truth, person, MASK))
        rows = np.random.default_rng(seed).normal(size=(len(logs), 1))
        np.testing.assert_allclose(
            fit_biases(logs + 5, Target(truth, person, MASK)), biases, atol=1e-9
        )
        np.testing.assert_allclose(
            fit_biases(logs + rows, Target(truth, person, MASK)), biases, atol=1e-9
        )
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
        spoilt, Target(truth, person, MASK), fold, lambda *part: fit_rule(*part, "mean", "bias")
    )
    assert macro_f1(truth, classes, 18) > macro_f1(truth, spoilt[0].argmax(axis=1), 18) + 0.05
    assert macro_f1(truth, classes, 18) > 0.85 * macro_f1(truth, members[0].argmax(axis=1), 18)


def test_each_answer_but_a_tasks_first_has_a_group_of_classes():
    groups = list(task_groups((3, 2, 3)))
    assert len(groups) == 2 + 1 + 2 and [int(g.sum()) for g in groups] == [6, 6, 9, 6, 6]
    assert np.flatnonzero(groups[0]).tolist() == [6, 7, 8, 9, 10, 11]
    assert np.flatnonzero(groups[2]).tolist() == [3, 4, 5, 9, 10, 11, 15, 16, 17]
    assert np.flatnonzero(groups[4]).tolist() == [2, 5, 8, 11, 14, 17]


def test_of_one_task_each_class_beyond_the_first_is_a_group():
    assert np.array(list(task_groups((4,)))).tolist() == np.eye(4, dtype=bool)[1:].tolist()
    rng = np.random.default_rng(0)
    truth, logs = rng.choice(5, 400, p=[0.4, 0.3, 0.15, 0.1, 0.05]), rng.normal(size=(400, 5))
    logs[np.arange(400), truth] += 2
    logs[:, 4] -= 3  # as from a network that was trained with few of it
    biases = fit_biases(logs, Target(truth, np.arange(400), FIVE))
    assert biases.shape == (5,) and biases.argmax() == 4
    assert macro_f1(truth, (logs + biases).argmax(axis=1), 5) > macro_f1(
        truth, logs.argmax(axis=1), 5
    )
