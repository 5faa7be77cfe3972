"""Probabilities kept beside their checkpoints, and pixel caches of the photos to predict."""

import functools
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from kit.data.cache import PixelCache, pixel_cache
from kit.data.folder import content_hash
from kit.data.geometry import Geometry
from kit.data.reading import Read
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import FOLD_FOLDER
from kit.system.console import warn
from kit.system.disk import text_hash
from kit.system.errors import KitError
from kit.system.versions import inference_versions

PART: Final = "part"  # the prefix of kept files of some of the photos to predict


@dataclass(frozen=True)
class PhotoSet:
    """Photos that passes run on: files `images` below `root`, by default named as their `ids`.

    `prefix` names the files beside checkpoints that keep their probabilities: `probs` of photos to
    predict, `oof` of training photos. `read` is the competition's function that reads a photo, if
    it has one.
    """

    root: Path
    ids: tuple[str, ...]
    prefix: str = "probs"
    images: tuple[str, ...] = ()
    read: Read | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The photos' paths below the folder."""
        return self.images or self.ids

    @functools.cached_property
    def hash(self) -> str:
        """The hash over the photos' names and bytes."""
        return content_hash(self.root, self.files)


def pass_key(
    checkpoint: Checkpoint, photos: PhotoSet, view: str, compute: Compute, device: torch.device
) -> str:
    """The key of a pass's probabilities: everything that decides on them.

    The competition, with its channels, its `read` and its mirror, is a part of the checkpoint.
    """
    geometry = checkpoint.geometry
    return json.dumps(
        {
            "checkpoint": checkpoint.hash,
            "photos": photos.hash,
            "crop": geometry.crop,
            "size": geometry.size,
            "view": view,
            "precision": compute.mode(checkpoint.architecture, device).name,
            "versions": inference_versions(),
        }
    )


def kept_path(checkpoint: Checkpoint, prefix: str, key: str) -> Path:
    """The file beside a checkpoint that keeps the probabilities of a key."""
    return checkpoint.path.parent / f"{prefix}-{text_hash(key)[:16]}.npz"


def keep_probs(tables: Iterable[tuple[Checkpoint, Probs]], prefix: str) -> None:
    """Keep probabilities beside their checkpoints, under a prefix.

    If they cannot be written, there is a warning, and the next ensemble computes them again.
    """
    failed = []
    for checkpoint, table in tables:
        try:
            write_probs(kept_path(checkpoint, prefix, table.key), table, force=True)
            if prefix == "probs":
                kept_path(checkpoint, PART, table.key).unlink(missing_ok=True)
        except KitError as error:
            failed.append(str(error).partition(";")[0])
    if failed:
        warn(f"probabilities are not kept ({len(failed)} files): {failed[0]}")


def read_kept(checkpoint: Checkpoint, photos: PhotoSet, key: str) -> Probs | None:
    """Kept probabilities of all photos, or else of some of those to predict; None without any."""
    prefixes = (photos.prefix, PART) if photos.prefix == "probs" else (photos.prefix,)
    for prefix in prefixes:
        path = kept_path(checkpoint, prefix, key)
        if not path.exists():
            continue
        try:
            table = read_probs(path)
        except KitError as error:
            warn(f"computed again: {error}")
            continue
        ids, wanted = set(table.ids), set(photos.ids)
        if table.key == key and (ids <= wanted if prefix == PART else ids == wanted):
            return table
    return None


class PixelCaches:
    """Pixel caches of photos, one for each geometry, made when asked for.

    They lie in a folder `place`, or without it beside the runs, or in a temporary folder until
    `close`.
    """

    def __init__(self, photos: PhotoSet, place: Path | None = None) -> None:
        self.photos, self.place = photos, place
        self.name = {"probs": "eval"}.get(photos.prefix, photos.prefix)
        self._caches: dict[Geometry, PixelCache | None] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def of(self, checkpoint: Checkpoint, build: bool = True) -> PixelCache | None:
        """The pixel cache of the geometry that a checkpoint's network sees.

        None if no disk has room, or if the cache does not exist and is not to be built.
        """
        geometry = checkpoint.geometry
        if geometry not in self._caches:
            # A fold's cache lies beside the runs; a checkpoint file may lie anywhere.
            folder = checkpoint.path.resolve().parent
            if self.place is not None:
                place = self.place / self.name
            elif FOLD_FOLDER.fullmatch(folder.name) and len(folder.parents) > 3:
                place = folder.parents[1] / "pixels" / self.name
            else:
                self._folder = self._folder or tempfile.TemporaryDirectory(prefix="kit-pixels-")
                place = Path(self._folder.name)
            photos = self.photos
            self._caches[geometry] = pixel_cache(
                place, photos.root, list(photos.files), geometry, build, photos.read
            )
        return self._caches[geometry]

    def close(self) -> None:
        """Remove the caches in the temporary folder."""
        if self._folder is not None:
            self._folder.cleanup()
