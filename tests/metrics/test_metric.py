"""Every metric equals scikit-learn's, over many seeds."""

import functools
import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn

from kit.competition import Competition
from kit.competitions.mask import competition as MASK
from kit.metrics.metric import find_metric, metric_of, names, of_function, refusal, usual_metric
from kit.system.errors import KitError
from kit.system.script import ScriptFunction


def of_classes(seed, classes=4, n=60):
    """Truth (N,), probabilities (N, C) of two decimals, which tie, and their argmax."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    truth[:classes] = np.arange(classes)
    probs = rng.dirichlet(np.ones(classes), n)
    probs[np.arange(n), truth] += 0.3
    probs = np.round(probs, 2) + 0.01
    probs /= probs.sum(axis=1, keepdims=True)
    return truth, probs.astype(np.float32), probs.argmax(axis=1)


def of_labels(seed, labels=5, n=60):
    """Truth (N, C), probabilities (N, C), and those above one half."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, labels)) < 0.3).astype(np.uint8)
    probs = np.round(np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0.01, 0.99), 2)
    return truth, probs.astype(np.float32), (probs > 0.5).astype(np.uint8)


def value(name, truth, answers, classes):
    return find_metric(name).value(truth, answers, classes)


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_decided_classes_are_sklearns(seed):
    truth, _, said = of_classes(seed)
    for beta in (1, 2, 0.5):
        for name, average in (("macro_present", "macro"), ("micro", "micro")):
            expected = sklearn.fbeta_score(truth, said, beta=beta, average=average, zero_division=0)
            assert value(f"f{beta}_{name}", truth, said, 6) == pytest.approx(expected)
        expected = sklearn.fbeta_score(
            truth, said, beta=beta, average="macro", labels=range(6), zero_division=0
        )
        assert value(f"f{beta}_macro", truth, said, 6) == pytest.approx(expected)
    assert value("accuracy", truth, said, 4) == sklearn.accuracy_score(truth, said)
    expected = sklearn.balanced_accuracy_score(truth, said)
    assert value("balanced_accuracy", truth, said, 6) == pytest.approx(expected)
    expected = sklearn.cohen_kappa_score(truth, said, weights="quadratic")
    assert value("quadratic_kappa", truth, said, 4) == pytest.approx(expected)
    classes = find_metric("f1_macro").class_sums.score(truth, said, 4)
    assert classes == pytest.approx(sklearn.f1_score(truth, said, average=None))


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_labels_are_sklearns(seed):
    truth, probs, said = of_labels(seed)
    for beta in (1, 2, 0.5):
        for average in ("macro", "micro", "samples"):
            expected = sklearn.fbeta_score(truth, said, beta=beta, average=average, zero_division=0)
            assert value(f"f{beta}_{average}", truth, said, 5) == pytest.approx(expected)
    assert value("accuracy", truth, said, 5) == sklearn.accuracy_score(truth, said)
    assert value("roc_auc", truth, probs, 5) == pytest.approx(sklearn.roc_auc_score(truth, probs))
    expected = sklearn.average_precision_score(truth, probs)
    assert value("average_precision", truth, probs, 5) == pytest.approx(expected)
    expected = np.mean([sklearn.log_loss(t, p, labels=[0, 1]) for t, p in zip(truth.T, probs.T)])
    assert value("log_loss", truth, probs, 5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_probabilities_are_sklearns(seed):
    truth, probs, _ = of_classes(seed)
    exact = probs.astype(np.float64) / probs.sum(axis=1, keepdims=True, dtype=np.float64)
    assert value("log_loss", truth, probs, 4) == pytest.approx(sklearn.log_loss(truth, exact))
    expected = np.mean([sklearn.roc_auc_score(truth == c, probs[:, c]) for c in range(4)])
    assert value("roc_auc", truth, probs, 4) == pytest.approx(expected)
    truth, probs, _ = of_classes(seed, 2)
    expected = sklearn.roc_auc_score(truth, probs[:, 1])
    assert value("roc_auc", truth, probs, 2) == pytest.approx(expected)
    expected = sklearn.average_precision_score(truth, probs[:, 1])
    assert value("average_precision", truth, probs, 2) == pytest.approx(expected)
    # The competition's own code: sides swapped, the area of false positive rates to .2.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaled = sklearn.roc_auc_score(1 - truth, -probs[:, 1], max_fpr=0.2)
    least = 0.5 * 0.2**2
    expected = least + (0.2 - least) / 0.5 * (scaled - 0.5)
    assert value("partial_auc", truth, probs, 2) == pytest.approx(expected)


def test_log_loss_is_clipped_and_scaled():
    truth = np.array([0, 1])
    assert value("log_loss", truth, np.array([[2.0, 6.0], [1.0, 3.0]]), 2) == pytest.approx(
        -(np.log(1 / 4) + np.log(3 / 4)) / 2
    )
    assert value("log_loss", truth, np.array([[0.0, 1.0], [0.0, 1.0]]), 2) == pytest.approx(
        -np.log(1e-15) / 2
    )
    labels = np.array([[1, 0]], np.uint8)
    assert value("log_loss", labels, np.array([[0.5, 0.25]]), 2) == pytest.approx(
        -(np.log(0.5) + np.log(0.75)) / 2
    )


def test_what_has_no_order_has_the_score_of_chance():
    truth, probs = np.zeros(3, np.int64), np.full((3, 2), 0.5)
    assert value("roc_auc", truth, probs, 2) == 0.5
    assert value("partial_auc", truth, probs, 2) == pytest.approx(0.02)
    assert value("roc_auc", np.zeros((3, 2), np.uint8), probs, 2) == 0.5
    same = np.zeros(3, np.int64)
    assert value("quadratic_kappa", same, same, 3) == 1


def test_an_unknown_name_is_compared_with_the_known_ones():
    for name, near in (("f1_makro", "f1_macro"), ("logloss", "log_loss"), ("auc", "roc_auc")):
        with pytest.raises(KitError, match=rf"did you mean {near}\?"):
            find_metric(name)
    known = "accuracy, balanced_accuracy, roc_auc, .*, f1_macro, f1_macro_present, f1_micro, f1_s"
    for name in ("f0_macro", "f0.09_macro", "f10.5_micro", "f11_macro"):
        with pytest.raises(KitError, match=f"^metric '{name}'.*; take {known}"):
            find_metric(name)
    assert (find_metric("f0.1_macro").beta, find_metric("f10_micro").beta) == (0.1, 10)
    assert [find_metric(name).name for name in names()] == names()


def test_the_metric_of_a_competition_is_the_one_it_names_or_the_usual_one():
    assert metric_of(MASK).name == "f1_macro"
    assert (metric_of(MASK).key, metric_of(MASK).title, metric_of(MASK).sign) == (
        "f1",
        "macro-F1",
        1,
    )
    assert [usual_metric("classes", a) for a in ("name", "probability", "probabilities")] == [
        "accuracy",
        "roc_auc",
        "log_loss",
    ]
    assert usual_metric("labels", "list") == "f1_samples"
    assert usual_metric("labels", "probabilities") == "roc_auc"
    answers = ("class", "name", "probabilities")
    usual = ["quadratic_kappa", "quadratic_kappa", "log_loss"]
    assert [usual_metric("order", answer) for answer in answers] == usual
    graded = {"name": "x", "classes": ("1", "2"), "kind": "order", "answer": "name"}
    assert metric_of(Competition(**graded)).name == "quadratic_kappa"
    least = metric_of(Competition(**graded, metric=lambda truth, probs: 0.0, greater=False))
    assert least.sign == -1 and least.is_function
    assert find_metric("log_loss").sign == -1


def test_a_function_of_the_definition_is_a_metric():
    def brier(truth, probs):
        return np.mean((probs[:, 1] - truth) ** 2)

    metric = of_function(brier, greater=False)
    truth, probs, _ = of_classes(0, 2)
    assert metric.value(truth, probs, 2) == pytest.approx(
        sklearn.brier_score_loss(truth, probs[:, 1])
    )
    assert (metric.name, metric.key, metric.sign, metric.of_probs) == ("brier", "brier", -1, True)
    with pytest.raises(KitError, match="the definition's metric 'brier' failed .IndexError"):
        metric.value(truth, probs[:, :1], 2)


def test_a_function_has_a_name_and_its_own_errors_are_told_as_they_are():
    def mean_gap(truth, probs):
        raise KitError("the truth lies elsewhere")

    metric, truth = of_function(mean_gap, greater=True), np.zeros(2, np.int64)
    assert (metric.name, metric.title, metric.class_title) == ("mean_gap", "mean gap", "recall")
    with pytest.raises(KitError, match="^the truth lies elsewhere$"):
        metric.value(truth, np.zeros((2, 2)), 2)
    assert of_function(functools.partial(mean_gap), True).title == "metric"
    script = ScriptFunction("competition.py", "def gap(): 0", "gap", "competition")
    assert of_function(script, True).name == "gap"


def test_a_function_may_write_into_its_arrays_and_must_give_a_finite_number():
    def scaled(truth, probs):
        probs /= 2
        truth[:] = 0
        return probs.max()

    truth, probs, _ = of_classes(0, 2)
    before = truth.copy(), probs.copy()
    assert of_function(scaled, True).value(truth, probs, 2) == probs.max() / 2
    assert (truth == before[0]).all() and (probs == before[1]).all()
    with pytest.raises(KitError, match="is nan of [0-9,]+ photos; let it return a finite"):
        of_function(lambda *_: np.nan, True).value(truth, probs, 2)


def test_a_metric_that_cannot_take_the_answer_says_so():
    def refused(name, kind, classes, answer):
        return refusal(find_metric(name), kind, classes, answer)

    for answer in ("class", "name", "list"):
        assert f"an answer is a {answer}" in refused("roc_auc", "classes", 2, answer)
    assert "may have several" in refused("balanced_accuracy", "labels", 3, "list")
    assert "an answer has probabilities" in refused("f1_macro", "classes", 3, "probabilities")
    assert "may have several" in refused("quadratic_kappa", "labels", 3, "list")
    assert "has one class" in refused("f1_samples", "classes", 3, "class")
    assert "there are 3" in refused("partial_auc", "classes", 3, "probabilities")
    for taken in (
        ("f2_samples", "labels", 9, "list"),
        ("log_loss", "classes", 9, "probabilities"),
        ("roc_auc", "labels", 9, "probabilities"),
        ("quadratic_kappa", "order", 5, "class"),
        ("balanced_accuracy", "classes", 3, "name"),
        ("partial_auc", "labels", 3, "probabilities"),
        ("partial_auc", "classes", 2, "probability"),
    ):
        assert refused(*taken) == ""
    assert refusal(of_function(max, True), "classes", 3, "class") == ""
