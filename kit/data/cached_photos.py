"""The photos of a pixel cache, each checked when it is first read, and mended if it is damaged."""

import contextlib
import os
from collections.abc import Callable
from typing import Final

import numpy as np

from kit.data.cache import SUM, PixelCache
from kit.system.console import warn

_SUM_BYTES: Final = np.dtype(SUM).itemsize


class CachedPhotos:
    """The photos of a pixel cache, mapped into memory; raises `KitError` if it cannot be opened.

    A CRC-32 takes 35 to 130 us a photo of 300 x 225, so that each is checked only once a process.
    """

    def __init__(self, cache: PixelCache) -> None:
        self.cache, self.pixels, self.sums = cache, cache.open(), cache.read_sums()
        self._unchecked = np.ones(len(cache.images), bool)
        self._warned = False

    def photo(self, row: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The photo of a row; where it is damaged, the one that `decode` gives, which is kept."""
        photo: np.ndarray = self.pixels[row]
        if not self._unchecked[row]:
            return photo
        image = self.cache.images[row]
        if self.cache.checksum(image, photo.data) == self.sums[row]:
            self._unchecked[row] = False
            return photo
        if not self._warned:
            self._warned = True
            warn(
                f"{self.cache.path}: {image} is damaged in the pixel cache; such photos are "
                "decoded, and kept anew"
            )
        photo = decode()
        self._keep(row, photo)
        return photo

    def _keep(self, row: int, photo: np.ndarray) -> None:
        """Write a photo into its row, if that is possible.

        In place: whoever has the file open sees the right photo, and one that is half-written is
        found damaged again.
        """
        self.sums[row] = self.cache.checksum(self.cache.images[row], photo.data)
        with contextlib.suppress(OSError), open(self.cache.path, "r+b") as file:
            rows_end = file.seek(-len(self.sums) * _SUM_BYTES, os.SEEK_END)
            file.seek(rows_end - (len(self.sums) - row) * photo.nbytes)
            file.write(photo.tobytes())
            file.seek(rows_end + row * _SUM_BYTES)
            file.write(self.sums[row].tobytes())
