"""Drawn faces of the mask competition: people, their looks, and their seven photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from kit.competitions.mask_labels import FRAME, GENDER, SHOTS

HEIGHT, WIDTH = FRAME


# Shapes are drawn twice as large and then reduced, which smooths their edges.
_OVER: Final = 2


# People of one gender per age class: <30, 30-59, 60.
_AGE_SHARES: Final = (0.4, 0.4, 0.2)


_AGE_RANGES: Final = ((18, 29), (30, 59), (60, 60))


TRAIN, EVAL = 0, 1


Colour = tuple[int, int, int]


DARK: Final[Colour] = (38, 28, 30)


_SILVER: Final[Colour] = (212, 212, 216)


WHITE: Final[Colour] = (248, 248, 248)


_MAKES: Final[dict[str, Colour]] = {
    "white": (240, 240, 238),
    "blue": (128, 176, 214),
    "black": (44, 44, 48),
    "grey": (150, 152, 156),
    "patterned": (206, 120, 130),
}


@dataclass(frozen=True)
class Person:
    """One drawn person: the row of `train.csv`."""

    id: str
    gender: int
    age: int

    @property
    def path(self) -> str:
        return f"{self.id}_{GENDER.classes[self.gender]}_Asian_{self.age}"


@dataclass(frozen=True)
class Face:
    """What stays the same over a person's seven photos; lengths in pixels of the photo, shares from
    0 to 1.
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


@dataclass(frozen=True)
class Pen:
    """Draws on the enlarged canvas in the head's own coordinates: pixels of the photo, the face's
    centre at 0, 0.
    """

    draw: ImageDraw.ImageDraw
    turn: np.ndarray  # (2, 2) rotation and scale
    at: np.ndarray  # (2,) the face's centre on the photo

    def spots(self, points: np.ndarray) -> list[tuple[float, float]]:
        return [(x, y) for x, y in ((points @ self.turn.T + self.at) * _OVER).tolist()]

    def area(self, points: np.ndarray, colour: Colour) -> None:
        self.draw.polygon(self.spots(points), fill=colour)

    def line(self, points: np.ndarray, colour: Colour, width: float) -> None:
        self.draw.line(
            self.spots(points), fill=colour, width=max(1, round(width * _OVER)), joint="curve"
        )

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self.area(_arc(x, y, rx, ry), colour)


def plan_people(people: int, seed: int, split: int = TRAIN) -> list[Person]:
    """Who is drawn: `people` people in the order of their ids, each gender and age class with its
    share.

    From six people on, each of the six groups has at least one. One id is another one with `-1`,
    and one stands twice with two ages, as in the competition.
    """
    rng = np.random.default_rng([seed, split])
    quota = people * 0.5 * np.array(_AGE_SHARES * 2)
    count = np.floor(quota).astype(int)
    # The largest remainders first; the tiny random part spreads ties over the genders.
    count[np.argsort(-(quota - count) + rng.uniform(0, 1e-6, 6))[: people - count.sum()]] += 1
    groups = rng.permutation(np.repeat(np.arange(6), count))
    ages = [
        int(rng.integers(low, high + 1))
        for low, high in (_AGE_RANGES[group % 3] for group in groups)
    ]
    numbers = np.cumsum(rng.integers(1, 60, people))
    plan = [
        Person(f"{number:06d}", int(group) // 3, age)
        for number, group, age in zip(numbers, groups, ages)
    ]
    if people >= 6:
        plan[1] = Person(f"{plan[0].id}-1", plan[1].gender, plan[1].age)
        other = next(i for i in range(3, people) if plan[i].age != plan[2].age)
        plan[other] = Person(plan[2].id, plan[other].gender, plan[other].age)
    return sorted(plan, key=lambda person: (person.id, person.age))


def _colour(values: np.ndarray) -> Colour:
    r, g, b = np.clip(values, 0, 255).round().astype(int).tolist()
    return r, g, b


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return _colour(np.array(a) * (1 - share) + np.array(b) * share)


def _shade(colour: Colour, gain: float) -> Colour:
    return _colour(np.array(colour) * gain)


def _pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 12) -> Colour:
    return _colour(colours[int(rng.integers(len(colours)))] + rng.normal(0, spread, 3))


def _arc(
    x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360, n: int = 28
) -> np.ndarray:
    """`n` points of an ellipse from `start` to `stop` degrees, clockwise from the right: (n, 2)."""
    t = np.radians(np.linspace(start, stop, n))
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def _outline(face: Face, grow: float = 1.0) -> np.ndarray:
    """The face's edge, clockwise from the right: (72, 2)."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    power = 2 / np.where(s > 0, face.jaw, 2.2)
    x, y = face.w * np.sign(c) * np.abs(c) ** power, face.h * np.sign(s) * np.abs(s) ** power
    return grow * np.stack([x, y], axis=1)


def _background(rng: np.random.Generator) -> Image.Image:
    """A wall with soft colour fields and a few shapes, enlarged and with a rim for the shift
    between photos.
    """
    base = rng.uniform(60, 215) + rng.normal(0, 9, 3)
    field = np.clip(
        base + rng.normal(0, 26, (4, 3, 1)) + rng.normal(0, 6, (4, 3, 3)), 20, 245
    ).astype(np.uint8)
    width, height = (WIDTH + 40) * _OVER, (HEIGHT + 40) * _OVER
    image = Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 4))):
        colour = _colour(base + rng.normal(0, 40) + rng.normal(0, 8, 3))
        x, y = rng.uniform(-0.1, 0.95) * width, rng.uniform(-0.1, 0.7) * height
        dx, dy = rng.uniform(0.08, 0.4) * width, rng.uniform(0.1, 0.6) * height
        box = (x, y, x + dx, y + dy)
        if rng.random() < 0.7:
            draw.rectangle(box, fill=colour, outline=_shade(colour, 0.8), width=6)
        else:
            draw.ellipse(box, fill=colour)
    return image


def make_face(person: Person, rng: np.random.Generator) -> Face:
    """The looks of a person: a random function of gender and age."""
    male, years = person.gender == 0, person.age
    # The cues overlap between the classes: hair of the other gender, and years that look like
    # others.
    typical = rng.random() > 0.08
    style = (
        "short"
        if male == typical
        else str(rng.choice(["long", "bob", "tied"], p=[0.52, 0.42, 0.06]))
    )
    looks = years + rng.normal(0, 1.6)
    receding = np.clip((years + rng.normal(0, 8) - 28) / 40, 0, 1) * (1.0 if male else 0.45)
    fringe = bool(rng.random() < (0.75 if years < 30 else 0.2))
    skin = _mix((250, 222, 196), (176, 124, 90), rng.beta(2, 3))
    lips = _mix(skin, (188, 66, 72), rng.uniform(0.3, 0.5) if male else rng.uniform(0.45, 0.95))
    return Face(
        w=rng.normal(77 if male else 72, 3.0),
        h=rng.normal(101 if male else 98, 3.5),
        jaw=np.clip(rng.normal(2.75 if male else 2.05, 0.22), 1.75, 3.3),
        skin=skin,
        hair=_pick(rng, [(28, 22, 24), (44, 32, 30), (62, 42, 34), (88, 58, 40)], 7),
        style=style,
        fringe=fringe,
        hairline=(0.42 if fringe else 0.6) + 0.3 * receding + rng.uniform(-0.05, 0.05),
        grey=1 / (1 + np.exp((57.2 - looks) / 1.0)),
        temples=np.clip((looks - 26) / 7, 0, 1),
        lines=np.clip((years + rng.normal(0, 4) - 22) / 28, 0, 1),
        bags=np.clip((years + rng.normal(0, 8) - 26) / 36, 0, 1),
        brow=rng.normal(6.5 if male else 4.0, 0.9),
        eye=rng.uniform(0.85, 1.15),
        mouth=rng.uniform(22, 31),
        lips=lips,
        clothes=_pick(
            rng,
            [
                (40, 44, 60),
                (205, 205, 200),
                (116, 66, 70),
                (72, 96, 124),
                (92, 106, 88),
                (176, 156, 128),
                (140, 124, 148),
                (36, 36, 38),
            ],
            8,
        ),
        collar=_pick(rng, [WHITE, (214, 220, 228), (60, 60, 70)], 6),
        shoulders=rng.normal(150 if male else 132, 8),
        glasses=bool(rng.random() < 0.2),
        tie=bool(rng.random() < (0.88 if male else 0.06)),
        strands=rng.random(48),
        background=_background(rng),
    )


def draw_photo(face: Face, shot: str, mask: str, rng: np.random.Generator) -> Image.Image:
    """One photo of a face, RGB, 384 x 512: `shot` is a stem of `SHOTS`, `mask` the mask's make."""
    left, top = (rng.integers(0, 41, 2) * _OVER).tolist()
    canvas = face.background.crop((left, top, left + WIDTH * _OVER, top + HEIGHT * _OVER))
    angle, scale = np.radians(rng.normal(0, 2.5)), rng.uniform(0.93, 1.05)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pen = Pen(
        ImageDraw.Draw(canvas), turn, np.array([192, 232]) + np.clip(rng.normal(0, 8, 2), -18, 18)
    )
    _draw_body(pen, face)
    _draw_features(pen, face, smile=rng.uniform(-1, 4), gaze=rng.uniform(-2, 2))
    if SHOTS[shot] == 0:
        _draw_mask(pen, face, mask, top=rng.uniform(0.10, 0.18), rise=16)
    elif SHOTS[shot] == 1:
        below_nose = rng.random() < 0.5  # otherwise under the chin
        place = rng.uniform(0.44, 0.5) if below_nose else rng.uniform(0.8, 0.86)
        _draw_mask(pen, face, mask, top=place, rise=3 if below_nose else -6)
    _draw_hair(pen, face)
    # Light: a gain, a slope across the photo, a tint; then noise, the same in the three channels.
    x, y = (
        np.linspace(-1, 1, WIDTH, dtype=np.float32),
        np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None],
    )
    light = rng.uniform(0.86, 1.1) + rng.normal(0, 0.07) * x + rng.normal(0, 0.04) * y
    noise = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32) * 4
    # A channel at a time: numpy is eight times slower over a last axis of 3.
    bands = [
        np.asarray(band) * (light * np.float32(tint)) + noise
        for band, tint in zip(canvas.reduce(_OVER).split(), rng.normal(1, 0.025, 3))
    ]
    return Image.merge(
        "RGB", [Image.fromarray(np.clip(band, 0, 255).astype(np.uint8)) for band in bands]
    )


