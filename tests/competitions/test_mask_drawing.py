"""The parts of a drawn face: where they are, and what they cover."""

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kit.competitions.mask_drawing import draw_body, draw_features, draw_hair, draw_mask
from kit.competitions.mask_faces import Person, make_face
from kit.competitions.mask_pen import OVER, Pen

FACE = make_face(Person("1", 0, 25), np.random.default_rng(0))
PLAIN = dataclasses.replace(
    FACE, w=76.0, h=100.0, jaw=2.0, skin=(200, 160, 130), glasses=False, lines=0.0, bags=0.0
)


def drawn(part, *more, face=PLAIN):
    """What a part of a face draws on green: (512, 384, 3), the face's centre at 192, 232."""
    canvas = Image.new("RGB", (384 * OVER, 512 * OVER), (0, 255, 0))
    part(Pen(ImageDraw.Draw(canvas), np.eye(2), np.array([192, 232])), face, *more)
    return np.asarray(canvas.reduce(OVER)).astype(int)


def touched(pixels):
    """The box of what was drawn: left, top, right, bottom from the face's centre."""
    rows, columns = np.nonzero((pixels != (0, 255, 0)).any(axis=2))
    return columns.min() - 192, rows.min() - 232, columns.max() - 192, rows.max() - 232


def test_a_face_is_an_oval_of_its_width_and_height():
    pixels = drawn(draw_features, 2.0, 0.0)
    assert touched(pixels) == pytest.approx((-76, -100, 76, 100), abs=2)
    assert pixels[232 - 60, 192].tolist() == [200, 160, 130]  # the forehead


def test_the_years_draw_lines():
    def creases(lines):
        face = dataclasses.replace(PLAIN, lines=lines)
        forehead = drawn(draw_features, 2.0, 0.0, face=face)[142:200, 150:234]
        return (forehead != (200, 160, 130)).any(axis=2).sum()

    assert creases(0.0) < creases(0.5) < creases(1.0)


def test_hair_lies_above_the_eyes_and_long_hair_beside_the_face():
    short, long = (
        drawn(draw_hair, face=dataclasses.replace(PLAIN, style=style, fringe=False))
        for style in ("short", "long")
    )
    assert touched(short)[1] == touched(long)[1] < -100
    assert touched(short)[3] < 10 and touched(long)[3] > 100


def test_a_body_fills_the_photo_below():
    left, _, right, bottom = touched(drawn(draw_body))
    assert bottom == 511 - 232 and left < -100 and right > 100


@pytest.mark.parametrize("top", [0.15, 0.45, 0.85])
def test_a_mask_covers_the_face_from_its_top_to_the_chin(top):
    pixels = drawn(draw_mask, "black", top, 0.0)
    centre = (pixels[:, 192] != (0, 255, 0)).any(axis=1).nonzero()[0] - 232
    assert centre.min() == pytest.approx(100 * top, abs=2)
    assert centre.max() == pytest.approx(104, abs=2)
    assert pixels[232 + round(50 * (1 + top)), 172].max() < 90  # black
