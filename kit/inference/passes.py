"""The passes of an ensemble: each a checkpoint with one view of every photo, or a file."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from kit.data.cache import PixelCache
from kit.data.loader import PhotoDataset
from kit.inference.engine import (
    Compute,
    explain_out_of_memory,
    load_inference_model,
    memory_groups,
    weight_bytes,
)
from kit.inference.member import Checkpoint, Pass
from kit.inference.pass_cache import PART, PhotoSet, PixelCaches, keep_probs, pass_key, read_kept
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import View
from kit.results.probs import Probs
from kit.system.console import Progress
from kit.system.device import choose_device, free_memory
from kit.system.profiler import stage


class Passes:
    """The probabilities of passes over photos, run when asked, for the photos asked.

    `owners` (P,) are the members of the P passes. Nothing is computed twice: `table(p)` (N, C)
    float32 holds what has been asked, NaN elsewhere, and `known` (P,) are the passes that were
    whole from the start, as a file's rows are and what was kept before. `computed` counts the
    photos that went through a network, once a pass.

    What was computed is kept beside the checkpoints: that of all photos at once, as
    `<prefix>-*.npz`, and that of some as `part-*.npz` by `close`. Photos come from a pixel cache,
    which is made unless only a `few` will be asked for; else they are decoded each time.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        photos: PhotoSet,
        views: Mapping[str, View],
        compute: Compute,
        few: bool = False,
    ) -> None:
        self.passes, self.photos, self.views, self.compute = passes, photos, views, compute
        self.device, self.few = choose_device(compute.device), few
        self.owners = np.array([p.owner for p in passes])
        self.seconds, self.computed = np.zeros(len(passes)), 0
        self._tables: list[np.ndarray | None] = [None] * len(passes)
        self._caches = PixelCaches(photos, compute.cache_dir)
        self._networks, self._new = dict[str, InferenceModel](), set[int]()
        for p in range(len(passes)):
            self._read(p)
        self.known = np.array([bool(self._known_rows(p).all()) for p in range(len(passes))])

    def _read(self, p: int) -> None:
        """Take a file's rows, and what was kept before."""
        source, ids = self.passes[p].source, self.photos.ids
        if isinstance(source, Probs):
            self._tables[p] = source.at(ids)
            self.seconds[p] = source.seconds
            return
        saved = None if self.compute.fresh else read_kept(source, self.photos, self._key(p))
        if saved is not None:
            table = np.full((len(ids), saved.probs.shape[1]), np.nan, np.float32)
            table[pd.Index(ids).get_indexer(pd.Index(saved.ids))] = saved.probs
            self._tables[p], self.seconds[p] = table, saved.seconds

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        source = self.passes[0].source
        return source.probs.shape[1] if isinstance(source, Probs) else source.architecture.classes

    @property
    def networks(self) -> int:
        """The number of passes that need a network."""
        return sum(isinstance(p.source, Checkpoint) for p in self.passes)

    @property
    def rounded(self) -> bool:
        """True if a network runs in 16 bits, so that close calls may differ from those of fp32."""
        sources = [p.source for p in self.passes if isinstance(p.source, Checkpoint)]
        modes = [self.compute.mode(c.architecture, self.device) for c in sources]
        return any(mode.precision.itemsize < 4 for mode in modes)

    def exact(self) -> "Passes":
        """The same passes in fp32, for a few photos."""
        compute = dataclasses.replace(self.compute, exact=True)
        return Passes(self.passes, self.photos, self.views, compute, few=True)

    def table(self, p: int) -> np.ndarray:
        """The known probabilities of pass `p`: (N, C), with NaN in the rows that are not known."""
        table = self._tables[p]
        if table is None:
            shape = len(self.photos.ids), self.classes
            table = self._tables[p] = np.full(shape, np.nan, np.float32)
        return table

    def lacking(self) -> int:
        """The number of photos, over all passes, whose probabilities are not known."""
        return sum(int((~self._known_rows(p)).sum()) for p in range(len(self.passes)))

    def _known_rows(self, p: int) -> np.ndarray:
        """The rows of pass `p` that are known, (N,) bool."""
        table = self._tables[p]
        return np.zeros(len(self.photos.ids), bool) if table is None else ~np.isnan(table[:, 0])

    def run_all(self) -> None:
        """Run the passes that are not known, on all photos; each photo is decoded once.

        Networks come in groups that fit into memory, each with every view that some checkpoint
        lacks. A group's probabilities are kept before the next group runs, so that an interruption
        loses one group alone.
        """
        lacking = [p for p in range(len(self.passes)) if not self._known_rows(p).all()]
        if not lacking:
            return
        checkpoints, rows = self._checkpoints(lacking), np.arange(len(self.photos.ids))
        views = len({self.passes[p].view for p in lacking})
        groups = memory_groups(checkpoints, self.compute, self.device)
        what = f"{len(checkpoints)} checkpoints x {views} views"
        with Progress(what, len(rows) * len(groups)) as progress:
            for group in groups:
                cache = self._caches.of(group[0]) if len(groups) > 1 else None
                networks = (load_inference_model(c, self.compute, self.device) for c in group)
                self._run(self._of(group, lacking), rows, networks, cache, progress)

    def rows(self, p: int, rows: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The probabilities of pass `p` for the photos `rows`: (len(rows), C)."""
        unknown = rows[~self._known_rows(p)[rows]]
        if len(unknown):
            self._run_few([p], unknown, progress)
        if progress is not None:
            progress.advance(len(rows) - len(unknown))
        return self.table(p)[rows]

    def rows_of_all(self, rows: np.ndarray) -> np.ndarray:
        """The probabilities of all passes for the photos `rows`: (P, len(rows), C).

        The photos are decoded once for all passes that lack some of them.
        """
        known = np.stack([self._known_rows(p)[rows] for p in range(len(self.passes))])
        lacking, wanted = np.flatnonzero(~known.all(axis=1)).tolist(), rows[~known.all(axis=0)]
        if lacking:
            checkpoints = self._checkpoints(lacking)
            for group in memory_groups(checkpoints, self.compute, self.device):
                self._run_few(self._of(group, lacking), wanted, None)
        return np.stack([self.table(p)[rows] for p in range(len(self.passes))])

    def close(self) -> None:
        """Keep what was computed, and let go of networks and photos."""
        self._keep(sorted(self._new))
        self._networks.clear()
        self._caches.close()

    def _checkpoint(self, p: int) -> Checkpoint:
        source = self.passes[p].source
        assert isinstance(source, Checkpoint)
        return source

    def _checkpoints(self, passes: Iterable[int]) -> list[Checkpoint]:
        """The checkpoints of some passes, each once, in order."""
        hashes = {self._checkpoint(p).hash for p in passes}
        sources = [p.source for p in self.passes if isinstance(p.source, Checkpoint)]
        return [c for h, c in {c.hash: c for c in sources}.items() if h in hashes]

    def _of(self, group: Sequence[Checkpoint], passes: Iterable[int]) -> list[int]:
        """Those of the passes whose checkpoint is in a group of checkpoints."""
        hashes = {checkpoint.hash for checkpoint in group}
        return [p for p in passes if self._checkpoint(p).hash in hashes]

    def _key(self, p: int) -> str:
        """The key of the probabilities of pass `p`."""
        view = self.passes[p].view
        return pass_key(self._checkpoint(p), self.photos, view, self.compute, self.device)

    def _keep(self, passes: Sequence[int]) -> None:
        """Keep the known probabilities of passes."""
        ids = np.array(self.photos.ids, dtype=np.str_)
        with stage("write"):
            for prefix in (self.photos.prefix, PART):
                tables = []
                for p in passes:
                    rows = self._known_rows(p)
                    if bool(rows.all()) == (prefix != PART):
                        table = self.table(p) if rows.all() else self.table(p)[rows]
                        probs = Probs(ids[rows], table, self._key(p), float(self.seconds[p]))
                        tables.append((self._checkpoint(p), probs))
                keep_probs(tables, prefix)
        self._new.difference_update(passes)

    def _network(self, checkpoint: Checkpoint) -> InferenceModel:
        """The network of a checkpoint, which stays for its other views while there is memory."""
        if checkpoint.hash not in self._networks:
            need = weight_bytes(checkpoint, self.compute, self.device)
            if self._networks and 2 * need > free_memory(self.device) // 2:
                self._networks.clear()
            network = load_inference_model(checkpoint, self.compute, self.device)
            self._networks[checkpoint.hash] = network
        return self._networks[checkpoint.hash]

    def _run_few(self, passes: Sequence[int], rows: np.ndarray, progress: Progress | None) -> None:
        """Run passes on the photos `rows`, by networks that stay in memory."""
        checkpoints = self._checkpoints(passes)
        geometries = {checkpoint.geometry for checkpoint in checkpoints}
        cache = self._caches.of(checkpoints[0], not self.few) if len(geometries) == 1 else None
        self._run(passes, rows, map(self._network, checkpoints), cache, progress)

    def _run(
        self,
        passes: Sequence[int],
        rows: np.ndarray,
        networks: Iterable[InferenceModel],
        cache: PixelCache | None,
        progress: Progress | None,
    ) -> None:
        """Run the networks of passes on the photos `rows`: each with each view among the passes."""
        checkpoints, names = self._checkpoints(passes), {self.passes[p].view for p in passes}
        views = {name: view for name, view in self.views.items() if name in names}
        everything = np.array_equal(rows, np.arange(len(self.photos.ids)))
        geometries = list(dict.fromkeys(c.geometry for c in checkpoints))
        images = [self.photos.files[i] for i in rows]
        root, read = self.photos.root, self.photos.read
        photos = PhotoDataset(root, images, geometries, cache=cache, read=read)
        modes = [self.compute.mode(c.architecture, self.device) for c in checkpoints]
        at_once = max(mode.photos for mode in modes)
        with explain_out_of_memory(self.compute, self.device):
            loader = self.compute.loader(photos, self.device, at_once, self.few)
            probs, seconds = predict(networks, loader, views, self.device, progress)
        self.computed += len(rows) * len(checkpoints) * len(views)
        number, hashes = list(views), [checkpoint.hash for checkpoint in checkpoints]
        for p in passes:
            v, c = number.index(self.passes[p].view), hashes.index(self._checkpoint(p).hash)
            share = float(seconds[v]) / len(checkpoints)
            if everything:
                self._tables[p], self.seconds[p] = probs[c, v], share
            else:
                self.table(p)[rows] = probs[c, v]
                self.seconds[p] += share
        self._new.update(passes)
        if everything:
            self._keep(passes)