def _draw_body(pen: Pen, face: Face) -> None:
    """Back hair, shoulders, neck and ears: what lies behind the face."""
    w, h = face.w, face.h
    hair = _mix(face.hair, _SILVER, max(0.9 * face.grey, 0.16 * face.temples))
    if face.style in ("long", "bob"):
        down, wide = (h * 1.62, w * 1.42) if face.style == "long" else (h * 0.8, w * 1.46)
        ends = [[wide, down], [wide * 0.7, down + 12], [-wide * 0.7, down + 12], [-wide, down]]
        pen.area(np.vstack([_arc(0, -8, w + 16, h + 18, 180, 360), ends]), _shade(hair, 0.88))
    if face.style == "tied":
        pen.oval(0, -h - 18, 30, 25, _shade(hair, 0.9))
    s = face.shoulders
    pen.area(
        np.vstack([_arc(0, h + 118, s, 78, 180, 360), [[s + 12, 480], [-s - 12, 480]]]),
        face.clothes,
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
    pen.area(np.array(throat), _shade(face.skin, 0.84))
    if face.tie:
        pen.area(
            np.array([[-9, h + 60], [9, h + 60], [13, h + 200], [-13, h + 200]]),
            _shade(face.clothes, 0.45),
        )
    else:
        pen.oval(0, h + 44, 52, 34, _shade(face.skin, 0.88))
    for side in (-1, 1):
        pen.oval(side * (w + 1), 2, 10, 20, _shade(face.skin, 0.9))


def _draw_features(pen: Pen, face: Face, smile: float, gaze: float) -> None:
    """The face with eyes, brows, nose, mouth, and the lines of its years."""
    w, h, skin = face.w, face.h, face.skin
    shade, crease = _shade(skin, 0.82), _mix(skin, (92, 52, 40), 0.2 + 0.6 * face.lines)
    pen.area(_outline(face), _shade(skin, 0.92))
    pen.area(_outline(face, 0.94), skin)
    # Lines: one to three on the forehead, at the eyes, beside the nose; their number and strength
    # grow.
    for i in range(round(3.2 * face.lines)):
        pen.line(
            _arc(0, -h * (0.36 + 0.1 * i) + 20, w * (0.5 - 0.05 * i), 20, 215, 325, 12), crease, 2.4
        )
    for side in (-1, 1):
        x = side * w * 0.42
        if face.bags > 0.2:
            pen.line(
                _arc(x, 2, 17, 11, 25, 155, 10),
                _mix(skin, (110, 70, 70), 0.6 * face.bags),
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
                _arc(side * 8, h * 0.5, 27, 28, *((-60, 15) if side > 0 else (165, 240)), n=10),
                crease,
                2.4,
            )
        brow = _mix(_mix(face.hair, DARK, 0.4), _SILVER, 0.5 * face.grey)
        pen.line(_arc(x, -h * 0.14, 22, 12, 205, 335, 10), brow, face.brow)
        pen.oval(x, -6, 15 * face.eye, 7.5 * face.eye, WHITE)
        pen.oval(x + gaze, -6, 6.6 * face.eye, 7 * face.eye, (46, 30, 26))
        pen.oval(x + gaze + 2, -8, 1.8, 1.8, WHITE)
        pen.line(
            _arc(x, -6, 15 * face.eye, 8 * face.eye, 185, 355, 12),
            DARK,
            2.2 if face.jaw > 2.4 else 3.2,
        )
        if face.glasses:
            pen.line(_arc(x, -4, 24, 19), (50, 50, 56), 2.2)
            pen.line(np.array([[side * 8, -6], [x - side * 23, -6]]), (50, 50, 56), 2.2)
    pen.line(np.array([[-5, 2], [-9, h * 0.27], [-3, h * 0.32]]), shade, 2.6)
    pen.line(_arc(0, h * 0.27, 13, 8, 20, 160, 10), shade, 3)
    for side in (-1, 1):
        pen.oval(side * 6, h * 0.335, 3, 1.8, _shade(skin, 0.5))
    for ry, start in ((7, 180), (9 + smile, 0)):
        pen.area(_arc(0, h * 0.58, face.mouth, ry, start, start + 180, 12), face.lips)
    pen.line(_arc(0, h * 0.58, face.mouth, max(smile, 0.5), 0, 180, 12), _shade(face.lips, 0.6), 2)


def _draw_hair(pen: Pen, face: Face) -> None:
    """The hair before the face: a cap between an outer arc and the hairline, with strands and
    temples.
    """
    w, h = face.w, face.h
    hair = _mix(face.hair, _SILVER, max(0.9 * face.grey, 0.16 * face.temples))
    outer = _arc(0, -8, w + (14 if face.style in ("short", "tied") else 16), h + 18, 184, 356, 48)
    x = np.linspace(-0.98, 0.98, 48)
    # With a fringe the hairline is flat; without, it is an arch that ends in front of the ears.
    arch = face.hairline * (1 - np.abs(x) ** (8 if face.fringe else 4)) + 0.12 * np.abs(x)
    ripple = 0.03 * np.sin(np.arange(48) * 2.1) * (1 if face.fringe else 0.3)
    inner = np.stack([x * w, -h * (arch + ripple)], axis=1)
    pen.area(np.vstack([outer, inner[::-1]]), hair)
    for k in range(1, 47):
        grey = face.strands[k] < face.grey
        colour = _mix(hair, _SILVER if grey else face.hair, 0.5) if k % 2 else _shade(hair, 1.12)
        pen.line(np.array([outer[k] * 0.985, inner[k]]), colour, 1.2)
    temple = _mix(hair, _SILVER, max(face.grey, 0.7 * face.temples))
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


def _draw_mask(pen: Pen, face: Face, make: str, top: float, rise: float) -> None:
    """A mask from `top` (share of the face's half height) down to the chin; `rise` is its upper
    edge's arch.
    """
    colour = _MAKES[make]
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
                _shade(colour, 0.9),
                2,
            )
    pen.area(np.vstack([lower + under, upper]), colour)
    middle = (top + 1) / 2 * face.h
    for y in np.linspace(top * face.h + 12, face.h * 0.9, 4 if rise > 0 else 2):
        reach = 0.86 * np.interp(y, lower[:18, 1], lower[:18, 0])
        fold = (74, 74, 80) if make == "black" else _shade(colour, 0.84)
        pen.line(np.array([[-reach, y - 3], [0, y + 2], [reach, y - 3]]), fold, 2)
    if make == "patterned":
        for i in range(-2, 3):
            for y in np.arange(top * face.h + 8, middle + 12, 16):
                pen.oval(i * 20 + (y // 16 % 2) * 8, y, 4, 4, (236, 214, 190))


def draw_person(person: Person, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """A person's seven photos by their stems; every mask has another make."""
    face = make_face(person, rng)
    makes = rng.permutation(list(_MAKES)).tolist()
    for i, shot in enumerate(SHOTS):
        yield shot, draw_photo(face, shot, makes[i % 5], rng)
