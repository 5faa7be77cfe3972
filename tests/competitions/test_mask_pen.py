"""Colours and curves by hand, and a pen that turns with the head."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kit.competitions.mask_pen import OVER, WHITE, Pen, arc, mixed, shaded, to_colour


def test_colours_by_hand():
    assert to_colour(np.array([-3.0, 12.6, 300.0])) == (0, 13, 255)
    assert mixed((0, 100, 200), (100, 0, 0), 0.25) == (25, 75, 150)
    assert mixed((1, 2, 3), WHITE, 0) == (1, 2, 3) and mixed((1, 2, 3), WHITE, 1) == WHITE
    assert shaded((10, 100, 200), 1.5) == (15, 150, 255)


def test_an_arc_starts_at_the_right_and_goes_down():
    np.testing.assert_allclose(
        arc(10, 20, 5, 3, 0, 180, n=3), [[15, 20], [10, 23], [5, 20]], atol=1e-12
    )
    x, y = arc(0, 0, 7, 2).T
    np.testing.assert_allclose((x / 7) ** 2 + (y / 2) ** 2, 1)


@pytest.mark.parametrize("degrees", [0, 90])
def test_a_pen_draws_in_the_coordinates_of_the_head(degrees):
    canvas = Image.new("RGB", (100 * OVER, 100 * OVER))
    t = np.radians(degrees)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    pen = Pen(ImageDraw.Draw(canvas), turn, np.array([50, 40]))
    pen.area(np.array([[-20, -5], [20, -5], [20, 5], [-20, 5]]), WHITE)
    box = canvas.reduce(OVER).getbbox()
    wanted = (30, 35, 70, 45) if degrees == 0 else (45, 20, 55, 60)
    assert np.abs(np.array(box) - wanted).max() <= 1


def test_lines_have_their_width_and_ovals_their_area():
    canvas = Image.new("L", (100 * OVER, 100 * OVER))
    pen = Pen(ImageDraw.Draw(canvas), np.eye(2), np.array([50, 50]))
    pen.line(np.array([[-30, 0], [30, 0]]), 255, 4)
    assert abs((np.asarray(canvas) > 0).sum() / OVER**2 - 60 * 4) < 20
    canvas = Image.new("L", (100 * OVER, 100 * OVER))
    Pen(ImageDraw.Draw(canvas), np.eye(2), np.array([50, 50])).oval(0, 0, 30, 20, 255)
    assert (np.asarray(canvas) > 0).sum() / OVER**2 == pytest.approx(np.pi * 600, rel=0.03)
