"""Colours, and a pen that draws in the coordinates of a head."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import ImageDraw

# Shapes are drawn twice as large and then reduced, which smooths their edges.
OVER: Final = 2
Colour = tuple[int, int, int]
DARK: Final[Colour] = (38, 28, 30)
SILVER: Final[Colour] = (212, 212, 216)
WHITE: Final[Colour] = (248, 248, 248)
MAKES: Final[dict[str, Colour]] = {
    "white": (240, 240, 238),
    "blue": (128, 176, 214),
    "black": (44, 44, 48),
    "grey": (150, 152, 156),
    "patterned": (206, 120, 130),
}


@dataclass(frozen=True)
class Pen:
    """A pen on the enlarged canvas that draws in a head's own coordinates.

    These are pixels of the photo; the face's centre is at 0, 0.
    """

    draw: ImageDraw.ImageDraw
    turn: np.ndarray  # (2, 2) rotation and scale
    at: np.ndarray  # (2,) the face's centre on the photo

    def spots(self, points: np.ndarray) -> list[tuple[float, float]]:
        """The canvas's coordinates of points (n, 2) of the head."""
        return [(x, y) for x, y in ((points @ self.turn.T + self.at) * OVER).tolist()]

    def area(self, points: np.ndarray, colour: Colour) -> None:
        """Fill the polygon of points (n, 2)."""
        self.draw.polygon(self.spots(points), fill=colour)

    def line(self, points: np.ndarray, colour: Colour, width: float) -> None:
        """Draw a line through points (n, 2), its width in pixels of the photo."""
        self.draw.line(
            self.spots(points), fill=colour, width=max(1, round(width * OVER)), joint="curve"
        )

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse around `x`, `y` with the radii `rx` and `ry`."""
        self.area(arc(x, y, rx, ry), colour)


def to_colour(values: np.ndarray) -> Colour:
    """The colour of three values, rounded and clipped to 0..255."""
    r, g, b = np.clip(values, 0, 255).round().astype(int).tolist()
    return r, g, b


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `a` with so large a share of `b`."""
    return to_colour(np.array(a) * (1 - share) + np.array(b) * share)


def shaded(colour: Colour, gain: float) -> Colour:
    """A colour times `gain`: darker below 1, lighter above."""
    return to_colour(np.array(colour) * gain)


def arc(
    x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360, n: int = 28
) -> np.ndarray:
    """`n` points of an ellipse from `start` to `stop` degrees, clockwise from the right: (n, 2)."""
    t = np.radians(np.linspace(start, stop, n))
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)
