"""The passes of an ensemble over all photos, block by block."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kit.inference import photo_set
from kit.inference.engine import Compute
from kit.inference.few import FewPasses
from kit.inference.member import Checkpoint, Pass
from kit.inference.networks import Networks
from kit.inference.passes import Passes, classes_of
from kit.inference.photo_set import PhotoSet
from kit.inference.views import View
from kit.results.probs import Probs
from kit.system.console import warn


class Blocks:
    """The passes of an ensemble over N photos, in blocks of `size` consecutive photos.

    Photos are always computed so: a block's P passes are in memory while it is open, and kept
    beside the checkpoints when it is closed. Networks stay for the next block while there is room.
    `hashes` are those of the blocks' photos, as far as they are known, and `unkept` the reasons why
    something could not be kept. Copied into another process, it starts afresh there.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        photos: PhotoSet,
        views: Mapping[str, View],
        compute: Compute,
        size: int | None = None,
    ) -> None:
        self.passes, self.photos, self.views, self.compute = passes, photos, views, compute
        self.networks, self.size = Networks(views, compute), size or photo_set.BLOCK
        self.hashes, self.unkept = dict[int, str](), list[str]()
        self._files = {
            p: one.source.at(photos.ids)
            for p, one in enumerate(passes)
            if isinstance(one.source, Probs)
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return Blocks, (self.passes, self.photos, self.views, self.compute, self.size)

    def __len__(self) -> int:
        return math.ceil(len(self.photos.ids) / self.size)

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return classes_of(self.passes)

    @property
    def needing_networks(self) -> int:
        """The number of passes that need a network."""
        return len(self.passes) - len(self._files)

    @property
    def rounded(self) -> bool:
        """True if a network runs in 16 bits, so that close calls may differ from those of fp32."""
        sources = [one.source for one in self.passes if isinstance(one.source, Checkpoint)]
        modes = [self.compute.mode(c.architecture, self.networks.device) for c in sources]
        return any(mode.precision.itemsize < 4 for mode in modes)

    def rows(self, b: int) -> slice:
        """The rows of block `b` among all photos."""
        return slice(b * self.size, min((b + 1) * self.size, len(self.photos.ids)))

    @contextlib.contextmanager
    def open(self, b: int, known_hash: str = "") -> Iterator[Passes]:
        """The passes over block `b`; what was computed in the `with` is kept at its end."""
        rows = self.rows(b)
        photos = self.photos.part(rows.start, rows.stop, known_hash or self.hashes.get(b, ""))
        files = {p: table[rows] for p, table in self._files.items()}
        block = Passes(self.passes, photos, self.networks, files)
        if self.needing_networks:
            self.hashes[b] = photos.hash
        try:
            yield block
        finally:
            block.close()
            self.say_unkept(block.unkept)

    def all_known(self) -> bool:
        """True if everything was kept before; blocks are read up to the first that lacks some."""
        return not self.compute.fresh and all(self._is_known(b) for b in range(len(self)))

    def _is_known(self, b: int) -> bool:
        with self.open(b) as block:
            return bool(block.known.all())

    def few(self, exact: bool = False) -> FewPasses:
        """The same passes for a few photos; with `exact` in fp32."""
        networks = self.networks
        if exact:
            networks = Networks(self.views, dataclasses.replace(self.compute, exact=True))
        return FewPasses(self.passes, self.photos, networks, self._files)

    def placed(self, rows: slice) -> "Blocks":
        """The blocks of some consecutive photos alone, for a process of the place."""
        photos = self.photos.part(rows.start, rows.stop).placed()
        passes = [one.placed() for one in self.passes]
        for p, table in self._files.items():
            of_rows = Probs(np.array(photos.ids), table[rows])
            passes[p] = dataclasses.replace(passes[p], source=of_rows)
        return Blocks(passes, photos, self.views, self.compute.placed(), self.size)

    def say_unkept(self, reasons: Sequence[str]) -> None:
        """Warn, once, that probabilities cannot be kept: the next ensemble computes them again."""
        if reasons and not self.unkept:
            warn(f"probabilities are not kept: {reasons[0]}")
        self.unkept += reasons

    def close(self) -> None:
        """Let go of networks."""
        self.networks.clear()
