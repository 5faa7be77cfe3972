"""The passes of an ensemble for a few photos from anywhere among all."""

from collections.abc import Mapping, Sequence

import numpy as np

from kit.data.content import photo_hashes
from kit.inference.elsewhere import run_few_elsewhere
from kit.inference.member import Checkpoint, Pass
from kit.inference.networks import Networks, checkpoint_of
from kit.inference.pass_cache import FEW, KeptPass, kept_path, read_kept, write_kept
from kit.inference.passes import classes_of
from kit.inference.photo_set import PhotoSet
from kit.system.console import Progress
from kit.system.errors import KitError
from kit.system.profiler import stage


class FewPasses:
    """The probabilities of passes for a few of many photos, run when asked, for those asked.

    `files` are the rows (N, C) of passes that are files, by their numbers. What was computed is
    kept beside the checkpoints as `few-*.npz` by `close`: each photo by the hash of its own name
    and bytes, so that no other photo need be read. `unkept` are the reasons why something could not
    be. Memory holds the photos that were asked for, and a number for each of the others.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        photos: PhotoSet,
        networks: Networks,
        files: Mapping[int, np.ndarray],
    ) -> None:
        self.passes, self.photos, self.networks, self.files = passes, photos, networks, files
        self.unkept = list[str]()
        self._place = np.full(len(photos.ids), -1, np.int32)  # of each photo in the arrays below
        self._asked, self._hashes = 0, np.zeros((0, 2), np.uint64)
        self._probs = np.zeros((len(passes), 0, classes_of(passes)), np.float32)
        self._kept = [self._read(p) for p in range(len(passes))]
        self._new = set[int]()

    def _read(self, p: int) -> "_ByHash | None":
        """What was kept of pass `p`."""
        source = self.passes[p].source
        if not isinstance(source, Checkpoint) or self.networks.compute.fresh:
            return None
        key = self.networks.key(self.passes[p])
        kept = read_kept(kept_path(source, FEW, key), key)
        return _ByHash(kept.hashes, kept.probs) if kept and kept.hashes is not None else None

    def rows_of_all(self, rows: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The probabilities of all passes for the photos `rows`: (P, len(rows), C).

        The photos are decoded once for all passes that lack some of them.
        """
        self._find(rows[self._place[rows] < 0])
        place = self._place[rows]
        unknown = np.isnan(self._probs[:, place, 0])
        lacking, wanted = np.flatnonzero(unknown.any(axis=1)).tolist(), unknown.any(axis=0)
        if lacking:
            self._run(lacking, rows[wanted], progress)
        return self._probs[:, place]

    def _run(self, lacking: list[int], rows: np.ndarray, progress: Progress | None) -> None:
        """Run passes on photos, here or at the place that networks run at."""
        networks, place, photos = self.networks, self._place[rows], self.photos.of(rows)
        passes = [self.passes[p] for p in lacking]
        self._new.update(lacking)
        if networks.compute.place is not None:
            tables = run_few_elsewhere(passes, photos, networks.views, networks.compute)
            self._probs[np.ix_(lacking, place)] = np.stack(tables)
            networks.computed += len(rows) * len(passes)
            return
        groups = networks.groups(lacking, self.passes)
        for group in groups:
            probs, _ = networks.run([self.passes[p] for p in group], photos, None, progress)
            self._probs[np.ix_(group, place)] = np.stack(probs)
            if len(groups) > 1:
                networks.clear()

    def take(self, rows: np.ndarray, probs: np.ndarray) -> None:
        """Take over what is known of the probabilities (P, len(rows), C) of photos."""
        self._find(rows[self._place[rows] < 0])
        place = self._place[rows]
        self._probs[:, place] = np.where(np.isnan(probs), self._probs[:, place], probs)

    def _find(self, rows: np.ndarray) -> None:
        """Make room for the photos `rows`, and take what is known of them."""
        if not len(rows):
            return
        start, stop = self._asked, self._asked + len(rows)
        if stop > len(self._hashes):  # twice as much, so that what is there is seldom copied
            room = np.full((len(self.passes), stop, self._probs.shape[2]), np.nan, np.float32)
            self._probs = np.concatenate([self._probs, room], axis=1)
            self._hashes = np.concatenate([self._hashes, np.zeros((stop, 2), np.uint64)])
        self._place[rows], self._asked = np.arange(start, stop), stop
        if len(self.files) < len(self.passes):
            images = [self.photos.files[r] for r in rows]
            first = b"".join(digest[:16] for digest in photo_hashes(self.photos.root, images))
            self._hashes[start:stop] = np.frombuffer(first, np.uint64).reshape(-1, 2)
        for p, kept in enumerate(self._kept):
            if p in self.files:
                self._probs[p, start:stop] = self.files[p][rows]
            elif kept is not None:
                self._probs[p, start:stop] = kept.at(self._hashes[start:stop])

    def close(self) -> None:
        """Keep what was computed, beside what was kept before."""
        with stage("write"):
            for p in sorted(self._new):
                probs, hashes = self._probs[p, : self._asked], self._hashes[: self._asked]
                known = ~np.isnan(probs[:, 0])
                if not known.any():  # stopped before the pass gave anything
                    continue
                probs, hashes, kept = probs[known], hashes[known], self._kept[p]
                if kept is not None:
                    old = np.isnan(_ByHash(hashes, probs).at(kept.hashes)[:, 0])
                    probs = np.concatenate([kept.probs[old], probs])
                    hashes = np.concatenate([kept.hashes[old], hashes])
                key = self.networks.key(self.passes[p])
                path = kept_path(checkpoint_of(self.passes[p]), FEW, key)
                try:
                    write_kept(path, KeptPass(probs, hashes=hashes), key)
                except KitError as error:
                    self.unkept.append(str(error).partition(";")[0])
        self._new.clear()


class _ByHash:
    """Probabilities (n, C) of photos with the given hashes (n, 2)."""

    def __init__(self, hashes: np.ndarray, probs: np.ndarray) -> None:
        order = np.argsort(hashes[:, 0], kind="stable")
        self.hashes, self.probs = hashes[order], probs[order]

    def at(self, hashes: np.ndarray) -> np.ndarray:
        """The probabilities of photos by their hashes (k, 2): (k, C), with NaN for unknown ones."""
        place = np.searchsorted(self.hashes[:, 0], hashes[:, 0])
        place = np.minimum(place, len(self.hashes) - 1)
        same = (self.hashes[place] == hashes).all(axis=1)
        return np.where(same[:, None], self.probs[place], np.float32(np.nan))
