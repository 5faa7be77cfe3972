"""Probabilities kept beside their checkpoints, and the pixel caches of photos to predict."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from kit.data.cache import PixelCache, pixel_cache
from kit.data.geometry import Geometry
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import FOLD_FOLDER
from kit.system.console import warn
from kit.system.disk import text_hash
from kit.system.errors import KitError
from kit.system.versions import inference_versions


def pass_key(
    checkpoint: Checkpoint, photos: str, view: str, engine: Compute, device: torch.device
) -> str:
    card = checkpoint.card
    return json.dumps(
        {
            "checkpoint": checkpoint.hash,
            "photos": photos,
            "crop": card.crop,
            "size": card.size,
            "view": view,
            "precision": engine.way(card, device).name,
            "versions": inference_versions(),
        }
    )


def kept_path(checkpoint: Checkpoint, prefix: str, key: str) -> Path:
    return checkpoint.path.parent / f"{prefix}-{text_hash(key)[:16]}.npz"


def keep_probs(tables: Iterable[tuple[Checkpoint, Probs]], prefix: str) -> None:
    """Keep probabilities beside their checkpoints; where that cannot be, the next ensemble computes
    them again.
    """
    failed = []
    for checkpoint, table in tables:
        try:
            write_probs(kept_path(checkpoint, prefix, table.key), table, force=True)
            if prefix == "probs":
                kept_path(checkpoint, "part", table.key).unlink(missing_ok=True)
        except KitError as error:
            failed.append(str(error).partition(";")[0])
    if failed:
        warn(f"probabilities are not kept ({len(failed)} files): {failed[0]}")


def read_kept(
    checkpoint: Checkpoint,
    prefix: str,
    key: str,
    ids: Sequence[str],
    engine: Compute,
    whole: bool = True,
) -> Probs | None:
    """Probabilities that were kept, of all the photos `ids`, or if need not be `whole`, of some of
    them.
    """
    path = kept_path(checkpoint, prefix, key)
    if engine.fresh or not path.exists():
        return None
    try:
        kept = read_probs(path)
    except KitError as error:
        warn(f"computed again: {error}")
        return None
    return (
        kept
        if kept.key == key and (set(kept.ids) == set(ids) if whole else set(kept.ids) <= set(ids))
        else None
    )


class PixelCaches:
    """Pixel caches of photos, one a geometry, made when asked for: beside the runs, or for the time
    of this object.
    """

    def __init__(self, root: Path, ids: Sequence[str], prefix: str) -> None:
        self.root, self.ids, self.name = root, list(ids), {"probs": "eval"}.get(prefix, prefix)
        self._caches: dict[Geometry, PixelCache | None] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def of(self, checkpoint: Checkpoint, build: bool = True) -> PixelCache | None:
        """The cache that a checkpoint's network sees; None where no disk has room, or it is not
        there and not to be built.
        """
        geometry = checkpoint.card.geometry
        if geometry not in self._caches:
            folder = (
                checkpoint.path.resolve().parent
            )  # of a fold in a run among runs, or of a file that lies anywhere
            if FOLD_FOLDER.fullmatch(folder.name) and len(folder.parents) > 3:
                place = folder.parents[1] / "pixels" / self.name
            else:
                self._folder = self._folder or tempfile.TemporaryDirectory(prefix="kit-pixels-")
                place = Path(self._folder.name)
            self._caches[geometry] = pixel_cache(place, self.root, self.ids, geometry, build)
        return self._caches[geometry]

    def close(self) -> None:
        """Remove what lay in no run."""
        if self._folder is not None:
            self._folder.cleanup()
