"""Every metric's draws are its scores of the drawn groups' photos."""

import itertools

import numpy as np
import pytest

import kit.scoring.drawn_scores as drawn_scores
from kit.metrics.metric import find_metric, of_function
from kit.scoring.bootstrap import GroupBootstrap

CLASSES = ("accuracy", "f1_macro_present", "f2_micro", "balanced_accuracy", "quadratic_kappa")
LABELS = ("accuracy", "f1_samples", "f2_macro_present", "f0.5_micro", "log_loss", "roc_auc")


def of_classes(seed, classes=3, people=30):
    """Groups (N,) of three photos, classes (N,), probabilities (N, C)."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 3)
    truth = rng.integers(0, classes, len(person))
    probs = rng.dirichlet(np.ones(classes), len(person))
    probs[np.arange(len(truth)), truth] += 0.4 * rng.random(people)[person]
    return person, truth, (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def of_labels(seed, labels=4, people=30):
    """Groups (N,) of three photos, labels (N, C), probabilities (N, C)."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 3)
    truth = (rng.random((len(person), labels)) < 0.4).astype(np.uint8)
    probs = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.01, 0.99).astype(np.float32)
    return person, truth, probs


def answers(metric, truth, probs):
    """What a metric scores of probabilities."""
    if metric.of_probs:
        return probs
    return probs.argmax(axis=1) if truth.ndim == 1 else (probs > 0.5).astype(np.uint8)


def rows_of(boot, draw):
    return np.repeat(np.arange(len(boot.at)), boot.drawn.times[draw][boot.at].astype(int))


@pytest.mark.parametrize("name", [*CLASSES, "log_loss", "roc_auc", "average_precision"])
def test_draws_of_classes(name):
    person, truth, probs = of_classes(0)
    check_draws(find_metric(name), person, truth, probs)


@pytest.mark.parametrize("name", LABELS)
def test_draws_of_labels(name):
    person, truth, probs = of_labels(0)
    check_draws(find_metric(name), person, truth, probs)


def check_draws(metric, person, truth, probs):
    given, classes = answers(metric, truth, probs), probs.shape[1]
    boot = GroupBootstrap(person, truth, classes, metric, draws=20)
    draws = boot.draws(given)
    for draw in range(20):
        rows = rows_of(boot, draw)
        expected = metric.value(truth[rows], given[rows], classes)
        assert draws[draw] == pytest.approx(expected, abs=2e-6)
    assert boot.value(given) == metric.value(truth, given, classes)
    decided = given if not metric.of_probs else answers(find_metric("accuracy"), truth, probs)
    own = boot.by_class(decided, probs)
    assert len(own) == classes and all(low <= value <= high for value, (low, high) in own)


def test_draws_of_a_function():
    person, truth, probs = of_classes(1, classes=2)
    metric = of_function(lambda t, p: float(np.mean(np.abs(p[:, 1] - t))), greater=False)
    boot = GroupBootstrap(person, truth, 2, metric, draws=300)
    draws = boot.draws(probs)
    assert len(draws) == 200
    rows = rows_of(boot, 7)
    assert draws[7] == pytest.approx(metric.value(truth[rows], probs[rows], 2))


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "roc_auc", "quadratic_kappa", "own"])
def test_the_paired_p_is_that_of_all_swaps(name):
    person, truth, a = of_classes(2, classes=2, people=9)
    b = of_classes(3, classes=2, people=9)[2] * 0.5 + a * 0.5
    metric = of_function(lambda t, p: float(np.mean(p[:, 1][t == 1])), True)
    metric = metric if name == "own" else find_metric(name)
    pair = [answers(metric, truth, probs) for probs in (a, b)]
    values = [metric.value(truth, part, 2) for part in pair]
    found = []
    for swap in itertools.product([False, True], repeat=9):
        moved = np.array(swap)[person]
        moved = moved if pair[0].ndim == 1 else moved[:, None]
        mixed = np.where(moved, pair[1], pair[0]), np.where(moved, *pair)
        found.append(abs(np.subtract(*(metric.value(truth, part, 2) for part in mixed))))
    exact = np.mean(np.array(found) >= abs(values[0] - values[1]) - 1e-7)
    boot = GroupBootstrap(person, truth, 2, metric)
    assert boot.paired_p(*pair) == pytest.approx(exact, abs=0.08 if name == "own" else 0.04)
    assert boot.paired_p(pair[0], pair[0]) == 1


def test_groups_are_of_the_rarest_classes_where_each_counts_the_same():
    truth = np.repeat([0, 1], [40, 10])
    person = np.arange(50)
    harmonic = 2 / (1 / 40 + 1 / 10)
    assert GroupBootstrap(person, truth, 2).effective == harmonic == 16
    for name, expected in (("accuracy", 50), ("log_loss", 50), ("roc_auc", harmonic)):
        assert GroupBootstrap(person, truth, 2, find_metric(name)).effective == expected
    labels = np.stack([truth, 1 - truth, 0 * truth], axis=1).astype(np.uint8)
    boot = GroupBootstrap(person, labels, 3, find_metric("f1_macro"))
    assert boot.effective == harmonic and boot.of_class.tolist() == [10, 40, 0]
    assert GroupBootstrap(person, labels, 3, find_metric("f1_samples")).effective == 50


def test_large_tables_are_sparse_and_give_the_same(monkeypatch):
    person, truth, probs = of_labels(4)
    said = (probs > 0.5).astype(np.uint8)
    whole = GroupBootstrap(person, truth, 4, draws=50)
    expected, p = whole.draws(said), whole.paired_p(said, truth)
    monkeypatch.setattr(drawn_scores, "_DENSE", 1)
    sparse = GroupBootstrap(person, truth, 4, draws=50)
    np.testing.assert_array_equal(sparse.draws(said), expected)
    assert sparse.paired_p(said, truth) == p
    assert sparse.by_class(said) == whole.by_class(said)


def test_of_many_photos_a_score_of_order_has_fewer_draws(monkeypatch):
    person, truth, probs = of_classes(5, classes=2)
    auc = find_metric("roc_auc")
    every = GroupBootstrap(person, truth, 2, auc, draws=300).draws(probs)
    monkeypatch.setattr(drawn_scores, "_WEIGHTS", 1)
    monkeypatch.setattr(drawn_scores, "_BLOCK", 200)
    fewer = GroupBootstrap(person, truth, 2, auc, draws=300).draws(probs)
    assert len(every) == 300 and fewer.tolist() == every[:100].tolist()
