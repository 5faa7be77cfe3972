"""What a folder that nobody has described holds: photos, tables, and sizes of photos."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from kit.data.paths import check_names
from kit.data.photos import size_of
from kit.system.errors import KitError, problem
from kit.system.table import read_table

PHOTOS: Final = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
TABLES: Final = (".csv", ".tsv", ".parquet")
_OTHERS: Final = (".dcm", ".tfrec", ".tfrecord", ".h5", ".hdf5", ".npy", ".zip", ".tar", ".json")
_DEPTH: Final = 3  # tables lie at most so many folders deep
_LARGEST: Final = 10**9  # bytes of a table
_SIZED: Final = 100  # photos whose sizes are looked at


@dataclass(frozen=True)
class Facts:
    """What the folder `root` holds. Paths are below it, with `/`, and sorted.

    `tables` are texts by path. `unread` are tables that could not be read, with the reason.
    `others` are the numbers of files that are neither, by the ends of their names. `sizes` are the
    (width, height) of some photos and how many have each, the most frequent first.
    """

    root: Path
    photos: tuple[str, ...]
    tables: dict[str, pd.DataFrame]
    unread: tuple[str, ...]
    others: dict[str, int]
    sizes: tuple[tuple[tuple[int, int], int], ...]


def look(root: Path) -> Facts:
    """The facts of a folder; raises `KitError` if there is none, or no photo in it."""
    if not root.is_dir():
        raise problem(root, "there is no such folder", remedy="name the unpacked data")
    files = sorted(_files(root))
    ends = [PurePosixPath(file).suffix.lower() for file in files]
    photos = tuple(file for file, end in zip(files, ends) if end in PHOTOS)
    others = Counter(end for end in ends if end in _OTHERS)
    if not photos:
        what = f"holds no photos ({', '.join(PHOTOS)})"
        has = "".join(f", but {number:,} {end} files" for end, number in others.most_common(1))
        remedy = "unpack the data, or convert them to PNG" if has else "unpack the data there"
        raise problem(root, what + has, remedy=remedy)
    check_names(root, photos)
    tables, unread = dict[str, pd.DataFrame](), list[str]()
    for file, end in zip(files, ends):
        if end in TABLES and file.count("/") <= _DEPTH:
            try:
                tables[file] = _table(root / file)
            except KitError as error:
                unread.append(str(error).removeprefix(f"{root}{os.sep}"))
    return Facts(root, photos, tables, tuple(unread), dict(others), _sizes(root, photos))


def _files(root: Path) -> Iterator[str]:
    """The files below a folder, without hidden ones; a folder that is a link is followed once."""
    seen = set[str]()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if name[0] != "." and name != "__MACOSX"]
        below = Path(place).relative_to(root)
        yield from ((below / name).as_posix() for name in names if name[0] != ".")


def _table(path: Path) -> pd.DataFrame:
    """A table as text; raises `KitError` for one that is too large, or no table."""
    if path.stat().st_size > _LARGEST:
        raise problem(path, f"is larger than {_LARGEST / 1e9:g} GB")
    return read_table(path)


def _sizes(root: Path, photos: tuple[str, ...]) -> tuple[tuple[tuple[int, int], int], ...]:
    """The sizes of some photos, the most frequent first; a damaged one is left out."""
    chosen = np.unique(np.linspace(0, len(photos) - 1, _SIZED).astype(int))
    sizes = Counter[tuple[int, int]]()
    for i in chosen.tolist():
        try:
            sizes[size_of(root / photos[i])] += 1
        except KitError:
            continue
    return tuple(sizes.most_common())
