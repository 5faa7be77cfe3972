"""A photo of a competition as an array, whatever its files are."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from kit.data.geometry import Geometry
from kit.data.paths import photo_paths
from kit.data.photos import decode, size_of
from kit.system.errors import KitError, problem

Read = Callable[[Path], np.ndarray]
# A photo whose longer side has more pixels is decoded at a fraction of its size, if it is a JPEG.
# Of 4,608 x 4,096 pixels to 337 x 300 that takes a seventh of the time, and changes values by .4 of
# 255 on average; to an eighth of the pixels a third of the time, and .1 (faces, quality 75 and 95).
LARGE: Final = 1024
_LEAST: Final = 128  # pixels of a JPEG's side that is looked at in grey


def read_photo(
    root: Path, image: str, geometries: Sequence[Geometry], read: Read | None = None
) -> np.ndarray:
    """The photo `image` below `root`, uint8 (height, width, channels), for all of the geometries.

    It comes from a competition's `read` where there is one. Of several files, joined by `|`, and of
    a single one for one channel, each is a channel, read as grey. A large JPEG comes at a fraction
    of its size, at least twice as large as any geometry needs it.
    """
    channels = geometries[0].channels
    if read is not None:
        return _read_by(read, root / image, channels)
    least = max(map(_pixels, geometries))
    paths = photo_paths(root, image)
    if len(paths) == 1 and channels != 1:
        return decode(paths[0], least, LARGE)[0]
    if len(paths) != channels:
        what = f"has {len(paths)} files and not {channels}, as the photos of the plan"
        raise problem(root / image, what, remedy="mend the definition's image or test_image")
    return _stacked(paths, [decode(path, least, LARGE, grey=True)[0] for path in paths])


def photo_size(root: Path, image: str, read: Read | None = None) -> tuple[int, int]:
    """The height and width of a photo, upright; only a competition's `read` decodes it."""
    if read is not None:
        height, width = _read_by(read, root / image, 0).shape[:2]
        return height, width
    width, height = size_of(photo_paths(root, image)[0])
    return height, width


def grey_photo(root: Path, image: str, read: Read | None = None) -> tuple[np.ndarray, bytes]:
    """A photo in grey, uint8 (height, width), and the bytes that it was made from.

    It is the mean of channels, where they are several files or come from a competition's `read`. A
    JPEG may come at a fraction of its size.
    """
    paths = photo_paths(root, image)
    if read is not None:
        photo = _read_by(read, root / image, 0)
        return photo.mean(axis=2).astype(np.uint8), photo.tobytes()
    if len(paths) == 1:
        photo, content = decode(paths[0], least=_LEAST)
        return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), content
    decoded = [decode(path, least=_LEAST, grey=True) for path in paths]
    photo = _stacked(paths, [channel for channel, _ in decoded])
    return photo.mean(axis=2).astype(np.uint8), b"".join(content for _, content in decoded)


def _stacked(paths: Sequence[Path], channels: Sequence[np.ndarray]) -> np.ndarray:
    """Channels (height, width) as one photo; raises `KitError` if they are of different sizes."""
    if len({channel.shape for channel in channels}) > 1:
        sizes = [f"{p}: {c.shape[1]} x {c.shape[0]}" for p, c in zip(paths, channels)]
        what = "and the other channels of this photo differ in size"
        raise problem(paths[0], what, sizes, "unpack the data again, or leave the photo out")
    return np.stack(channels, axis=2)


@functools.cache
def _pixels(geometry: Geometry) -> int:
    """The least pixels of a photo's side for which a geometry shrinks it by two or more."""
    sides = zip(geometry.size, geometry.frame, geometry.crop)
    return max(math.ceil(2 * size * frame / crop) for size, frame, crop in sides)


def _read_by(read: Read, path: Path, channels: int) -> np.ndarray:
    """A photo by a competition's function; raises `KitError` for all that it raises or lacks.

    `channels` are 0 for any number of them.
    """
    try:
        photo = read(path)
    except KitError:
        raise
    except Exception as error:  # whatever a user's function raises is theirs to mend
        what = f"`read` fails on it ({type(error).__name__}: {str(error)[:160]})"
        raise problem(path, what, remedy="mend the competition's read") from error
    if isinstance(photo, np.ndarray) and photo.ndim == 2 and channels < 2:
        photo = photo[:, :, None]
    if (
        not isinstance(photo, np.ndarray)
        or photo.dtype != np.uint8
        or photo.ndim != 3
        or photo.shape[2] != (channels or photo.shape[2])
        or not photo.size
    ):
        given = f"{photo.dtype} {photo.shape}" if isinstance(photo, np.ndarray) else type(photo)
        what = (
            f"`read` must give uint8 (height, width, {channels or 'channels'}), and gives {given}"
        )
        raise problem(path, what, remedy="mend the competition's read, or its channels")
    return photo


def as_rgb(photo: np.ndarray) -> np.ndarray:
    """A photo uint8 (height, width, channels) to look at: (height, width, 3).

    One channel is grey; of more than three, the first three are red, green and blue.
    """
    if photo.shape[2] == 1:
        return photo.repeat(3, axis=2)
    lacking = np.zeros((*photo.shape[:2], max(0, 3 - photo.shape[2])), np.uint8)
    return np.concatenate([photo[:, :, :3], lacking], axis=2)
