"""A competition's folder: its files, and whether it still holds the photos that were planned."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kit.competition import Competition
from kit.data.answers import AnswerRows, answer_rows, check_test_columns
from kit.data.definition import complete, is_below, test_images
from kit.data.photos import read_bytes
from kit.data.plan import Plan
from kit.system.console import warn
from kit.system.disk import file_hash, text_hash
from kit.system.errors import problem
from kit.system.table import check_unique, is_plain_name, read_csv


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
    if not (place / table).is_file():
        what = "there is no data folder" if not place.is_dir() else f"holds no {table}"
        raise problem(
            place,
            what,
            remedy="name the competition's folder with --data or KIT_DATA, or draw one with "
            "python -m kit.sample --out data",
        )
    if (place / competition.train).is_file():
        competition = complete(competition, place)
    return DataFolder(place, competition)


def fingerprint(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and sizes of photos.

    It tells whether a folder still holds the photos that were planned, without reading them.
    """

    def size(image: str) -> int:
        try:
            return os.stat(root / image).st_size
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
    if file_hash(table) != plan.meta.get(table.name):
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
    table, root = _test_table(data), data.test_images
    images = test_images(data.competition, table)
    unsafe = [image for image in images if not is_below(image)]
    if unsafe:
        raise problem(data.test_table, "names photos outside of the data folder", unsafe)
    ids = _photo_ids(data.competition, table)
    places = {name: _files(root / name) for name in {os.path.dirname(image) for image in images}}
    lost = [
        ident
        for ident, image in zip(ids, images)
        if os.path.basename(image) not in places[os.path.dirname(image)]
    ]
    if lost:
        what = f"ids that name no file in {root}"
        raise problem(data.test_table, what, lost, "unpack the data again")
    return dict(zip(ids, images))


def _files(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()


def read_test(data: DataFolder) -> list[str]:
    """The ids of the photos to predict, in order; raises `KitError` if one has no photo."""
    return list(test_photos(data))


def read_ids(data: DataFolder) -> list[str]:
    """The ids of the photos to predict, in order, whether the photos are there or not."""
    return list(dict.fromkeys(_photo_ids(data.competition, _test_table(data))))


def read_rows(data: DataFolder) -> AnswerRows:
    """The rows that a submission must have, and which photos they are of."""
    table = _test_table(data)
    photos = _photo_ids(data.competition, table)
    return answer_rows(data.test_table, data.competition, table, photos)


def _photo_ids(competition: Competition, table: pd.DataFrame) -> list[str]:
    """The id of the photo in each row of the test table."""
    if competition.answer_rows:
        return test_images(competition, table)
    ids: list[str] = table[competition.id].tolist()
    return ids


def _test_table(data: DataFolder) -> pd.DataFrame:
    """The table of photos to predict, with unique ids."""
    path, competition = data.test_table, data.competition
    # All columns, but for the index that pandas may have written: a template may name any.
    table, column = read_csv(path), competition.id
    check_test_columns(path, competition, [str(name) for name in table])
    if competition.answer_rows:
        return table  # a photo may have several rows
    remedy = f"take {path.name} as the competition gave it"
    unsafe = table.loc[~table[column].map(is_plain_name), column]
    if len(unsafe) and not competition.test_image:
        what = f"column '{column}' must hold plain file names"
        raise problem(path, what, [f"'{i}'" for i in unsafe], remedy)
    check_unique(path, table, column, remedy)
    return table


def content_hash(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and bytes of photos, by which their probabilities are kept."""

    def digest(image: str) -> str:
        return hashlib.sha256(read_bytes(root / image)).hexdigest()

    with ThreadPoolExecutor() as pool:
        return text_hash("".join(f"{i}\t{h}\n" for i, h in zip(images, pool.map(digest, images))))
