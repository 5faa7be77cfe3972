"""The photos that passes run on, and the blocks that they are computed in."""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kit.data.content import photo_hashes
from kit.data.reading import Read
from kit.system.disk import text_hash

# Photos of a block, a multiple of every number that goes through a network at once: so a photo's
# batch, and with it the rounding of its probabilities, is the same as without blocks. Only a
# --batch-size that does not divide it makes the last batch of each block a smaller one.
BLOCK: Final = 1 << 14


@dataclass(frozen=True)
class PhotoSet:
    """Photos that passes run on: files `images` below `root`, by default named as their `ids`.

    `prefix` names the files beside checkpoints that keep their probabilities: `probs` of photos to
    predict, `oof` of training photos. `read` is the competition's function that reads a photo, if
    it has one. `known_hash` is the hash, where another process has computed it.
    """

    root: Path
    ids: tuple[str, ...]
    prefix: str = "probs"
    images: tuple[str, ...] = ()
    read: Read | None = None
    known_hash: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The photos' paths below the folder."""
        return self.images or self.ids

    @functools.cached_property
    def hash(self) -> str:
        """The hash over the photos' ids, names and bytes, for which all of them are read."""
        if self.known_hash:
            return self.known_hash
        digests = photo_hashes(self.root, self.files)
        return text_hash("".join(f"{i}\t{d.hex()}\n" for i, d in zip(self.ids, digests)))

    def placed(self) -> "PhotoSet":
        """The same for a process in any folder."""
        return dataclasses.replace(self, root=self.root.absolute())

    def part(self, start: int, stop: int, known_hash: str = "") -> "PhotoSet":
        """The photos from `start` to before `stop`."""
        ids, images = self.ids[start:stop], self.images[start:stop]
        return PhotoSet(self.root, ids, self.prefix, images, self.read, known_hash)

    def of(self, rows: np.ndarray) -> "PhotoSet":
        """The photos `rows`, in their order."""
        ids, files = self.ids, self.files
        named = tuple(ids[r] for r in rows)
        return PhotoSet(self.root, named, self.prefix, tuple(files[r] for r in rows), self.read)
