"""Photos in batches: the data set and its loader processes."""

import atexit
import functools
import itertools
import math
import multiprocessing
import re
import signal
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from kit.data.cache import PixelCache
from kit.data.cached_photos import CachedPhotos
from kit.data.geometry import Geometry
from kit.data.photos import augmented, crop_and_resize
from kit.data.reading import Read, read_photo
from kit.system.console import warn
from kit.system.errors import KitError, loader_killed, problem
from kit.system.threads import cores

# Where /dev/shm is too small, a loader process drops its batch, and torch would wait for it for
# ever.
_WAIT_SECONDS = 120


class PhotoDataset(Dataset[tuple[int, list[np.ndarray]]]):
    """A torch data set: item i is i and one uint8 array (height, width, channels) a geometry.

    Each file is decoded once. With `augment`, an item may be asked for by (i, seed): the seed alone
    decides its randomness, so that neither workers nor interruptions change a run. With a `cache`
    (of the one geometry), photos come from it and nothing is decoded. `read` is the competition's
    function that reads a photo, if it has one.

    Where `augment` makes a transform that says whether it has `mirrored` a photo, the number of a
    mirrored one is N + i: photos N to 2N - 1 are the mirrored ones.
    """

    def __init__(
        self,
        root: Path,
        images: Sequence[str],
        geometries: Sequence[Geometry],
        augment: Callable[[], Any] | None = None,
        cache: PixelCache | None = None,
        read: Read | None = None,
    ) -> None:
        self.root, self.images, self.geometries = root, list(images), list(geometries)
        self.augment, self.cache, self.read = augment, cache, read
        self._rows = cache.rows(self.images) if cache is not None else None
        self._cached: CachedPhotos | None = None
        self._transform: Any = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int | tuple[int, int]) -> tuple[int, list[np.ndarray]]:
        i, seed = at if isinstance(at, tuple) else (at, None)
        if self._cached is None and self.cache is not None:
            try:
                self._cached = CachedPhotos(self.cache)
            except (KitError, OSError) as error:
                # Someone has deleted it, or another run made it anew for changed photos.
                warn(f"{error}; photos are decoded instead")
                self.cache = None
        if self._cached is None or self._rows is None:
            fitted = self._decoded(i)
        else:
            fitted = [self._cached.photo(self._rows[i], lambda: self._decoded(i)[0])]
        if self.augment is None or seed is None:
            return i, fitted
        fitted = self._augmented(i, seed, fitted)
        if getattr(self._transform, "mirrored", False):
            i += len(self)
        return i, fitted

    def _decoded(self, i: int) -> list[np.ndarray]:
        """The array of photo `i` in each geometry, from its file."""
        photo = read_photo(self.root, self.images[i], self.geometries, self.read)
        return [crop_and_resize(photo, geometry) for geometry in self.geometries]

    def _augmented(self, i: int, seed: int, photos: list[np.ndarray]) -> list[np.ndarray]:
        """The arrays of photo `i` after its augmentation by a seed."""
        if self._transform is None and self.augment is not None:
            self._transform = self.augment()
        self._transform.set_random_seed(seed)
        try:
            return [augmented(self._transform, image) for image in photos]
        except KitError as error:
            raise problem(self.root / self.images[i], str(error)) from error
        except Exception as error:  # whatever a user's function raises is theirs to mend
            raise problem(
                self.root / self.images[i],
                f"augment fails on it ({type(error).__name__}: {str(error)[:160]})",
                remedy="mend the recipe's augment",
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker makes its own.
        return self.__dict__ | {"_transform": None, "_cached": None}


def batches_of(n: int, size: int) -> list[list[int]]:
    """The indices 0..n-1 in order, in batches of `size`; the last one has the rest."""
    return [list(range(i, min(i + size, n))) for i in range(0, n, size)]


def default_workers(device_type: str) -> int:
    """The number of loader processes: as many as feed a GPU, none on a CPU.

    A CPU computes, and loader processes would only take its cores away.
    """
    return min(8, max(1, cores() - 1)) if device_type == "cuda" else 0


def make_loader(photos: PhotoDataset, batches: Any, workers: int, device: Any) -> Any:
    """A torch loader that gives indices (N,) and photos for each list of `batches`.

    The photos are a list: uint8 (N, height, width, channels) for each geometry.
    """
    if workers:
        atexit.unregister(end_workers)
        atexit.register(end_workers)
    # The batch sampler runs in this process, so that an epoch set on it holds for workers that
    # persist, too.
    return _Loader(
        photos,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=_start_worker,
        collate_fn=_collate,
        timeout=_WAIT_SECONDS if workers else 0,
    )


class _Loader(DataLoader[Any]):
    """torch's loader, which looks every second whether its processes live while it waits for them.

    torch hears of one that ends by a signal, and raises wherever the program then is: within a
    fork, say, where Python drops the error. After that it would look when the time is up.
    """

    def __iter__(self) -> Any:
        batches: Any = super().__iter__()
        if self.num_workers:
            # A strong reference to itself would keep it, and its processes, after its last use.
            wait = functools.partial(type(batches)._try_get_data, weakref.proxy(batches))
            batches._try_get_data = functools.partial(_in_seconds, wait)
        return batches


def _in_seconds(wait: Callable[[float], tuple[bool, Any]], timeout: float) -> tuple[bool, Any]:
    """What comes within a time, and whether anything came, by waits of at most a second."""
    for _ in range(math.ceil(timeout)):
        came, batch = wait(min(1, timeout))
        if came:
            return came, batch
    return False, None


def iterate(loader: Any) -> Iterator[tuple[Any, Any]]:
    """One pass over a loader; a worker's `KitError` is raised as its one line.

    torch alone would put its traceback into the message.
    """
    try:
        yield from loader
    except KitError as error:
        raise KitError(re.split(r"KitError: ", str(error))[-1]) from None
    except RuntimeError as error:
        if "DataLoader timed out" in str(error):
            raise KitError(
                f"no photos came from the loader processes for {_WAIT_SECONDS} seconds: the drive "
                "hangs, or /dev/shm is too small for them; take --workers 0, or give it more "
                "(docker run --shm-size=8g)"
            ) from error
        if "DataLoader worker" not in str(error):
            raise
        raise loader_killed() from error


class Rounds:
    """A loader that calls `before` in each of so many `rounds`, with or without a batch.

    The processes of a group take as many rounds, though not as many batches.
    """

    def __init__(self, loader: Any, rounds: int, before: Callable[[], None]) -> None:
        self.loader, self.rounds, self.before = loader, rounds, before
        self.dataset = loader.dataset

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        for _ in range(self.rounds):
            self.before()
            yield from itertools.islice(batches, 1)


def end_workers() -> None:
    """End this process's loader processes at once.

    They ignore SIGTERM, and torch waits ten seconds for each one that reads.
    """
    # torch would raise for each one that is killed.
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()
            process.join()
    signal.signal(signal.SIGCHLD, handler)


def _start_worker(_: int) -> None:
    # A terminal's Ctrl+C and a scheduler's SIGTERM reach the workers, too, while the process they
    # load for may first have to finish a step and save; it ends them itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        # A stop may come while the other process takes a batch over; that this one then finds it
        # gone is no news.
        if not issubclass(kind, (EOFError, OSError)):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate(items: Sequence[tuple[int, list[np.ndarray]]]) -> tuple[Any, list[Any]]:
    stacked = [
        torch.from_numpy(np.stack([fitted[g] for _, fitted in items]))
        for g in range(len(items[0][1]))
    ]
    return torch.tensor([i for i, _ in items]), stacked
