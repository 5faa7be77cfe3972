"""Drawn photos: shapes, spots, and what groups look like."""

import numpy as np
import pytest

from kit.competitions.drawing import SHAPES, colour, draw_shapes, draw_spots, style_of


@pytest.mark.parametrize("rgb, hue", [((255, 0, 0), 0), ((0, 255, 0), 1 / 3), ((0, 0, 255), 5 / 3)])
def test_a_hue_goes_round(rgb, hue):
    np.testing.assert_allclose(colour(hue, 1, 1), rgb, atol=1)


def test_a_mirror_swaps_two_pairs_of_shapes_and_no_other():
    def points(outline):
        return {tuple(point) for point in np.round(outline, 6) + 0.0}

    mirrored = [points(outline * [-1, 1]) for outline in SHAPES]
    images = [[c for c, other in enumerate(SHAPES) if points(other) == m] for m in mirrored]
    assert [images[c] for c in (1, 2, 3, 4)] == [[3], [4], [1], [2]]
    for c in (0, 6, 7):
        assert images[c] == [c]


def test_the_same_numbers_give_the_same_photo_and_others_another():
    def photo(seed, marks=(3,)):
        rng = np.random.default_rng(seed)
        return draw_shapes(marks, style_of(np.random.default_rng(5)), (48, 64), rng)

    assert photo(1).shape == (48, 64, 3) and photo(1).dtype == np.uint8
    np.testing.assert_array_equal(photo(1), photo(1))
    assert (photo(1) != photo(2)).any() and (photo(1) != photo(1, (3, 5))).any()
    assert photo(1, ()).shape == (48, 64, 3)


def test_a_group_s_photos_are_nearer_to_each_other_than_to_those_of_others():
    def mean(group, n):
        style = style_of(np.random.default_rng(group))
        photo = draw_shapes((n % 5,), style, (48, 64), np.random.default_rng([group, n]))
        return photo.reshape(6, 8, 8, 8, 3).mean((1, 3)).ravel()

    means = np.array([[mean(group, n) for n in range(4)] for group in range(12)])
    within = np.abs(means[:, :1] - means[:, 1:]).mean()
    between = np.abs(means[1:, 0] - means[:-1, 0]).mean()
    assert between > 1.5 * within


def test_a_higher_grade_has_more_of_the_foreground():
    def foreground(grade, seed):
        style = style_of(np.random.default_rng(seed))
        photo = draw_spots(grade, style, (64, 64), np.random.default_rng([seed, grade]))
        return (np.abs(photo - style.front).max(axis=2) < 40).sum()

    counts = [sum(foreground(grade, seed) for seed in range(20)) for grade in range(5)]
    assert counts == sorted(counts) and len(set(counts)) == 5
