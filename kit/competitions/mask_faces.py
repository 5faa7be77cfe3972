"""Drawn faces of the mask competition: people, their looks, and their seven photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from kit.competitions.mask_drawing import Face, draw_body, draw_features, draw_hair, draw_mask
from kit.competitions.mask_labels import FRAME, GENDER, SHOTS
from kit.competitions.mask_pen import MAKES, OVER, WHITE, Colour, Pen, mixed, shaded, to_colour

HEIGHT, WIDTH = FRAME
# People of one gender per age class: <30, 30-59, 60.
_AGE_SHARES: Final = (0.4, 0.4, 0.2)
_AGE_RANGES: Final = ((18, 29), (30, 59), (60, 60))
TRAIN, EVAL = 0, 1


@dataclass(frozen=True)
class Person:
    """One drawn person: the row of `train.csv`."""

    id: str
    gender: int
    age: int

    @property
    def path(self) -> str:
        """The name of the person's folder."""
        return f"{self.id}_{GENDER.classes[self.gender]}_Asian_{self.age}"


def plan_people(people: int, seed: int, split: int = TRAIN) -> list[Person]:
    """The people to draw, in the order of their ids, with the set shares of gender and age class.

    From six people on, each of the six pairs of gender and age class has at least one. One id is
    another one with `-1`, and one stands twice with two ages, as in the competition.
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


def _pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 12) -> Colour:
    return to_colour(colours[int(rng.integers(len(colours)))] + rng.normal(0, spread, 3))


def _background(rng: np.random.Generator) -> Image.Image:
    """A wall with soft colour fields and a few shapes.

    It is enlarged, with a rim for the shift between photos.
    """
    base = rng.uniform(60, 215) + rng.normal(0, 9, 3)
    field = np.clip(
        base + rng.normal(0, 26, (4, 3, 1)) + rng.normal(0, 6, (4, 3, 3)), 20, 245
    ).astype(np.uint8)
    width, height = (WIDTH + 40) * OVER, (HEIGHT + 40) * OVER
    image = Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 4))):
        colour = to_colour(base + rng.normal(0, 40) + rng.normal(0, 8, 3))
        x, y = rng.uniform(-0.1, 0.95) * width, rng.uniform(-0.1, 0.7) * height
        dx, dy = rng.uniform(0.08, 0.4) * width, rng.uniform(0.1, 0.6) * height
        box = (x, y, x + dx, y + dy)
        if rng.random() < 0.7:
            draw.rectangle(box, fill=colour, outline=shaded(colour, 0.8), width=6)
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
    skin = mixed((250, 222, 196), (176, 124, 90), rng.beta(2, 3))
    lips = mixed(skin, (188, 66, 72), rng.uniform(0.3, 0.5) if male else rng.uniform(0.45, 0.95))
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
    left, top = (rng.integers(0, 41, 2) * OVER).tolist()
    canvas = face.background.crop((left, top, left + WIDTH * OVER, top + HEIGHT * OVER))
    angle, scale = np.radians(rng.normal(0, 2.5)), rng.uniform(0.93, 1.05)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pen = Pen(
        ImageDraw.Draw(canvas), turn, np.array([192, 232]) + np.clip(rng.normal(0, 8, 2), -18, 18)
    )
    draw_body(pen, face)
    draw_features(pen, face, smile=rng.uniform(-1, 4), gaze=rng.uniform(-2, 2))
    if SHOTS[shot] == 0:
        draw_mask(pen, face, mask, top=rng.uniform(0.10, 0.18), rise=16)
    elif SHOTS[shot] == 1:
        below_nose = rng.random() < 0.5  # otherwise under the chin
        place = rng.uniform(0.44, 0.5) if below_nose else rng.uniform(0.8, 0.86)
        draw_mask(pen, face, mask, top=place, rise=3 if below_nose else -6)
    draw_hair(pen, face)
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
        for band, tint in zip(canvas.reduce(OVER).split(), rng.normal(1, 0.025, 3))
    ]
    return Image.merge(
        "RGB", [Image.fromarray(np.clip(band, 0, 255).astype(np.uint8)) for band in bands]
    )


def draw_person(person: Person, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """A person's seven photos by their stems; every mask has another make."""
    face = make_face(person, rng)
    makes = rng.permutation(list(MAKES)).tolist()
    for i, shot in enumerate(SHOTS):
        yield shot, draw_photo(face, shot, makes[i % 5], rng)
