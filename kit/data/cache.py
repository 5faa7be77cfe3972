"""The pixel cache: one memory-mapped uint8 file per data and geometry.

Photos are decoded, cropped and resized once, for all folds, recipes, workers and processes.
Augmentation starts from it.
"""

import dataclasses
import inspect
import math
import os
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from kit.data.geometry import Geometry
from kit.data.paths import photo_paths, stat_of
from kit.data.photos import DamagedPhotos, crop_and_resize
from kit.data.reading import Read, read_photo
from kit.system.console import Progress, say, warn
from kit.system.disk import atomic_write, text_hash
from kit.system.errors import KitError, problem
from kit.system.locks import lock_folder
from kit.system.script import ScriptFunction
from kit.system.temporary import host_name
from kit.system.threads import cores
from kit.system.versions import PIXELS_VERSION

# Bytes that must stay free beside the cache: room for checkpoints.
_FREE_BYTES = 2 * 2**30
# The type of a photo's checksum in the file.
SUM: Final = "<u4"


@dataclass(frozen=True)
class PixelCache:
    """A file of photos after `crop_and_resize` to `size`.

    It is uint8 (photos, height, width, channels) in .npy format; row r is the photo `images[r]`.
    `shape` is that of a row. Behind the rows stand their checksums.
    """

    path: Path
    images: tuple[str, ...]
    shape: tuple[int, int, int]

    @property
    def whole(self) -> bool:
        """True if the file exists with all its rows."""
        try:
            return self.path.exists() and self.open() is not None
        except (KitError, OSError):
            return False

    def rows(self, images: Sequence[str]) -> np.ndarray:
        """The row of each of `images`, which must be in the cache."""
        return pd.Index(self.images).get_indexer(pd.Index(images))

    def checksum(self, image: str, photo: bytes | memoryview) -> int:
        """The CRC-32 of a photo, and of what its file name and `image` say that it is."""
        named = f"{self.path.name.partition('.')[0]}\t{image}"
        return zlib.crc32(photo, zlib.crc32(named.encode("utf-8", "surrogateescape")))

    def read_sums(self) -> np.ndarray:
        """The checksums of the rows, (photos,)."""
        with open(self.path, "rb") as file:
            file.seek(-len(self.images) * np.dtype(SUM).itemsize, os.SEEK_END)
            return np.frombuffer(file.read(), SUM).copy()

    def open(self) -> np.ndarray:
        """The rows, mapped into memory and read-only; processes that open it share its pages."""
        try:
            array: np.memmap = np.load(self.path, mmap_mode="r", allow_pickle=False)
            if array.shape != (len(self.images), *self.shape) or array.dtype != np.uint8:
                raise ValueError(f"it holds {array.dtype} {array.shape}")
            sums = len(array) * np.dtype(SUM).itemsize
            if self.path.stat().st_size != array.offset + array.nbytes + sums:
                raise ValueError("it is cut short, or too long")
        except Exception as error:  # numpy has its own for each kind of damage
            raise problem(
                self.path, f"the pixel cache cannot be read ({type(error).__name__})"
            ) from error
        return array


def pixel_cache(
    folder: Path,
    root: Path,
    images: Sequence[str],
    geometry: Geometry,
    build: bool = True,
    read: Read | None = None,
) -> PixelCache | None:
    """The pixel cache of photos under a geometry, in `folder`; built if it does not exist.

    Its name holds a hash over each photo's name, size and times, and over the code of `read`, the
    competition's function that reads a photo, so that a changed photo makes another cache, and
    never a stale one. It holds the host that made it, too: another one with the same photos uses
    it. Caches of the same geometry and other photos are removed if this host made them: boxes with
    copies of the photos, whose times differ, share a folder so.
    None, with a warning, if the disk has no room; None, too, if it does not exist and `build` is
    false. Raises `KitError` for a photo that cannot be read, or that changes meanwhile.
    """
    height, width = geometry.size
    stamp = _stamp(root, images, geometry, read)
    of = f"x{geometry.channels}" * (geometry.channels != 3)
    prefix = f"{geometry.crop[0]}x{geometry.crop[1]}-{height}x{width}{of}-"
    path = folder / f"{prefix}{stamp[:16]}.{host_name()}.npy"
    cache = PixelCache(path, tuple(images), (height, width, geometry.channels))
    if (made := _whole(cache)) or not build:
        return made
    need = len(images) * math.prod(cache.shape)
    try:
        with lock_folder(folder, "another process is building the pixel cache; waiting for it"):
            if made := _whole(cache):
                return made
            if path.exists():
                warn(f"{path} is damaged; making it again")
            for stale in folder.glob(f"{prefix}*.{host_name()}.npy"):
                stale.unlink()  # a process that has it open keeps its pages
            if shutil.disk_usage(folder).free < need + _FREE_BYTES:
                warn(
                    f"{folder}: too little free disk for the pixel cache ({need / 1e9:.1f} GB, "
                    "and 2 GB for checkpoints): "
                    "photos are decoded in every epoch"
                )
                return None
            _build(cache, root, geometry, read)
            if _stamp(root, images, geometry, read) != stamp:
                path.unlink()
                raise problem(
                    root,
                    "photos were changed while they were read",
                    remedy="start again when nothing writes there",
                )
    except OSError as error:
        warn(
            f"{path}: the pixel cache cannot be written ({error.strerror or error}): photos are "
            "decoded in every epoch"
        )
        return None
    say(
        f"{path}: pixel cache of {len(images):,} photos, {need / 1e9:.2f} GB, shared by all folds "
        "and recipes of this geometry"
    )
    return cache


