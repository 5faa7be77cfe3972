"""A competition's folder: its files, and whether it still holds the photos that were planned."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kit.competition import Competition
from kit.data.answer_rows import AnswerRows, check_test_columns, match_rows
from kit.data.definition import complete
from kit.data.paths import fields_of, fill, lost_files, other_ending, photo_paths, stat_of
from kit.data.plan import Plan
from kit.data.train_rows import has_training, table_hash
from kit.system.console import warn
from kit.system.disk import text_hash
from kit.system.errors import problem
from kit.system.table import check_unique, is_plain_name, read_table


@dataclass(frozen=True)
class DataFolder:
    """The data folder `root`, and the `competition` whose files it holds."""

    root: Path
    competition: Competition

    @property
    def train_table(self) -> Path:
        """The table of training photos."""
        return self.root / self.competition.train

    @property
    def train_images(self) -> Path:
        """The folder that the fold plan's `image` column is relative to."""
        return self.root / self.competition.train_images

    @property
    def test_table(self) -> Path:
        """The table of photos to predict, whose ids and order a submission must have."""
        return self.root / self.competition.test

    @property
    def test_images(self) -> Path:
        """The folder of the photos to predict."""
        return self.root / self.competition.test_images

    @property
    def inputs(self) -> list[Path]:
        """The places that no command writes to."""
        return [self.root / name for name in self.competition.inputs]


def find_data(given: str | None, competition: Competition, needs: str = "train") -> DataFolder:
    """The competition's folder: `--data`, else `$KIT_DATA`, else `data/`.

    It must hold the table that is needed, `train` or `test`; otherwise raises `KitError`.
    """
    place = Path(os.path.expanduser(given or os.environ.get("KIT_DATA") or "data"))
    table = competition.train if needs == "train" else competition.test
    trained = has_training(place, competition)
    if not (trained if needs == "train" else (place / table).is_file()):
        what, remedy = (
            f"holds no {table}",
            "name the competition's folder with --data or KIT_DATA, ",
        )
        if not place.is_dir():
            what = "there is no data folder"
            remedy += "or draw one with python -m kit.sample --out data"
        else:
            remedy += "or describe it in competition.py, which python -m kit.start writes"
        raise problem(place, what, remedy=remedy)
    if trained:
        competition = complete(competition, place)
    return DataFolder(place, competition)


