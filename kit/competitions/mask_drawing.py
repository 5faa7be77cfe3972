"""The parts of a drawn face, from the lengths and colours of a `Face`."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from kit.competitions.mask_pen import DARK, MAKES, SILVER, WHITE, Colour, Pen, arc, mixed, shaded


@dataclass(frozen=True)
class Face:
    """What stays the same over a person's seven photos.

    Lengths are in pixels of the photo, shares from 0 to 1.
    """

    w: float  # half the face's width
    h: float  # half its height
    jaw: float  # 2 is an ellipse, more is squarer
    skin: Colour
    hair: Colour
    style: str  # short, tied, bob, long
    fringe: bool
    hairline: float  # height of the hairline, as a share of h
    grey: float  # share of grey hair
    temples: float  # how grey the temples are
    lines: float
    bags: float
    brow: float
    eye: float
    mouth: float
    lips: Colour
    clothes: Colour
    collar: Colour
    shoulders: float
    glasses: bool
    tie: bool
    strands: np.ndarray  # (48,) uniform: a strand below `grey` is grey
    background: Image.Image


def _outline(face: Face, grow: float = 1.0) -> np.ndarray:
    """The face's edge, clockwise from the right: (72, 2)."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    power = 2 / np.where(s > 0, face.jaw, 2.2)
    x, y = face.w * np.sign(c) * np.abs(c) ** power, face.h * np.sign(s) * np.abs(s) ** power
    return grow * np.stack([x, y], axis=1)


def draw_body(pen: Pen, face: Face) -> None:
    """Back hair, shoulders, neck and ears: what lies behind the face."""
    w, h = face.w, face.h
    hair = mixed(face.hair, SILVER, max(0.9 * face.grey, 0.16 * face.temples))
    if face.style in ("long", "bob"):
        down, wide = (h * 1.62, w * 1.42) if face.style == "long" else (h * 0.8, w * 1.46)
        ends = [[wide, down], [wide * 0.7, down + 12], [-wide * 0.7, down + 12], [-wide, down]]
        pen.area(np.vstack([arc(0, -8, w + 16, h + 18, 180, 360), ends]), shaded(hair, 0.88))
    if face.style == "tied":
        pen.oval(0, -h - 18, 30, 25, shaded(hair, 0.9))
    s = face.shoulders
    pen.area(
        np.vstack([arc(0, h + 118, s, 78, 180, 360), [[s + 12, 480], [-s - 12, 480]]]), face.clothes
    )
    if face.tie:
        pen.area(np.array([[-46, h + 34], [46, h + 34], [4, h + 100], [-4, h + 100]]), face.collar)
    neck = w * 0.5 if face.jaw > 2.4 else w * 0.42
    throat = [
        [-neck, h * 0.5],
        [neck, h * 0.5],
        [neck + 4, h + 40],
        [0, h + 66],
        [-neck - 4, h + 40],
    ]
    pen.area(np.array(throat), shaded(face.skin, 0.84))
    if face.tie:
        pen.area(
            np.array([[-9, h + 60], [9, h + 60], [13, h + 200], [-13, h + 200]]),
            shaded(face.clothes, 0.45),
        )
    else:
        pen.oval(0, h + 44, 52, 34, shaded(face.skin, 0.88))
    for side in (-1, 1):
        pen.oval(side * (w + 1), 2, 10, 20, shaded(face.skin, 0.9))


def draw_features(pen: Pen, face: Face, smile: float, gaze: float) -> None:
    """The face with eyes, brows, nose, mouth, and the lines of its years."""
    w, h, skin = face.w, face.h, face.skin
    shade, crease = shaded(skin, 0.82), mixed(skin, (92, 52, 40), 0.2 + 0.6 * face.lines)
    pen.area(_outline(face), shaded(skin, 0.92))
    pen.area(_outline(face, 0.94), skin)
    # Lines: one to three on the forehead, at the eyes, beside the nose; their number and strength
    # grow.
    for i in range(round(3.2 * face.lines)):
        pen.line(
            arc(0, -h * (0.36 + 0.1 * i) + 20, w * (0.5 - 0.05 * i), 20, 215, 325, 12), crease, 2.4
        )
    for side in (-1, 1):
        x = side * w * 0.42
        if face.bags > 0.2:
            pen.line(
                arc(x, 2, 17, 11, 25, 155, 10),
                mixed(skin, (110, 70, 70), 0.6 * face.bags),
                2 + 2 * face.bags,
            )
        if face.lines > 0.3:
            for dy in (-8, 0, 8):
                pen.line(
                    np.array([[x + side * 21, -8 + dy * 0.4], [x + side * 31, -7 + dy]]),
                    crease,
                    1.8,
                )
            pen.line(
                arc(side * 8, h * 0.5, 27, 28, *((-60, 15) if side > 0 else (165, 240)), n=10),
                crease,
                2.4,
            )
        brow = mixed(mixed(face.hair, DARK, 0.4), SILVER, 0.5 * face.grey)
        pen.line(arc(x, -h * 0.14, 22, 12, 205, 335, 10), brow, face.brow)
        pen.oval(x, -6, 15 * face.eye, 7.5 * face.eye, WHITE)
        pen.oval(x + gaze, -6, 6.6 * face.eye, 7 * face.eye, (46, 30, 26))
        pen.oval(x + gaze + 2, -8, 1.8, 1.8, WHITE)
        pen.line(
            arc(x, -6, 15 * face.eye, 8 * face.eye, 185, 355, 12),
            DARK,
            2.2 if face.jaw > 2.4 else 3.2,
        )
        if face.glasses:
            pen.line(arc(x, -4, 24, 19), (50, 50, 56), 2.2)
            pen.line(np.array([[side * 8, -6], [x - side * 23, -6]]), (50, 50, 56), 2.2)
    pen.line(np.array([[-5, 2], [-9, h * 0.27], [-3, h * 0.32]]), shade, 2.6)
    pen.line(arc(0, h * 0.27, 13, 8, 20, 160, 10), shade, 3)
    for side in (-1, 1):
        pen.oval(side * 6, h * 0.335, 3, 1.8, shaded(skin, 0.5))
    for ry, start in ((7, 180), (9 + smile, 0)):
        pen.area(arc(0, h * 0.58, face.mouth, ry, start, start + 180, 12), face.lips)
    pen.line(arc(0, h * 0.58, face.mouth, max(smile, 0.5), 0, 180, 12), shaded(face.lips, 0.6), 2)


