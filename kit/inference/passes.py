"""The passes of an ensemble over one block: each a checkpoint with one view, or a file's rows."""

import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from kit.data.cache import PixelCache, temporary_cache
from kit.data.geometry import Geometry
from kit.inference.member import Checkpoint, Pass
from kit.inference.networks import Networks, checkpoint_of, checkpoints_of
from kit.inference.pass_cache import KeptPass, keep_block, read_block
from kit.inference.photo_set import PhotoSet
from kit.system.console import Progress
from kit.system.profiler import stage
from kit.system.temporary import remove_left, temporary_path

_PIXELS: Final = "kit-pixels"  # how the names of folders of pixel caches begin


class Passes:
    """The probabilities of passes over the photos of a block, run when asked, for those asked.

    `files` are the rows (N, C) of passes that are files, by their numbers. Nothing is computed
    twice: `table(p)` (N, C) float32 holds what is known, NaN elsewhere, and `known` (P,) are the
    passes that were whole from the start, as a file's rows are and what was kept before.

    What was computed is kept beside the checkpoints: that of all photos at once, as
    `<prefix>-*.npz`, and that of some as `part-*.npz` by `close`; `unkept` are the reasons why
    something could not be. Photos asked for pass by pass come from a pixel cache, removed by
    `close`.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        photos: PhotoSet,
        networks: Networks,
        files: Mapping[int, np.ndarray],
    ) -> None:
        self.passes, self.photos, self.networks = passes, photos, networks
        self.seconds, self.unkept = np.zeros(len(passes)), list[str]()
        self._tables: list[np.ndarray | None] = [files.get(p) for p in range(len(passes))]
        self._keys = [
            networks.key(one, photos.hash) if isinstance(one.source, Checkpoint) else ""
            for one in passes
        ]
        self._new = set[int]()
        self._caches: dict[Geometry, PixelCache | None] = {}
        self._folders: list[Path] = []
        self._pixels = (networks.compute.cache_dir or Path(tempfile.gettempdir())) / _PIXELS
        remove_left(self._pixels)  # it may be much, and this process may need none
        if not networks.compute.fresh:
            self._read()
        self.known = np.array([bool(self.known_rows(p).all()) for p in range(len(passes))])

    def _read(self) -> None:
        """Take what was kept before."""
        for p, one in enumerate(self.passes):
            if not isinstance(one.source, Checkpoint):
                continue
            prefix, photos = self.photos.prefix, len(self.photos.ids)
            kept = read_block(one.source, prefix, self._keys[p], photos)
            if kept is None:
                continue
            self.seconds[p] = kept.seconds
            if kept.rows is None:
                self._tables[p] = kept.probs
            else:
                self.table(p)[kept.rows] = kept.probs

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return classes_of(self.passes)

    def table(self, p: int) -> np.ndarray:
        """The known probabilities of pass `p`: (N, C), with NaN in the rows that are not known."""
        table = self._tables[p]
        if table is None:
            shape = len(self.photos.ids), self.classes
            table = self._tables[p] = np.full(shape, np.nan, np.float32)
        return table

    def known_rows(self, p: int) -> np.ndarray:
        """The rows of pass `p` that are known, (N,) bool."""
        table = self._tables[p]
        return np.zeros(len(self.photos.ids), bool) if table is None else ~np.isnan(table[:, 0])

    def lacking(self) -> int:
        """The number of photos, over all passes, whose probabilities are not known."""
        return sum(int((~self.known_rows(p)).sum()) for p in range(len(self.passes)))

    def take(self, rows: np.ndarray, probs: np.ndarray) -> None:
        """Take over probabilities (P, len(rows), C) of all passes, computed elsewhere."""
        for p, one in enumerate(self.passes):
            if isinstance(one.source, Checkpoint) and not self.known_rows(p)[rows].all():
                self.table(p)[rows] = probs[p]
                self._new.add(p)

    def run_all(self, progress: Progress | None = None) -> None:
        """Run the passes that are not known, on all photos; each photo is decoded once.

        Networks come in groups that fit into memory, each with every view that some checkpoint
        lacks. A group's probabilities are kept before the next group runs.
        """
        lacking = [p for p in range(len(self.passes)) if not self.known_rows(p).all()]
        groups = self.networks.groups(lacking, self.passes) if lacking else []
        for n, group in enumerate(groups):
            cache = self._cache(group) if len(groups) > 1 else None
            # The first group counts the photos.
            self._run(group, np.arange(len(self.photos.ids)), cache, progress if n == 0 else None)
            if len(groups) > 1:
                self.networks.clear()
        if not groups and progress is not None:
            progress.advance(len(self.photos.ids))

    def rows(self, p: int, rows: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The probabilities of pass `p` for the photos `rows`: (len(rows), C)."""
        unknown = rows[~self.known_rows(p)[rows]]
        if len(unknown):
            self._run([p], unknown, self._cache([p]), progress)
        if progress is not None:
            progress.advance(len(rows) - len(unknown))
        return self.table(p)[rows]

    def close(self) -> None:
        """Keep what was computed, and let go of photos."""
        self._keep(sorted(self._new))
        self._caches.clear()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _cache(self, passes: Sequence[int]) -> PixelCache | None:
        """The pixel cache of the geometry of passes; None if they have several, or without room."""
        geometries = {c.geometry for c in checkpoints_of([self.passes[p] for p in passes])}
        if len(geometries) > 1:
            return None
        (geometry,) = geometries
        if geometry not in self._caches:
            place = temporary_path(self._pixels.with_name(f"{_PIXELS}.{secrets.token_hex(4)}"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700)
            self._folders.append(place)
            photos = self.photos
            self._caches[geometry] = temporary_cache(
                place, photos.root, photos.files, geometry, photos.read
            )
        return self._caches[geometry]

    def _keep(self, passes: Sequence[int]) -> None:
        """Keep the known probabilities of passes."""
        with stage("write"):
            for p in passes:
                known, seconds = self.known_rows(p), float(self.seconds[p])
                rows = None if known.all() else np.flatnonzero(known)
                kept = KeptPass(
                    self.table(p) if rows is None else self.table(p)[rows], seconds, rows
                )
                checkpoint = checkpoint_of(self.passes[p])
                why = keep_block(checkpoint, self.photos.prefix, self._keys[p], kept)
                self.unkept += [why] if why else []
        self._new.difference_update(passes)

    def _run(
        self,
        passes: Sequence[int],
        rows: np.ndarray,
        cache: PixelCache | None,
        progress: Progress | None,
    ) -> None:
        """Run passes on the photos `rows`; those of all photos are kept at once."""
        everything = len(rows) == len(self.photos.ids)
        photos = self.photos if everything else self.photos.of(rows)
        of_each = self.networks.run([self.passes[p] for p in passes], photos, cache, progress)
        for p, probs, seconds in zip(passes, *of_each):
            if everything:
                self._tables[p], self.seconds[p] = probs, seconds
            else:
                self.table(p)[rows] = probs
                self.seconds[p] += seconds
        self._new.update(passes)
        if everything:
            self._keep(passes)


def classes_of(passes: Sequence[Pass]) -> int:
    """C, the number of classes of passes."""
    source = passes[0].source
    return source.architecture.classes if isinstance(source, Checkpoint) else source.probs.shape[1]
