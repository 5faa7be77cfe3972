"""Class counts and chance."""

import numpy as np
import pytest

from kit.scoring.class_counts import Expected, distribution_p, rao_scott_correction


def test_the_design_effect_and_the_p_by_simulation():
    rng = np.random.default_rng(0)

    def draw(people):
        """Seven photos a person: five, one and one of three mask states of one gender and age."""
        of = rng.choice(6, people, p=[0.2, 0.2, 0.03, 0.27, 0.25, 0.05])
        return np.repeat(of, 7) + np.tile([0, 0, 0, 0, 0, 6, 12], people), np.repeat(
            np.arange(people), 7
        )

    assert rao_scott_correction(rng.integers(0, 18, 5000), np.arange(5000), 18) == pytest.approx(
        (1, 17), rel=0.05
    )
    same = rng.integers(0, 18, 500)
    assert rao_scott_correction(
        np.repeat(same, 7), np.repeat(np.arange(500), 7), 18
    ) == pytest.approx((7, 17), rel=0.05)
    small = []
    for _ in range(300):
        classes, person = draw(800)
        counts = np.bincount(draw(300)[0], minlength=18)
        expected = Expected(
            np.bincount(classes, minlength=18), rao_scott_correction(classes, person, 18), ""
        )
        small.append(distribution_p(counts, expected) < 0.05)
    assert 0.01 < np.mean(small) < 0.09
    counts = np.bincount(draw(300)[0] // 6 * 6, minlength=18)  # all of one gender and age
    assert distribution_p(counts, expected) < 1e-6


def test_labels_have_each_their_test_and_groups_count():
    rng = np.random.default_rng(0)
    labels = (rng.random((3000, 5)) < 0.2).astype(np.uint8)
    alone = rao_scott_correction(labels, np.arange(3000), 5)
    assert alone == (pytest.approx(1, abs=0.05), 1.0)
    # Photos of one group are copies: the variance is as many times as large.
    seven = np.repeat(labels, 7, axis=0)
    scale, freedom = rao_scott_correction(seven, np.repeat(np.arange(3000), 7), 5)
    assert scale == pytest.approx(7, rel=0.05) and freedom == 1
    expected = Expected(labels.sum(0), (1.0, 1.0), "them", 3000)
    below = []
    for _ in range(300):
        counts = (rng.random((300, 5)) < 0.2).sum(0)
        below.append(distribution_p(counts, expected, 300) < 0.05)
    assert np.mean(below) < 0.1
    assert distribution_p(np.array([60, 60, 60, 60, 200]), expected, 300) < 1e-6
    assert distribution_p(np.zeros(5), Expected(np.zeros(5), (1.0, 1.0), "none", 10), 10) == 1


def test_groups_of_the_same_classes_leave_a_p():
    classes, groups = np.tile([0, 1], 6), np.arange(12) // 2
    assert rao_scott_correction(classes, groups, 2) == (1, 1)