def draw_hair(pen: Pen, face: Face) -> None:
    """Draw the hair before the face: a cap from an outer arc to the hairline, strands, temples."""
    w, h = face.w, face.h
    hair = mixed(face.hair, SILVER, max(0.9 * face.grey, 0.16 * face.temples))
    outer = arc(0, -8, w + (14 if face.style in ("short", "tied") else 16), h + 18, 184, 356, 48)
    x = np.linspace(-0.98, 0.98, 48)
    # With a fringe the hairline is flat; without, it is an arch that ends in front of the ears.
    arch = face.hairline * (1 - np.abs(x) ** (8 if face.fringe else 4)) + 0.12 * np.abs(x)
    ripple = 0.03 * np.sin(np.arange(48) * 2.1) * (1 if face.fringe else 0.3)
    inner = np.stack([x * w, -h * (arch + ripple)], axis=1)
    pen.area(np.vstack([outer, inner[::-1]]), hair)
    for k in range(1, 47):
        grey = face.strands[k] < face.grey
        colour = mixed(hair, SILVER if grey else face.hair, 0.5) if k % 2 else shaded(hair, 1.12)
        pen.line(np.array([outer[k] * 0.985, inner[k]]), colour, 1.2)
    temple = mixed(hair, SILVER, max(face.grey, 0.7 * face.temples))
    for side in (-1, 1):
        if face.style in ("long", "bob"):
            down = h * 1.55 if face.style == "long" else h * 0.76
            rim = [[w + 16, -h * 0.1], [w * 1.38, down * 0.6], [w * 1.4, down]]
            edge = [[w * 0.86, down], [w * 0.98, down * 0.6], [w * 0.9, -h * 0.4]]
            pen.area(np.array(rim + edge) * [side, 1], hair)
            for i in range(4):
                start, stop = w * 0.9 + 4 * i, w * 0.93 + (4 if face.style == "bob" else 6) * i
                pen.line(
                    np.array(
                        [[start, -h * (0.5 - 0.04 * i)], [start + w * 0.1, 0], [stop, down - 3]]
                    )
                    * [side, 1],
                    temple if i != 2 else hair,
                    4,
                )
        else:
            patch = [
                [w * 0.97, h * 0.02],
                [w + 8, -6],
                [w + 9, -h * 0.36],
                [w * 0.9, -h * 0.52],
                [w * 0.84, -h * 0.36],
            ]
            pen.area(np.array(patch) * [side, 1], temple)


def draw_mask(pen: Pen, face: Face, make: str, top: float, rise: float) -> None:
    """Draw a mask from `top` (share of the face's half height) down to the chin.

    `rise` is the arch of its upper edge.
    """
    colour = MAKES[make]
    edge = _outline(face, 1.04)
    lower = edge[edge[:, 1] > top * face.h]
    half = lower[0, 0]
    x = np.linspace(-half, half, 16)
    upper = np.stack([x, top * face.h - rise * (1 - (x / half) ** 2)], axis=1)
    under = [0.0, 16.0] if rise < 0 else [0.0, 0.0]
    for side in (-1, 1):
        for y in (top * face.h, min(face.h * 0.75, top * face.h + 60)):
            pen.line(
                np.array([[side * half * 0.97, y], [side * (face.w + 4), -4]]),
                shaded(colour, 0.9),
                2,
            )
    pen.area(np.vstack([lower + under, upper]), colour)
    middle = (top + 1) / 2 * face.h
    for y in np.linspace(top * face.h + 12, face.h * 0.9, 4 if rise > 0 else 2):
        reach = 0.86 * np.interp(y, lower[:18, 1], lower[:18, 0])
        fold = (74, 74, 80) if make == "black" else shaded(colour, 0.84)
        pen.line(np.array([[-reach, y - 3], [0, y + 2], [reach, y - 3]]), fold, 2)
    if make == "patterned":
        for i in range(-2, 3):
            for y in np.arange(top * face.h + 8, middle + 12, 16):
                pen.oval(i * 20 + (y // 16 % 2) * 8, y, 4, 4, (236, 214, 190))
