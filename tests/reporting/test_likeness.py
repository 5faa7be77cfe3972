"""How alike answers are: by hand, against scipy and scikit-learn, and for many classes."""

import numpy as np
import pytest
from answer_forms import form
from draws import softmax
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score, jaccard_score, log_loss

from kit.reporting.likeness import of_classes, of_lists, of_probs


def test_classes_by_hand():
    a, b = np.array([0, 1, 2, 2, 2]), np.array([0, 2, 2, 1, 1])
    found = of_classes(a, b, form("class"))
    assert found.agreement == 0.4 and found.differ == 3 and found.tasks == {}
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b)) == found.similarity
    assert found.details()["flips"] == [
        {"from": 2, "to": 1, "photos": 2},
        {"from": 1, "to": 2, "photos": 1},
    ]
    assert list(found.numbers()) == ["agreement", "kappa", "differ"]
    tasks = of_classes(np.array([0, 5, 3]), np.array([0, 4, 1]), form("tasks"))
    assert tasks.numbers()["root"] == 1 and tasks.numbers()["vowel"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_many_classes_are_compared_as_few_are(seed):
    rng = np.random.default_rng(seed)
    many = form("class", classes=tuple(map(str, range(2000))))
    few = form("class", classes=tuple(map(str, range(30))))
    a = rng.integers(0, 30, 300)
    b = np.where(rng.random(300) < 0.5, a, rng.integers(0, 30, 300))
    one, other = of_classes(a, b, few, True), of_classes(a * 60, b * 60, many, True)
    assert one.numbers() == pytest.approx(other.numbers())
    assert [(60 * f.before, 60 * f.after, f.photos) for f in one.flips] == [
        (f.before, f.after, f.photos) for f in other.flips
    ]


@pytest.mark.parametrize("seed", range(5))
def test_lists_are_as_scikit_learn_has_them(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((2, 60, 7)) < 0.3).astype(np.uint8)
    found = of_lists(a, b)
    assert found.jaccard == pytest.approx(jaccard_score(a, b, average="samples", zero_division=1))
    assert found.agreement == np.mean((a == b).all(axis=1)) and len(found.flips) == 5
    assert found.other_flips == 2 and len(of_lists(a, b, all_flips=True).flips) == 7
    for flip in found.flips:
        column = a[:, flip.label].astype(int) - b[:, flip.label]
        assert flip.first == (column == 1).sum() and flip.second == (column == -1).sum()
    same = of_lists(a, a)
    assert same.jaccard == same.agreement == 1 and same.flips == [] and same.differ == 0


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_are_as_scipy_and_scikit_learn_have_them(seed):
    rng = np.random.default_rng(seed)
    a, b = softmax(2 * rng.normal(size=(2, 50, 3)))
    found = of_probs(a, b)
    assert found.correlation == pytest.approx(
        np.mean([pearsonr(a[:, c], b[:, c]).statistic for c in range(3)])
    )
    assert found.rank_correlation == pytest.approx(
        np.mean([spearmanr(a[:, c], b[:, c]).statistic for c in range(3)])
    )
    classes = np.tile(np.arange(3), 50)

    def loss(truth, said):
        said = np.repeat(said / said.sum(axis=1, keepdims=True), 3, axis=0)
        weights = truth.astype(np.float64).ravel()
        return log_loss(classes, said, sample_weight=weights) * weights.sum() / 50

    both = (loss(a, b) - loss(a, a) + loss(b, a) - loss(b, b)) / 2
    assert found.log_loss == pytest.approx(both, rel=1e-3)
    assert of_probs(a, a).log_loss == 0 and of_probs(a, a).correlation == pytest.approx(1)


def test_of_two_classes_the_second_is_compared_and_of_labels_each():
    second = np.array([0.1, 0.5, 0.9]), np.array([0.1, 0.2, 0.6])
    a, b = (np.stack([1 - p, p], axis=1) for p in second)
    found = of_probs(a, b, of_ranks=True)
    assert found.correlation == pytest.approx(pearsonr(*second).statistic)
    assert found.similarity == found.rank_correlation == pytest.approx(1)
    assert found.measure == "rank_correlation" and of_probs(a, b).measure == "correlation"
    # The divergence of one label, by hand: half of (.5 - .2) (logit .5 - logit .2) and so on.
    logit = [np.log(p / (1 - p)) for p in second]
    by_hand = np.mean((second[0] - second[1]) * (logit[0] - logit[1])) / 2
    assert found.log_loss == pytest.approx(by_hand)
    labels = of_probs(second[0][:, None], second[1][:, None], several=True)
    assert labels.log_loss == pytest.approx(by_hand)


def test_constant_columns_are_left_out():
    a = np.array([[0.5, 0.1], [0.5, 0.4], [0.5, 0.8]])
    b = np.array([[0.1, 0.1], [0.9, 0.4], [0.2, 0.8]])
    assert of_probs(a, b, several=True).correlation == pytest.approx(1)
    assert of_probs(a[:, :1], a[:, :1], several=True).correlation == 1
    assert of_probs(a[:, :1], b[:, :1], several=True).correlation == 0


def test_very_many_probabilities_are_compared_by_drawn_photos():
    rng = np.random.default_rng(0)
    a = rng.random((30_000, 100), dtype=np.float32)
    b = (a + rng.random(a.shape, dtype=np.float32)) / 2
    found = of_probs(a, b, several=True)
    assert found.correlation == pytest.approx(np.sqrt(0.5), abs=0.003)
    assert found == of_probs(a, b, several=True)
