"""Agreement of predictions against definitions and by hand."""

import numpy as np
import pytest

from kit.scoring.agreement import (
    cluster_order,
    kappa,
    leaf_order,
    most_apart,
    most_differing,
    rank_mean,
    vote,
)


def test_kappa_is_sklearns():
    from sklearn.metrics import cohen_kappa_score

    for seed in range(30):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 18, 60)
        b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 18, 60))
        assert kappa(np.bincount(18 * a + b, minlength=324).reshape(18, 18)) == pytest.approx(
            cohen_kappa_score(a, b)
        )
    assert kappa(np.array([[4, 0], [0, 0]])) == 1.0  # both know one class only
    assert kappa(np.ones((2, 2))) == pytest.approx(0)


def test_similar_files_stand_together():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds = rng.integers(0, 18, (3, 300))
        family = rng.permutation(np.repeat(np.arange(3), 4))
        files = np.stack(
            [np.where(rng.random(300) < 0.1, rng.integers(0, 18, 300), kinds[k]) for k in family]
        )
        order = cluster_order(files)
        assert sorted(order) == list(range(12))
        assert np.count_nonzero(np.diff(family[order])) == 2  # each family in one block


def test_the_vote_by_hand_and_its_ties():
    files = np.array([[1, 5, 7, 0], [2, 5, 8, 3], [2, 6, 9, 3], [1, 4, 9, 0]])
    assert vote(files, 18).tolist() == [
        1,
        5,
        9,
        0,
    ]  # ties between 1 and 2, and 0 and 3: the earliest file's
    assert vote(files[::-1], 18).tolist() == [1, 5, 9, 0]
    assert vote(files[[1, 0, 2, 3]], 18).tolist() == [2, 5, 9, 3]
    assert vote(files[:1], 18).tolist() == files[0].tolist()


def test_the_photos_files_are_most_at_odds_over_come_first():
    a, b = np.array([0, 1, 2, 3, 4, 3]), np.array([0, 4, 2, 5, 5, 5])
    # Rows 3 and 5 flip alike, 3 to 5: the most frequent flip.
    assert most_differing(np.stack([a, b]), 18, 9).tolist() == [3, 5, 1, 4] and most_differing(
        np.stack([a, b]), 18, 1
    ).tolist() == [3]
    c = np.array([0, 4, 7, 6, 4, 3])
    assert most_differing(np.stack([a, b, c]), 18, 9)[0] == 3  # three files, three classes
    assert most_differing(np.stack([a, a]), 18, 9).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_every_photo_that_differs_is_shown_once_and_no_other(seed):
    classes = np.random.default_rng(seed).integers(0, 3, (3, 40))
    rows = most_differing(classes, 3, 100)
    assert sorted(rows.tolist()) == np.flatnonzero((classes != classes[0]).any(axis=0)).tolist()


def test_labels_are_voted_each_and_halves_are_the_earliest_file_s():
    files = np.array([[[1, 0, 1]], [[0, 0, 1]], [[0, 1, 1]], [[1, 0, 0]]], np.uint8)
    assert vote(files, 3).tolist() == [[1, 0, 1]] and vote(files, 3).dtype == np.uint8
    assert vote(files[1:], 3).tolist() == [[0, 0, 1]]
    assert vote(files[[1, 0, 2, 3]], 3).tolist() == [[0, 0, 1]]


def test_rank_means_keep_the_order_of_each_file_alike():
    probs = np.array([[[0.1], [0.2], [0.9]], [[0.5], [0.51], [0.49]]])
    assert rank_mean(probs)[:, 0].tolist() == pytest.approx([1.5 / 3, 2.5 / 3, 2 / 3])
    sure = np.stack([probs[0], probs[1] ** 9])  # ranks are those of any rising function
    assert np.array_equal(rank_mean(sure), rank_mean(probs))


def test_photos_that_vary_most_come_first_and_equal_ones_not_at_all():
    values = np.zeros((3, 5, 2))
    values[0, 1], values[0, 3] = 0.5, [1, 0]
    assert most_apart(values, 9).tolist() == [3, 1] or most_apart(values, 9).tolist() == [1, 3]
    values[1, 4] = 1
    assert most_apart(values, 1).tolist() == [4] and len(most_apart(values, 9)) == 3
    assert most_apart(values[:1], 9).tolist() == []


def test_leaves_stand_together_by_distances():
    points = np.array([0.0, 10, 0.1, 10.1])
    apart = np.array([abs(points[i] - points[j]) for i in range(4) for j in range(i + 1, 4)])
    order = leaf_order(apart)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}
