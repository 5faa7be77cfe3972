"""A drawn data set in a competition's layout: its tables, photos and sample submission.

The definition says where photos lie; a `Layout` says which columns the tables have, and what the
photos show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from kit.competition import Competition
from kit.competitions.drawing import draw_shapes, draw_spots, style_of
from kit.competitions.sample_folder import check_sizes, new_sample
from kit.system.console import Progress

_TRAIN, _TEST, _STYLES = 0, 1, 2  # streams of random numbers
_FOLDS: Final = 5  # photos, or groups, that each class has at least
SUBMISSION: Final = "sample_submission.csv"
_EACH: Final = "*"  # stands for a column of 0 and 1 for each class
_OF_CHANNELS: Final = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.4, 0.4, 0.2]])  # of RGB


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is drawn of a competition, beside what its definition says.

    `classes` are the values of its target, in order; `tasks` those of each of several tasks. A
    table is given as templates by column: `train` is the training table (empty: there is none, and
    `image` is the template of the photos' paths); `answers` the submission, with the truth; `test`
    the table of photos to predict, where that is not the submission. Templates know `number` (of
    the photo, unique), `group`, `n` (the photo's number in its group), `side` (L or R), `c` and
    `label` (number and value of the class; `lower` in lower case), `labels` (the values of several,
    in one text), and with tasks `task` and `answer`. The column `*` stands for one a class, of 0
    and 1. The sample submission has `blank` for the truth.

    About `photos` are drawn of a group, each of `size` (height, width). `shares` are how frequent
    the classes are; with `several`, how frequent each is beside a photo's first one. With
    `one_class` all photos of a group have the same class. `spots` draws rising classes. `wrong` is
    the share of false training labels, `empty` that of photos without a label.
    """

    classes: tuple[str, ...] = ()
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    train: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    test: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    blank: str = "0"
    size: tuple[int, int] = (96, 128)
    photos: int = 6
    shares: tuple[float, ...] = ()
    several: bool = False
    one_class: bool = False
    spots: bool = False
    wrong: float = 0.0
    empty: float = 0.0

    def draw(
        self,
        competition: Competition,
        out: Path,
        groups: int,
        test_groups: int,
        seed: int,
        force: bool,
    ) -> Path:
        """Draw a data set into the folder `out`, whole or not at all, and return the folder.

        The same arguments give the same bytes. `force` replaces a drawn folder, and no other.
        Raises `KitError` for numbers out of range, and when `out` exists.
        """
        sizes = {"--groups": (groups, 6, ""), "--test-groups": (test_groups, 1, "")}
        check_sizes(sizes | {"--seed": (seed, 0, "")})
        record = {"competition": competition.name, "seed": seed, "groups": groups}
        with new_sample(out, record | {"test_groups": test_groups}, force) as folder:
            photos = [_plan(self, _TRAIN, groups, seed), _plan(self, _TEST, test_groups, seed)]
            _draw_photos(self, competition, folder, photos, seed)
            _write_tables(self, competition, folder, photos)
        return Path(out).resolve()


@dataclass(frozen=True)
class _Photo:
    """A photo to draw: its part and group, the classes that it shows, and what templates know."""

    part: int
    group: int
    marks: tuple[int, ...]
    fields: Mapping[str, Any]


