"""Where photos lie: templates filled in from the columns of a table, and the files they name.

An image of several channels is the paths of its files, joined by `|`.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from kit.system.errors import did_you_mean, problem

CHANNELS: Final = "|"
_NO_UTF8: Final = re.compile("[\ud800-\udfff]")
FIELD: Final = re.compile(r"{([^{}]*)}")
Templates = str | tuple[str, ...]


def photo_paths(root: Path, image: str) -> list[Path]:
    """The files of an image below `root`, one a channel: of most competitions it is one file."""
    return [root / part for part in image.split(CHANNELS)]


def first_channel(image: str) -> str:
    """The path of an image's first file, by which it is shown and compared."""
    return image.partition(CHANNELS)[0]


def is_below(image: str) -> bool:
    """True if every file of an image stays below its folder."""
    parts = image.split(CHANNELS)
    return "\0" not in image and not any(p.startswith("/") or ".." in p.split("/") for p in parts)


def file_of(path: Path) -> Path:
    """The file that holds a photo: its own, or the one above it that a competition's `read` opens.

    Such is `train.hdf5` of the photo `train.hdf5/0815`.
    """
    return next((place for place in (path, *path.parents) if place.is_file()), path)


def stat_of(path: Path) -> os.stat_result:
    """The size and times of the file that holds a photo; raises `OSError` if there is none."""
    try:
        return os.stat(path)
    except OSError:
        return os.stat(file_of(path))


def fields_of(templates: Templates) -> list[str]:
    """The columns that templates name, in their order."""
    return FIELD.findall(templates if isinstance(templates, str) else " ".join(templates))


def fill(field: str, templates: Templates, place: str, table: pd.DataFrame) -> list[str]:
    """The images of a table's rows, by the templates of a definition's field.

    `place` is the table's name in errors. Raises `KitError` for a column that the table lacks, and
    for images that lie outside of their folder.
    """
    templates = (templates,) if isinstance(templates, str) else templates
    channels = [fill_template(field, template, place, table) for template in templates]
    bad = [path for paths in channels for path in paths if CHANNELS in path]
    if bad:
        raise problem(place, f"names photos with a {CHANNELS}", bad, "rename these files")
    images = [CHANNELS.join(paths) for paths in zip(*channels)]
    unsafe = [image for image in images if not is_below(image)]
    if unsafe:
        raise problem(place, "names photos outside of the data folder", unsafe, "mend these rows")
    return images


def fill_template(field: str, template: str, place: str, table: pd.DataFrame) -> list[str]:
    """A template filled in from each row of a table; raises `KitError` as `fill` does."""
    names, filled = [str(name) for name in table], pd.Series("", index=table.index)
    for n, part in enumerate(FIELD.split(template)):  # texts and columns, in turns
        if n % 2 and part not in names:
            example = f"{{{part}}}{did_you_mean(part, names)}"
            remedy = f"it has {','.join(names)[:300]}"
            raise problem(field, f"names no column of {place}", [example], remedy)
        filled = filled + (table[part] if n % 2 else part)
    return [str(text) for text in filled]


def lost_files(root: Path, images: Sequence[str]) -> list[str]:
    """The files of images that do not exist below `root`; folders are listed, no file is read."""
    files = [part.rpartition("/") for image in images for part in image.split(CHANNELS)]
    folders = {folder for folder, _, _ in files}
    inside = {name for name in folders if file_of(root / name).is_file()}
    listed = {name: _files(root / name) for name in folders - inside}
    return [
        f"{folder}{slash}{name}"
        for folder, slash, name in files
        if folder not in inside and name not in listed[folder]
    ]


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def other_ending(root: Path, file: str) -> str:
    """` (did you mean X?)` for a file that is not there, where one of another ending is.

    Or what it is called, where its name is the same text in another Unicode form.
    """
    place = root / file
    names = sorted(_files(place.parent))
    composed = unicodedata.normalize("NFC", place.name)
    alike = [name for name in names if unicodedata.normalize("NFC", name) == composed]
    if alike:
        form = "NFC" if unicodedata.is_normalized("NFC", alike[0]) else "NFD"
        return f" (the file's name is in another Unicode form, {form}: write it so in the table)"
    near = [n for n in names if n.rpartition(".")[0] in (place.name, place.stem)]
    return f" (did you mean {near[0]}?)" if near else ""


def check_names(root: Path, files: Sequence[str]) -> None:
    """Raise `KitError` for files below `root` whose names no table can hold: they are no UTF-8."""
    bad = [file for file in files if _NO_UTF8.search(file)]
    if bad:
        raise problem(root, "holds files whose names are no UTF-8", bad, "rename these files")
