"""The networks of checkpoints, run on photos; they stay in memory while there is room."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

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
from kit.inference.pass_cache import pass_key
from kit.inference.photo_set import PhotoSet
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import View
from kit.system.console import Progress
from kit.system.device import choose_device, free_memory

_FEW: Final = 64  # photos for which no loader process is started


def checkpoint_of(one: Pass) -> Checkpoint:
    """The checkpoint of a pass that needs a network."""
    assert isinstance(one.source, Checkpoint)
    return one.source


def checkpoints_of(passes: Sequence[Pass]) -> list[Checkpoint]:
    """The checkpoints of passes, each once, in order."""
    sources = [one.source for one in passes if isinstance(one.source, Checkpoint)]
    return list({checkpoint.hash: checkpoint for checkpoint in sources}.values())


class Networks:
    """The networks of checkpoints, each with several views, on one device.

    `computed` counts the photos that went through a network, once a pass.
    """

    def __init__(self, views: Mapping[str, View], compute: Compute) -> None:
        self.views, self.compute, self.device = views, compute, choose_device(compute.device)
        self.computed = 0
        self._loaded: dict[str, InferenceModel] = {}

    def key(self, one: Pass, photos: str = "") -> str:
        """The key of a pass's probabilities, of the photos with a hash."""
        checkpoint = checkpoint_of(one)
        mode = self.compute.mode(checkpoint.architecture, self.device)
        return pass_key(checkpoint, mode, one.view, photos)

    def groups(self, passes: Sequence[int], of: Sequence[Pass]) -> list[list[int]]:
        """The numbers of passes, in groups whose networks are in memory together.

        If there are several, no network is loaded, and each group's must go before the next one's.
        """
        checkpoints = checkpoints_of([of[p] for p in passes])
        new = [c for c in checkpoints if c.hash not in self._loaded]
        if not new or len(memory_groups(new, self.compute, self.device)) == 1:
            return [list(passes)]
        self.clear()
        groups = []
        for group in memory_groups(checkpoints, self.compute, self.device):
            hashes = {checkpoint.hash for checkpoint in group}
            groups.append([p for p in passes if checkpoint_of(of[p]).hash in hashes])
        return groups

    def run(
        self,
        passes: Sequence[Pass],
        photos: PhotoSet,
        cache: PixelCache | None = None,
        progress: Progress | None = None,
    ) -> tuple[list[np.ndarray], list[float]]:
        """The probabilities (N, C) of each pass, and its seconds.

        Photos are decoded once for all passes, or come from a cache of the passes' one geometry.
        """
        checkpoints, names = checkpoints_of(passes), {one.view for one in passes}
        views = {name: view for name, view in self.views.items() if name in names}
        geometries = list(dict.fromkeys(c.geometry for c in checkpoints))
        dataset = PhotoDataset(photos.root, photos.files, geometries, cache=cache, read=photos.read)
        modes = [self.compute.mode(c.architecture, self.device) for c in checkpoints]
        at_once = max(mode.photos for mode in modes)
        with explain_out_of_memory(self.compute, self.device):
            loader = self.compute.loader(dataset, self.device, at_once, len(dataset) <= _FEW)
            networks = map(self._network, checkpoints)
            probs, seconds = predict(networks, loader, views, self.device, progress)
        self.computed += len(dataset) * len(checkpoints) * len(views)
        number, hashes = list(views), [checkpoint.hash for checkpoint in checkpoints]
        at = [(hashes.index(checkpoint_of(p).hash), number.index(p.view)) for p in passes]
        share = [float(seconds[v]) / len(checkpoints) for _, v in at]
        return [probs[c, v] for c, v in at], share

    def clear(self) -> None:
        """Let go of all networks."""
        self._loaded.clear()

    def _network(self, checkpoint: Checkpoint) -> InferenceModel:
        """The network of a checkpoint, which stays while there is memory."""
        if checkpoint.hash not in self._loaded:
            need = weight_bytes(checkpoint, self.compute, self.device)
            if self._loaded and 2 * need > free_memory(self.device) // 2:
                self.clear()
            network = load_inference_model(checkpoint, self.compute, self.device)
            self._loaded[checkpoint.hash] = network
        return self._loaded[checkpoint.hash]
