"""The passes of an ensemble: each a checkpoint with one view."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kit.blending.rule import Rule
from kit.competitions.mask import NUM_CLASSES
from kit.data.folder import content_hash, eval_images
from kit.data.loader import PhotoDataset
from kit.inference.engine import (
    Compute,
    _groups,
    explain_out_of_memory_of_batch,
    load_inference_model,
    weight_bytes,
)
from kit.inference.member import Checkpoint, Member
from kit.inference.pass_cache import PixelCaches, keep_probs, pass_key, read_kept
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import make_views
from kit.results.probs import Probs
from kit.system.console import Progress
from kit.system.device import choose_device, free_memory
from kit.system.profiler import stage


def predict_passes(
    checkpoints: Sequence[Checkpoint],
    root: Path,
    ids: Sequence[str],
    tta: str,
    engine: Compute,
    force_views: bool = False,
    prefix: str = "probs",
    known: Callable[[Checkpoint], Probs | None] | None = None,
) -> tuple[dict[tuple[int, str], Probs], int]:
    """The probabilities of each checkpoint (by its number) and view for photos, and how many passes
    a network computed.

    What was kept from before beside the checkpoints, as `<prefix>-*.npz`, is read; photos are
    decoded once for all that is missing. `known` gives a checkpoint's plain view where that is
    known.
    """
    views, device = make_views(tta, force_views), choose_device(engine.device)
    photos = content_hash(root, ids)
    found: dict[tuple[int, str], Probs] = {}
    for c, checkpoint in enumerate(checkpoints):
        for view in views:
            key = pass_key(checkpoint, photos, view, engine, device)
            kept = (known(checkpoint) if known and view == "plain" else None) or read_kept(
                checkpoint, prefix, key, ids, engine
            )
            if kept is not None:
                found[c, view] = kept
    lacking = {
        view: [c for c in range(len(checkpoints)) if (c, view) not in found] for view in views
    }
    absent = sorted({c for cs in lacking.values() for c in cs})
    if not absent:
        return found, 0
    # Every missing view of every checkpoint that lacks one: a pass too many where only some lack a
    # view, and one decode.
    todo = {view: transform for view, transform in views.items() if lacking[view]}
    groups = _groups([checkpoints[c] for c in absent], engine, device)
    caches = PixelCaches(root, ids, prefix)
    with (
        Progress(
            f"{len(absent)} checkpoints x {len(todo)} views", len(ids) * len(groups)
        ) as progress,
        explain_out_of_memory_of_batch(engine, device),
        contextlib.closing(caches),
    ):
        for group in groups:
            own = [absent[g] for g in group]
            geometries = list(dict.fromkeys(checkpoints[c].card.geometry for c in own))
            cache = caches.of(checkpoints[own[0]]) if len(groups) > 1 else None
            loader = engine.loader(
                PhotoDataset(root, ids, geometries, cache=cache),
                device,
                max(engine.way(checkpoints[c].card, device).photos for c in own),
            )
            probs, seconds = predict(
                (load_inference_model(checkpoints[c], engine, device) for c in own),
                loader,
                todo,
                device,
                progress,
            )
            for n, c in enumerate(own):
                for v, view in enumerate(todo):
                    found[c, view] = Probs(
                        np.array(ids, dtype=np.str_),
                        probs[n, v],
                        pass_key(checkpoints[c], photos, view, engine, device),
                        float(seconds[v]) / len(own),
                    )
            # Group by group, so that what is stopped has not run for nothing.
            with stage("write"):
                keep_probs(((checkpoints[c], found[c, view]) for c in own for view in todo), prefix)
    return found, len(absent) * len(todo)


class Passes:
    """The passes of an ensemble over photos: each a checkpoint with one view, or a file; run when
    asked, for the photos asked.

    `owners` (passes,) are the members; `probs` (passes, N, 18) float32 holds what has been asked,
    nothing is computed twice; `known` (passes,) are those that need no network. `computed` counts
    the photos that went through one. Photos come from a pixel cache, which is made unless only
    `few` will be asked for; else they are decoded each time. What was computed is kept beside the
    checkpoints, `probs-*.npz` of all photos at once, and `part-*.npz` of some by `close`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: Path,
        ids: Sequence[str],
        tta: str,
        engine: Compute,
        force_views: bool = False,
        few: bool = False,
    ) -> None:
        self.views, self.device = make_views(tta, force_views), choose_device(engine.device)
        self.root, self.ids, self.engine = eval_images(data), list(ids), engine
        self.sources: list[tuple[int, Checkpoint | Probs, str]] = []
        for view in self.views:  # the plain view of all first: the others change less
            for m, member in enumerate(members):
                self.sources += [(m, checkpoint, view) for checkpoint in member.checkpoints]
                if member.test is not None and view == "plain":
                    self.sources.append((m, member.test, view))
        self.owners = np.array([m for m, _, _ in self.sources])
        self.probs = np.full((len(self.sources), len(self.ids), NUM_CLASSES), np.nan, np.float32)
        self.computed, self._photos = 0, content_hash(self.root, self.ids)
        self.known = np.zeros(len(self.sources), bool)
        self._caches, self._few = PixelCaches(self.root, self.ids, "probs"), few
        self._networks: dict[str, InferenceModel] = {}
        self._seconds, self._new = np.zeros(len(self.sources)), set[int]()
        for p, (_, source, _) in enumerate(self.sources):
            if isinstance(source, Probs):
                self.probs[p] = source.at(self.ids)
                self.known[p] = True
                continue
            kept = read_kept(source, "probs", self.pass_key(p), self.ids, engine)
            self.known[p] = kept is not None
            kept = kept or read_kept(
                source, "part", self.pass_key(p), self.ids, engine, whole=False
            )
            if kept is not None:
                self.probs[p, pd.Index(self.ids).get_indexer(pd.Index(kept.ids))] = kept.probs

    def weights(self, rule: Rule) -> np.ndarray:
        """The weight of each pass, (passes,), where a member's passes share its own."""
        return rule.weights[self.owners] / np.bincount(self.owners)[self.owners]

    def rows(self, p: int, rows: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The probabilities of pass `p` for the photos `rows`: (len(rows), 18)."""
        lacking = rows[np.isnan(self.probs[p, rows, 0])]
        if len(lacking):
            self._run([p], lacking, progress)
        if progress is not None:
            progress.advance(len(rows) - len(lacking))
        return self.probs[p, rows]

    def rows_of_all(self, rows: np.ndarray) -> np.ndarray:
        """The probabilities of all passes for the photos `rows`, which are decoded once: (passes,
        len(rows), 18).
        """
        unknown = np.isnan(self.probs[:, rows, 0])
        lacking, wanted = np.flatnonzero(unknown.any(axis=1)).tolist(), rows[unknown.any(axis=0)]
        checkpoints = {source.hash: source for p in lacking for source in [self._checkpoint(p)]}
        for group in (
            _groups(list(checkpoints.values()), self.engine, self.device) if lacking else ()
        ):
            hashes = {list(checkpoints)[g] for g in group}
            self._run([p for p in lacking if self._checkpoint(p).hash in hashes], wanted, None)
        return self.probs[:, rows]

    def close(self) -> None:
        """Keep what was computed, and let go of networks and photos."""
        for p in sorted(self._new):
            self.keep_probs(p)
        self._networks.clear()
        self._caches.close()

    def _checkpoint(self, p: int) -> Checkpoint:
        source = self.sources[p][1]
        assert isinstance(source, Checkpoint)
        return source

    def pass_key(self, p: int) -> str:
        return pass_key(
            self._checkpoint(p), self._photos, self.sources[p][2], self.engine, self.device
        )

    def keep_probs(self, p: int) -> None:
        """Keep what is known of a pass."""
        rows, checkpoint, key = (
            ~np.isnan(self.probs[p, :, 0]),
            self._checkpoint(p),
            self.pass_key(p),
        )
        table = Probs(
            np.array(self.ids, dtype=np.str_)[rows],
            self.probs[p, rows],
            key,
            float(self._seconds[p]),
        )
        with stage("write"):
            keep_probs([(checkpoint, table)], "probs" if rows.all() else "part")
        self._new.discard(p)

    def _network(self, checkpoint: Checkpoint) -> InferenceModel:
        """The network of a checkpoint, which stays for its other views as long as there
        is memory.
        """
        if checkpoint.hash not in self._networks:
            if (
                self._networks
                and 2 * weight_bytes(checkpoint, self.engine, self.device)
                > free_memory(self.device) // 2
            ):
                self._networks.clear()
            self._networks[checkpoint.hash] = load_inference_model(
                checkpoint, self.engine, self.device
            )
        return self._networks[checkpoint.hash]

    def _run(self, passes: Sequence[int], rows: np.ndarray, progress: Progress | None) -> None:
        """Run passes on photos `rows`: each checkpoint among them with each view among them."""
        checkpoints = list({c.hash: c for c in map(self._checkpoint, passes)}.values())
        hashes = [checkpoint.hash for checkpoint in checkpoints]
        views = {
            view: self.views[view] for view in dict.fromkeys(self.sources[p][2] for p in passes)
        }
        geometries = list(dict.fromkeys(c.card.geometry for c in checkpoints))
        cache = self._caches.of(checkpoints[0], not self._few) if len(geometries) == 1 else None
        photos = PhotoDataset(self.root, [self.ids[i] for i in rows], geometries, cache=cache)
        with explain_out_of_memory_of_batch(self.engine, self.device):
            networks = [self._network(checkpoint) for checkpoint in checkpoints]
            loader = self.engine.loader(
                photos, self.device, max(network.way.photos for network in networks), self._few
            )
            probs, seconds = predict(networks, loader, views, self.device, progress)
        for p in passes:
            c, v = hashes.index(self._checkpoint(p).hash), list(views).index(self.sources[p][2])
            self.probs[p, rows] = probs[c, v]
            self._seconds[p] += seconds[v] / len(checkpoints)
            self.computed += len(rows)
            self._new.add(p)
            if len(rows) == len(self.ids):
                self.keep_probs(p)
