"""Class biases."""

import dataclasses

import numpy as np
import pytest
from draws import macro_f1, simulated, softmax
from helpers import MASK

from kit.blending import biases as biases_module
from kit.blending.biases import _ascend, _ascend_columns, _best_two, fit_biases, task_groups
from kit.blending.fit import fit_rule, nested
from kit.blending.line_search import line_search, terms_of
from kit.blending.rule import Rule
from kit.blending.target import Target, halves
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


def skewed(seed, classes=6, n=240):
    """Logs (N, C) of a network that favours the first classes, and true classes (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logs = rng.normal(size=(n, classes)) - np.arange(classes) / 2
    logs[np.arange(n), truth] += 2
    return logs, truth


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
@pytest.mark.parametrize("name", ["f1_macro", "balanced_accuracy"])
def test_no_group_s_shift_makes_it_better_where_the_ascent_ends(shape, name):
    metric = find_metric(name)
    for seed in range(4):
        logs, truth = skewed(seed)
        terms = terms_of(metric, truth, 6)
        biases = _ascend(logs, truth, shape, terms)
        reached = metric.value(truth, (logs + biases).argmax(axis=1), 6)
        assert reached > metric.value(truth, logs.argmax(axis=1), 6) + 0.01
        assert biases.mean() == pytest.approx(0, abs=1e-12)
        for group in task_groups(shape):
            assert line_search(logs + biases, truth, group, terms)[1] <= reached + 0.0005 + 1e-9
        if shape == (6,):
            columns = _ascend_columns(logs, truth, terms)
            assert columns == pytest.approx(biases, abs=1e-9)


def test_a_bias_is_three_at_most():
    truth = np.repeat([0, 1, 2], 20)
    terms = terms_of(find_metric("accuracy"), truth, 3)
    # Class 2 wins its photos from a shift of `far`, and takes others' from 2 more: their middle is
    # the shift that is taken; of columns, which look no further than 3, one half more than `far`.
    for far, whole, column in ((1.5, 1, 1), (2.0, 1, 1), (2.5, 2 / 3, 1), (2.7, 2 / 3, 2 / 3)):
        logs = np.zeros((60, 3))
        logs[np.arange(60), truth] = 1
        logs[:, 2] -= far + 1
        biases = _ascend(logs, truth, (3,), terms), _ascend_columns(logs, truth, terms)
        for shift, right in zip(biases, (whole, column)):
            assert ((logs + shift).argmax(axis=1) == truth).mean() == pytest.approx(right)


def test_biases_are_the_mean_of_those_of_halves(monkeypatch):
    logs, truth = skewed(0, n=300)
    groups = np.arange(300) // 3
    target = Target(truth, groups, dataclasses.replace(FIVE, classes=tuple("abcdef"), tasks=()))
    wanted = [
        _ascend(logs[rows], truth[rows], (6,), terms_of(target.metric, truth[rows], 6))
        for rows in halves(groups, 10)
    ]
    assert fit_biases(logs, target) == pytest.approx(np.mean(wanted, axis=0))
    assert fit_biases(logs, target, bags=2) == pytest.approx(np.mean(wanted[:2], axis=0))
    monkeypatch.setattr(biases_module, "_MANY", 5)
    assert fit_biases(logs, target) == pytest.approx(np.mean(wanted[:5], axis=0), abs=1e-9)
    monkeypatch.setattr(biases_module, "_MANY", 6)
    assert fit_biases(logs, target) == pytest.approx(np.mean(wanted, axis=0))
    right = 9.0 * np.eye(6)[truth]
    assert fit_biases(right, target).tolist() == [0] * 6


def test_the_best_class_and_the_next():
    scores = np.array([[3.0, 1, 2], [0, 5, -1], [2, 2, 1]])
    before = scores.copy()
    assert _best_two(scores).tolist() == [[0, 1, 0], [2, 0, 1]] and (scores == before).all()