def _plan(layout: Layout, part: int, groups: int, seed: int) -> list[_Photo]:
    """The photos of a part, in the order of their table."""
    rng = np.random.default_rng([seed, part])
    low, high = max(1, layout.photos * 2 // 3), layout.photos + layout.photos // 3
    sizes = rng.integers(low, high + 1, groups)
    group = np.repeat(np.arange(groups), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    marks = _marks(layout, group, rng)
    numbers = rng.permutation(450_000)[: len(group)] + 100_000 + 450_000 * part
    photos = []
    for i in range(len(group)):
        told = marks[i]
        if part == _TRAIN and rng.random() < layout.wrong:
            told = (int(rng.integers(len(layout.classes))),)
        known = {"number": int(numbers[i]), "n": int(place[i]), "side": "LR"[place[i] % 2]}
        known |= {"group": int(group[i]) + 1000 * part, **_told(layout, told)}
        photos.append(_Photo(part, int(group[i]), marks[i], known))
    # Neither the order of photos to predict nor their names say what is on them.
    return photos if part == _TRAIN else [photos[i] for i in rng.permutation(len(photos))]


def _marks(layout: Layout, group: np.ndarray, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The classes that each photo shows, of photos of groups (N,)."""
    if layout.tasks:
        columns = [_dealt(len(group), len(names), (), rng) for names in layout.tasks.values()]
        return [tuple(map(int, row)) for row in zip(*columns)]
    number = len(layout.classes)
    if layout.one_class:
        first = _dealt(int(group.max()) + 1, number, layout.shares, rng)[group]
    else:
        first = _dealt(len(group), number, () if layout.several else layout.shares, rng)
    if not layout.several:
        return [(int(c),) for c in first]
    shows = rng.random((len(group), number)) < (layout.shares or (0.2,) * number)
    shows[np.arange(len(group)), first] = True
    shows[rng.random(len(group)) < layout.empty] = False
    return [tuple(np.flatnonzero(row).tolist()) for row in shows]


def _dealt(size: int, number: int, shares: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Classes (size,) of `number`, mixed: equally often or by `shares`.

    Each has enough for five folds, if so many are drawn.
    """
    classes, fixed = np.arange(size) % number, number * _FOLDS
    if shares and size > fixed:
        classes[fixed:] = rng.choice(number, size - fixed, p=shares)
    return rng.permutation(classes)


def _told(layout: Layout, marks: tuple[int, ...]) -> dict[str, Any]:
    """What templates know of a photo's classes."""
    if layout.tasks:
        answers = {name: names[c] for (name, names), c in zip(layout.tasks.items(), marks)}
        return {"answers": answers, **answers}
    names = [layout.classes[c] for c in marks]
    c, name = (marks[0], names[0]) if marks else ("", "")
    first = {"c": c, "label": name, "lower": name.lower()}
    has = {name: int(c in marks) for c, name in enumerate(layout.classes)}
    return {**first, "labels": " ".join(names), "has": has}


def _draw_photos(
    layout: Layout, competition: Competition, folder: Path, parts: list[list[_Photo]], seed: int
) -> None:
    """Draw the photos of both parts, each by random numbers of its own."""
    with Progress("drawing", sum(map(len, parts))) as progress:
        for photo in (photo for photos in parts for photo in photos):
            number, stream = photo.fields["number"], [seed, _STYLES, photo.part]
            style = style_of(np.random.default_rng([*stream, photo.group]))
            rng = np.random.default_rng([*stream, photo.group, number])
            if layout.spots:
                pixels = draw_spots(photo.marks[0], style, layout.size, rng)
            else:
                pixels = draw_shapes(photo.marks, style, layout.size, rng)
            for channel, place in enumerate(_places(layout, competition, photo)):
                path = folder / place
                path.parent.mkdir(parents=True, exist_ok=True)
                _save(pixels, path, channel if isinstance(competition.image, tuple) else None)
            progress.advance()


def _places(layout: Layout, competition: Competition, photo: _Photo) -> Iterator[str]:
    """The files of a photo, below the data folder."""
    train = photo.part == _TRAIN
    columns = layout.train if train else {**layout.answers, **layout.test}
    root = competition.train_images if train else competition.test_images
    templates = (layout.image or competition.image) if train else competition.test_image
    row = next(_rows(layout, columns, photo)) if columns else photo.fields
    for template in (templates,) if isinstance(templates, str) else templates:
        yield str(Path(root, template.format_map(row)))


def _save(pixels: np.ndarray, path: Path, channel: int | None) -> None:
    """Save a photo, or a channel of it as a grey one."""
    if channel is not None:
        pixels = (pixels @ _OF_CHANNELS[channel]).round().astype(np.uint8)
    quality = {"quality": 90} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(pixels).save(path, **quality)  # type: ignore[arg-type]


def _rows(layout: Layout, columns: Mapping[str, str], photo: _Photo) -> Iterator[dict[str, str]]:
    """The rows of a photo in a table: one, or one a task where a template names the task."""
    known = [photo.fields]
    if any("{task}" in template for template in columns.values()):
        tasks = photo.fields["answers"].items()
        known = [{**photo.fields, "task": task, "answer": answer} for task, answer in tasks]
    for fields in known:
        row = dict[str, str]()
        for column, template in columns.items():
            if column == _EACH:
                row |= {name: str(has) for name, has in fields["has"].items()}
            else:
                row[column] = template.format_map(fields)
        yield row


def _write_tables(
    layout: Layout, competition: Competition, folder: Path, parts: list[list[_Photo]]
) -> None:
    """Write the training table, that of photos to predict, the sample submission, the truth."""
    train, test = parts
    if layout.train:
        _write(folder / competition.train, layout, layout.train, train)
    of_answers = competition.test == SUBMISSION or not layout.test
    if layout.test:
        _write(folder / ("test.csv" if of_answers else competition.test), layout, layout.test, test)
    truth = _write(folder / "answers.csv", layout, layout.answers, test)
    sample = truth.assign(**{str(name): layout.blank for name in list(truth)[1:]})
    name = competition.test if of_answers else SUBMISSION
    sample.to_csv(folder / name, index=False, lineterminator="\n")


def _write(
    path: Path, layout: Layout, columns: Mapping[str, str], photos: Sequence[_Photo]
) -> pd.DataFrame:
    """Write a table with the rows of photos, a row once; the table."""
    rows = [row for photo in photos for row in _rows(layout, columns, photo)]
    table = pd.DataFrame(rows).drop_duplicates(ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")
    return table
