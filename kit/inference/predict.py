"""Networks x views x photos -> probabilities; each photo is decoded once for all of them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from kit.data.loader import PhotoDataset, iterate
from kit.inference.autotune import prepare
from kit.inference.runtime import InferenceModel
from kit.inference.views import View
from kit.models.heads import probabilities
from kit.models.network import Network
from kit.system.console import Progress, warn
from kit.system.device import to_device, tuned
from kit.system.errors import KitError, problem
from kit.system.profiler import stage, staged, step


def predict(
    networks: Iterable[Network | InferenceModel],
    loader: Any,
    views: Mapping[str, View],
    device: torch.device,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (networks, V, N, C) float32 per network and view, and seconds (V,).

    They are each a softmax, or of several labels sigmoids; those of a view that mirrors are of the
    photos before it. `loader` gives every one of its photos once, without augmentation. The
    networks must be on `device`, in evaluation mode, and each of one of the photos' geometries;
    those that are not `InferenceModel` run by `validation_mode`. A generator of networks frees the
    originals. Photos for which 16 bits give a value that is not finite are run again in fp32, with
    a warning. Raises `KitError` if fp32 is not finite either, or if a network does not take a
    view's size.
    """
    photos: PhotoDataset = loader.dataset
    models = [prepare(network, device) for network in networks]
    check_views(models, views, device)
    watch = _Watch(len(views), device)
    on_device = _run(models, loader, views, watch, progress)
    with stage("copy"):
        probs = on_device.cpu().numpy()
    for n, model in enumerate(models):
        _recompute_overflow(model, photos, views, device, probs[n])
    wrong = np.flatnonzero(~np.isfinite(probs).all(axis=(0, 1, 3)))
    if len(wrong):
        raise problem(
            photos.root,
            "photos for which a network's output is not finite",
            [photos.images[i] for i in wrong],
            "the network has diverged: lower lr or set clip in its recipe, and train it anew with "
            "--force",
        )
    return probs, watch.seconds()


def _run(
    models: Sequence[InferenceModel],
    loader: Any,
    views: Mapping[str, View],
    watch: "_Watch",
    progress: Progress | None,
) -> torch.Tensor:
    """The probabilities (networks, V, N, C) of a loader's photos, on the device.

    They stay on the device to the end: fetching each batch would make a GPU wait for the next one.
    """
    photos, device = loader.dataset, watch.device
    # Networks that see the same photos, so many at once; a view is made once for all of them.
    groups: dict[tuple[int, int], list[int]] = {}
    for n, model in enumerate(models):
        key = photos.geometries.index(model.geometry), model.mode.photos
        groups.setdefault(key, []).append(n)
    shape = len(models), len(views), len(photos), models[0].classes
    probs = torch.empty(shape, device=device)
    with torch.inference_mode():
        for at, batch in staged("data", iterate(loader)):
            for (g, size), numbers in groups.items():
                for rows, part in zip(at.split(size), batch[g].split(size)):
                    with stage("copy"):
                        plain, rows = to_device(part, device), rows.to(device, non_blocking=True)
                    with stage("forward"), tuned(len(part) == size):
                        for v, view in enumerate(views.values()):
                            started = watch.now()
                            seen = view(plain)
                            for n in numbers:
                                probs[n, v, rows] = view.classes(models[n](seen))
                            watch.add(v, started)
                    step()
            if progress is not None:
                progress.advance(len(at))
    return probs


def check_views(
    networks: Sequence[InferenceModel], views: Mapping[str, View], device: torch.device
) -> None:
    """Raise `KitError` for a view whose size a network does not take.

    Some architectures are built for one size.
    """
    with torch.inference_mode():
        for network in networks:
            channels = network.geometry.channels
            plain = torch.zeros(1, channels, *network.geometry.size, device=device)
            for name, view in views.items():
                seen = view(plain)
                if seen.shape == plain.shape:
                    continue
                try:
                    network(seen)
                except Exception as error:  # each architecture says it in its own way
                    height, width = network.geometry.size
                    raise KitError(
                        f"view {name}: a network of {height} x {width} takes no photos of "
                        f"{seen.shape[2]} x {seen.shape[3]} ({str(error)[:100]}); leave it out of "
                        "--tta"
                    ) from error


class _Watch:
    """The seconds that each of several parts of the work takes in all.

    On a GPU they are by the GPU's own clock, so that nothing waits for it.
    """

    def __init__(self, parts: int, device: torch.device) -> None:
        self.total, self.device, self.gpu = np.zeros(parts), device, device.type == "cuda"
        self._events: list[tuple[int, Any, Any]] = []

    def now(self) -> Any:
        """The present moment, as `add` takes it."""
        if not self.gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def add(self, part: int, started: Any) -> None:
        """Count the time since a moment to a part."""
        if self.gpu:
            self._events.append((part, started, self.now()))
        else:
            self.total[part] += time.perf_counter() - started

    def seconds(self) -> np.ndarray:
        """The seconds of each part."""
        for part, started, ended in self._events:
            ended.synchronize()
            self.total[part] += started.elapsed_time(ended) / 1000
        return self.total


def _recompute_overflow(
    network: InferenceModel,
    photos: PhotoDataset,
    views: Mapping[str, View],
    device: torch.device,
    probs: np.ndarray,
) -> None:
    """Replace values of `probs` (V, N, C) that are not finite in 16 bits by those of fp32."""
    rows = np.flatnonzero(~np.isfinite(probs).all(axis=(0, 2)))
    if network.source is None or not len(rows):
        return
    warn(
        f"{len(rows):,} of {len(photos):,} photos are beyond the range of {network.mode.name} and "
        f"are run again in fp32, the first: {photos.images[rows[0]]}"
    )
    g = photos.geometries.index(network.geometry)
    at_once = max(1, network.mode.photos // 2)  # a photo takes twice the memory
    for at in np.split(rows, range(at_once, len(rows), at_once)):
        plain = to_device(torch.from_numpy(np.stack([photos[int(i)][1][g] for i in at])), device)
        with torch.inference_mode():
            for v, view in enumerate(views.values()):
                seen = probabilities(network.source(view(plain)), network.architecture)
                probs[v, at] = view.classes(seen).cpu().numpy()
        if not np.isfinite(probs[:, at]).all():
            return  # the network has diverged: the other photos would not be finite either