def fingerprint(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and sizes of photos.

    It tells whether a folder still holds the photos that were planned, without reading them.
    """

    def size(image: str) -> int:
        try:
            return sum(stat_of(path).st_size for path in photo_paths(root, image))
        except OSError:
            return -1

    sizes = [size(image) for image in images]
    lost = [image for image, n in zip(images, sizes) if n < 0]
    if lost:
        raise problem(
            root,
            "photos of the fold plan that are missing",
            lost,
            "name the folder that was planned with --data, or plan again with python -m kit.folds "
            "--force",
        )
    return text_hash("".join(f"{image}\t{n}\n" for image, n in zip(images, sizes)))


def check_data(data: DataFolder, plan: Plan) -> None:
    """Raise `KitError` unless a folder still holds the photos that were planned."""
    table = data.train_table
    if table_hash(data.root, data.competition) != plan.meta.get(table.name):
        warn(
            f"{table} has changed since the folds were planned: the plan's labels are used; "
            "to use the new ones, plan again with python -m kit.folds --force"
        )
    if fingerprint(data.train_images, plan.photos["image"].tolist()) != plan.meta.get("data"):
        raise problem(
            data.train_images,
            "holds other photos than the fold plan was made from",
            remedy="name the planned folder with --data, or plan again with python -m kit.folds "
            "--force",
        )


def test_photos(data: DataFolder) -> dict[str, str]:
    """The photos to predict by their ids, in order: paths below their folder.

    The id is that of the test table; where `answer_rows` says which row a photo belongs to, it is
    the photo's path. Raises `KitError` if an id has no photo.
    """
    table, root, competition = _test_table(data), data.test_images, data.competition
    images = _images(competition, table)
    lost = lost_files(root, images)
    if lost:
        what = f"ids that name no file in {root}"
        bad = [f"{lost[0]}{other_ending(root, lost[0])}", *lost[1:]]
        raise problem(data.test_table, what, bad, "mend test_image, or unpack the data again")
    return dict(zip(_photo_ids(competition, table), images))


def check_test(data: DataFolder, images: Sequence[str]) -> None:
    """Raise `KitError` for ids without a photo, or whose photos are training photos (`images`).

    Only definitions by templates are checked, and only where the table of photos to predict is
    there.
    """
    competition = data.competition
    if competition.rows is not None or not data.test_table.is_file():
        return
    trained = {os.path.normpath(p) for i in images for p in photo_paths(data.train_images, i)}
    both = [
        f"{ident}, {image}"
        for ident, image in test_photos(data).items()
        if any(os.path.normpath(p) in trained for p in photo_paths(data.test_images, image))
    ]
    if both:
        what = "photos to predict are training photos, too"
        raise problem(data.test_table, what, both, "mend image and test_image")


def test_templates(competition: Competition, columns: Sequence[str]) -> str | tuple[str, ...]:
    """The templates of the photos to predict.

    Where the definition has none they are those of the training photos, if the table of photos to
    predict has their columns; else the id is the file's name.
    """
    if competition.test_image:
        return competition.test_image
    fields = fields_of(competition.image)
    if fields and competition.test_images == "." and set(fields) <= set(columns):
        return competition.image
    return f"{{{competition.id}}}"


def read_test(data: DataFolder) -> list[str]:
    """The ids of the photos to predict, in order; raises `KitError` if one has no photo."""
    return list(test_photos(data))


def read_ids(data: DataFolder) -> list[str]:
    """The ids of the photos to predict, in order, whether the photos are there or not."""
    return list(dict.fromkeys(_photo_ids(data.competition, _test_table(data))))


def answer_rows(data: DataFolder) -> AnswerRows:
    """The rows that a submission must have, and which photos they are of."""
    table = _test_table(data)
    photos = _photo_ids(data.competition, table)
    return match_rows(data.test_table, data.competition, table, photos)


def _images(competition: Competition, table: pd.DataFrame) -> list[str]:
    """The photo of each row of the test table."""
    templates = test_templates(competition, list(map(str, table)))
    return fill("test_image", templates, competition.test, table)


def _photo_ids(competition: Competition, table: pd.DataFrame) -> list[str]:
    """The id of the photo of each row of the test table."""
    if competition.answer_rows:
        return _images(competition, table)
    ids: list[str] = table[competition.id].tolist()
    return ids


@functools.lru_cache(maxsize=1)
def _read_once(path: Path, changed: tuple[int, ...], ident: str) -> pd.DataFrame:
    """The rows of a table that has `changed` last, by its size and times, with a column of ids.

    The ids of a million photos are in memory once, however often they are asked for.
    """
    return read_table(path, {ident: "id"} if ident else {})


def _test_table(data: DataFolder) -> pd.DataFrame:
    """The table of photos to predict, with unique ids."""
    path, competition = data.test_table, data.competition
    column = competition.id
    stat = os.stat(path) if path.exists() else None
    changed = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) if stat else ()
    table = _read_once(path, changed, "" if competition.answer_rows else column)
    check_test_columns(path, competition, [str(name) for name in table])
    if competition.answer_rows:
        return table  # a photo may have several rows
    remedy = f"take {path.name} as the competition gave it"
    unsafe = table.loc[~table[column].map(is_plain_name), column]
    named = f"{{{column}}}" == test_templates(competition, list(map(str, table)))
    if len(unsafe) and named and competition.test_images != ".":
        what = f"column '{column}' must hold plain file names"
        raise problem(path, what, [f"'{i}'" for i in unsafe], remedy)
    check_unique(path, table, column, remedy)
    return table
