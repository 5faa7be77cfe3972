"""Small folders in the layouts of competitions, for tests of definitions."""

from pathlib import Path
from typing import Any

import pandas as pd
from helpers import draw_photo

from kit.competition import Competition
from kit.data.paths import fill, photo_paths

# A definition like that of most competitions: a table, a column of classes, a sample.
USUAL: dict[str, Any] = {
    "name": "pets",
    "train": "labels.csv",
    "image": "train/{id}.jpg",
    "target": "breed",
    "test_image": "test/{id}.jpg",
}


def usual(**changes: Any) -> Competition:
    """The usual definition with other fields."""
    return Competition(**(USUAL | changes))


def pets(number: int = 12) -> pd.DataFrame:
    """A training table `id, breed, owner, sex`: three breeds in turns, two photos an owner."""
    rows = range(number)
    return pd.DataFrame(
        {
            "id": [f"p{n:02d}" for n in rows],
            "breed": [("pug", "corgi", "beagle")[n % 3] for n in rows],
            "owner": [f"o{n // 2}" for n in rows],
            "sex": [("m", "f", "m", "m")[n % 4] for n in rows],
        }
    )


def sample(columns: dict[str, object] | None = None, number: int = 4) -> pd.DataFrame:
    """A sample submission: ids, and columns of one value each."""
    ids = pd.DataFrame({"id": [f"t{n:02d}" for n in range(number)]})
    return ids.assign(**({"breed": "pug"} if columns is None else columns))


def write_folder(
    root: Path, competition: Competition, train: pd.DataFrame, test: pd.DataFrame
) -> Path:
    """Write two tables, and draw the photos that the templates name in them."""
    root.mkdir(parents=True, exist_ok=True)
    for table, name in ((train, competition.train), (test, competition.test)):
        if "*" not in name:
            table.to_csv(root / name, index=False, sep="\t" if name.endswith(".tsv") else ",")
    for field, table, folder in (
        ("image", train, competition.train_images),
        ("test_image", test, competition.test_images),
    ):
        templates = getattr(competition, field)
        if not templates:
            continue
        for image in fill(field, templates, "the table", table.astype(str)):
            for path in photo_paths(root / folder, image):
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_photo(path, path.relative_to(root), (24, 16))
    return root


def usual_folder(
    root: Path,
    table: pd.DataFrame | None = None,
    predict: pd.DataFrame | None = None,
    **changes: Any,
) -> tuple[Path, Competition]:
    """A folder of the usual definition with other fields, and that definition."""
    competition = usual(**changes)
    table = pets() if table is None else table
    fields = ("train", "image", "test", "test_image", "train_images", "test_images")
    places = usual(**{name: value for name, value in changes.items() if name in fields})
    write_folder(root, places, table, sample() if predict is None else predict)
    return root, competition