def temporary_cache(
    folder: Path, root: Path, images: Sequence[str], geometry: Geometry, read: Read | None = None
) -> PixelCache | None:
    """A pixel cache of photos in an empty folder that only this process uses, and removes.

    None, with a warning, if the disk has no room.
    """
    shape = (*geometry.size, geometry.channels)
    cache = PixelCache(folder / "pixels.npy", tuple(images), shape)
    need = len(images) * math.prod(shape)
    try:
        if shutil.disk_usage(folder).free < need + _FREE_BYTES:
            raise OSError(f"no room for {need / 1e9:.1f} GB")
        _build(cache, root, geometry, read)
    except OSError as error:
        warn(f"{folder}: no pixel cache ({error.strerror or error}): photos are decoded each time")
        return None
    return cache


def _whole(cache: PixelCache) -> PixelCache | None:
    """A whole cache of the same photos: this host's, else another one's, else None."""
    stem = cache.path.name.split(".")[0]
    others = sorted(cache.path.parent.glob(f"{stem}.*.npy"))
    caches = [cache, *(dataclasses.replace(cache, path=path) for path in others)]
    return next((made for made in caches if made.whole), None)


def _stamp(root: Path, images: Sequence[str], geometry: Geometry, read: Read | None) -> str:
    """A hash over the frame, the code of `read`, and photos' names, sizes and times.

    The time of change is one of them, which a copy back with old dates cannot keep.
    """

    def line(image: str) -> str:
        marks = []
        for path in photo_paths(root, image):
            try:
                stat = stat_of(path)
            except OSError as error:
                raise problem(
                    path,
                    f"cannot be read: {error.strerror or error}",
                    remedy="unpack the data again",
                ) from error
            marks.append(f"{stat.st_size}\t{stat.st_mtime_ns}\t{stat.st_ctime_ns}")
        return "\t".join([image, *marks]) + "\n"

    first = f"{PIXELS_VERSION} {geometry.frame}\n"
    if read is not None:
        first += f"{read.text if isinstance(read, ScriptFunction) else inspect.getsource(read)}\n"
    return text_hash(first + "".join(map(line, images)))


def _build(cache: PixelCache, root: Path, geometry: Geometry, read: Read | None) -> None:
    """Write the cache file; an `OSError` is one of writing."""

    def load(image: str) -> tuple[bytes, int] | KitError:
        try:
            photo = crop_and_resize(read_photo(root, image, [geometry], read), geometry).tobytes()
        except KitError as error:
            return error
        return photo, cache.checksum(image, photo)

    images, sums, bad = cache.images, list[int](), list[KitError]()
    try:
        with (
            atomic_write(cache.path, force=True) as temporary,
            ThreadPoolExecutor(cores()) as pool,
            Progress("pixel cache", len(images)) as progress,
            open(temporary, "wb") as file,
        ):
            # Plain writes and not a map: on a full disk, writing to mapped memory would kill the
            # process.
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (len(images), *cache.shape)}
            )
            for start in range(0, len(images), 256):  # not all at once: results wait in memory
                results = list(pool.map(load, images[start : start + 256]))
                photos = [result for result in results if not isinstance(result, KitError)]
                bad += [result for result in results if isinstance(result, KitError)]
                if not bad:
                    file.write(b"".join(photo for photo, _ in photos))
                    sums += [checksum for _, checksum in photos]
                progress.advance(len(results))
            if bad:
                raise DamagedPhotos(root, bad)
            file.write(np.array(sums, SUM).tobytes())
    except KitError as error:
        if not isinstance(error, DamagedPhotos) and isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise
