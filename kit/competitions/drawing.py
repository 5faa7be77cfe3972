"""Drawn photos: shapes say the class, and colours and background say the group.

Photos of one group look alike, so that a split that parts a group flatters a network: it may learn
the group. Each shape comes at another place, size and angle, on coarse noise and beside scribbles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

_COLOURS: Final = 12  # of shapes, where there are more classes than shapes
_TWICE: Final = 2  # photos are drawn twice as large and then reduced, which smooths their edges


@dataclass(frozen=True)
class Style:
    """What the photos of a group have in common: colours (3,) of background and shape, a tilt."""

    back: np.ndarray
    front: np.ndarray
    tilt: float
    blotches: np.ndarray  # (rows, columns, 3) coarse noise


def style_of(rng: np.random.Generator) -> Style:
    """The style of a group."""
    hue = float(rng.uniform(0, 1))
    back = colour(hue, 0.55, float(rng.uniform(0.25, 0.5)))
    front = colour(hue + float(rng.uniform(0.3, 0.7)), 0.5, float(rng.uniform(0.75, 1)))
    return Style(back, front, float(rng.uniform(-12, 12)), rng.normal(0, 26, (4, 5, 3)))


def colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """An RGB colour (3,) 0..255 of a hue, which goes round at 1."""
    pixel = np.array([[[hue % 1 * 360, saturation, value]]], np.float32)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0] * 255)


def draw_shapes(
    marks: Sequence[int], style: Style, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A photo uint8 (height, width, 3) with the shapes of some classes, side by side."""
    photo = _background(style, size, rng)
    height, width = photo.shape[:2]
    slots = rng.permutation(max(1, len(marks)))
    for slot, mark in zip(slots, marks):
        radius = min(height, width / len(slots)) * rng.uniform(0.24, 0.36)
        low, high = slot * width / len(slots), (slot + 1) * width / len(slots)
        x = rng.uniform(low + radius, max(low + radius, high - radius))
        y = rng.uniform(radius, height - radius)
        turned = SHAPES[mark % len(SHAPES)] @ _rotation(style.tilt + rng.normal(0, 7))
        kind = mark // len(SHAPES)
        front = style.front if kind == 0 else colour(kind / _COLOURS, 1, 1)
        _fill(photo, turned * radius + (x, y), front * rng.uniform(0.85, 1))
    return _finished(photo, size, rng)


def draw_spots(
    number: int, style: Style, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """A photo uint8 (height, width, 3) with about three spots for each step of a rising class."""
    photo = _background(style, size, rng)
    height, width = photo.shape[:2]
    disc = SHAPES[0] * min(height, width)
    for _ in range(max(0, 3 * number + int(rng.integers(-1, 2)))):
        place = rng.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height))
        _fill(photo, disc * rng.uniform(0.035, 0.06) + place, style.front)
    return _finished(photo, size, rng)


def _background(style: Style, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The background of a photo at twice its size, float32 (height, width, 3), with scribbles."""
    large = (size[1] * _TWICE, size[0] * _TWICE)
    noise = style.blotches + rng.normal(0, 10, style.blotches.shape)
    photo = cv2.resize(noise.astype(np.float32), large, interpolation=cv2.INTER_CUBIC)
    photo += style.back.astype(np.float32)
    for _ in range(3):
        ends = rng.uniform((0, 0), large, (2, 2)).astype(int).tolist()
        ink = (style.back * rng.uniform(0.6, 1.6)).tolist()
        cv2.line(photo, ends[0], ends[1], ink, _TWICE)
    return np.asarray(photo)


def _finished(photo: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A photo at its size, with the grain and the light of a camera."""
    small = cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA)
    grain = rng.normal(0, 6, (*size, 1)) + rng.normal(0, 8)
    return np.clip(small + grain, 0, 255).astype(np.uint8)


def _fill(photo: np.ndarray, points: np.ndarray, front: np.ndarray) -> None:
    """Fill the polygon of points (n, 2), x and y, of a photo."""
    cv2.fillPoly(photo, [points.round().astype(np.int32)], front.tolist())


def _rotation(degrees: float) -> np.ndarray:
    """The matrix (2, 2) that turns points (n, 2) from the right."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s], [-s, c]])


def _star(points: int, inner: float, start: float = -90) -> np.ndarray:
    """A star's outline (2 points, 2) of radius 1; a polygon where `inner` lies on its sides."""
    angles = np.radians(start + np.arange(2 * points) * 180 / points)
    radii = np.where(np.arange(2 * points) % 2, inner, 1)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _polygon(sides: int, start: float = -90) -> np.ndarray:
    return _star(sides, float(np.cos(np.pi / sides)), start)


def _outline(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=float)


_ARROW: Final = _outline(
    (1, 0), (0.2, -0.8), (0.2, -0.3), (-1, -0.3), (-1, 0.3), (0.2, 0.3), (0.2, 0.8)
)
_FLAG: Final = _outline((-0.4, 1), (-0.4, -1), (0.9, -0.5), (-0.1, 0), (-0.1, 1))
_LEFT: Final = np.array([-1, 1])  # mirrors an outline
# The shape of each class, by its number: outlines of radius 1, y down. A mirror swaps the shapes 1
# and 3, and 2 and 4, and leaves the others as they are.
SHAPES: Final = (
    _polygon(24),
    _ARROW,
    _FLAG,
    _ARROW * _LEFT,
    _FLAG * _LEFT,
    _polygon(4, 45),
    _polygon(3),
    _star(5, 0.4),
    _star(4, 0.3, 45),
    _outline((-1, -0.25), (1, -0.25), (1, 0.25), (-1, 0.25)),
    _star(8, 0.55),
    _outline((-0.9, -0.9), (0.9, -0.9), (-0.9, 0.9), (0.9, 0.9)),
)
