"""Photos as arrays: decoding, cropping and resizing, the data set and its loaders, and the pixel cache.

The cache is one memory-mapped uint8 file per data and geometry: photos decoded, cropped and resized once, for all folds,
recipes, workers and processes. Augmentation starts from it.
"""

import atexit
import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kit.console import Progress, say, warn
from kit.errors import KitError, problem
from kit.tables import locked, text_hash, writing

Result = TypeVar("Result")

# A part of every key of kept probabilities and of the cache: raise it when `decode`, `fit` or a view changes what a network
# sees.
PIXELS_VERSION = 2
# What PIL may open: its other formats are none of photos, and some, such as EPS, start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
# The size of the competition's photos, (height, width): the frame in which a recipe's crop is given.
FRAME = (512, 384)
# Where /dev/shm is too small, a loader process drops its batch, and torch would wait for it for ever.
_WAIT_SECONDS = 120
# What the disk keeps free beside the cache: room for checkpoints.
_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Geometry:
    """What a network sees of a photo: the centre `crop` (height, width) in the frame of 512 x 384, then `size`.

    A photo of another size is cropped in proportion, so that the field of view is the same.
    """

    crop: tuple[int, int]
    size: tuple[int, int]


def read_bytes(path: Path) -> bytes:
    """A photo's file; raises `KitError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror or error}", remedy="unpack the data again") from error


def decode(path: Path, least: int | None = None) -> tuple[np.ndarray, bytes]:
    """A photo as RGB uint8 (height, width, 3), upright, and the file's bytes; grey and CMYK photos are converted.

    What is transparent is laid on white, as a page shows it: the colours beneath may be anything.
    PIL and not OpenCV: OpenCV returns a truncated JPEG half grey with no error. With `least`, a JPEG may come
    at a fraction of its size, no side under `least` pixels, in a third of the time.
    """
    import io

    from PIL import Image, ImageOps, UnidentifiedImageError
    content = read_bytes(path)
    if not content:
        raise problem(path, "is an empty file", remedy="unpack the data again")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as file:
            if least is not None:
                file.draft(None, (least, least))
            image = ImageOps.exif_transpose(file)
            if image.mode in ("I", "F"):
                raise ValueError(f"pixels of mode {image.mode} have no known white")
            if image.mode.startswith("I;16"):  # PIL itself would clip 16 bits at 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB")), content
    except UnidentifiedImageError as error:
        raise problem(path, f"is no image ({', '.join(FORMATS)})", remedy="unpack the data again") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise problem(path, f"is a damaged image ({error})", remedy="unpack the data again") from error


def for_each_photo(root: Path, images: Sequence[str], read: Callable[[Path], Result], what: str,
                   remedy: str = "unpack the data again") -> list[Result]:
    """What `read` makes of each photo below `root`, in order, in threads; `what` is said of the progress.

    Raises `KitError` for photos that it raises one for, once all have been read: with their number and the first of them.
    """
    def one(image: str) -> Result | KitError:
        try:
            return read(root / image)
        except KitError as error:
            return error

    found: list[Result] = []
    bad = []
    with Progress(what, len(images)) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(one, images):
            progress.advance()
            if isinstance(result, KitError):
                bad.append(str(result).removeprefix(f"{root}{os.sep}").partition(";")[0])
            else:
                found.append(result)
    if bad:
        raise problem(root, "photos that cannot be used", bad, remedy)
    return found


def size_of(path: Path) -> tuple[int, int]:
    """The width and height of a photo as its file's header says it, upright, without decoding it; `path` can be decoded."""
    from PIL import Image
    with Image.open(path) as file:
        turned = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (file.height, file.width) if turned else file.size


def fit(photo: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Crop and resize an RGB uint8 photo (H, W, 3) to `geometry.size`: uint8 (height, width, 3)."""
    import cv2
    height, width = photo.shape[:2]
    h = max(1, round(geometry.crop[0] * height / FRAME[0]))
    w = max(1, round(geometry.crop[1] * width / FRAME[1]))
    top, left = (height - h) // 2, (width - w) // 2
    crop = photo[top:top + h, left:left + w]
    shrink = geometry.size[0] <= h and geometry.size[1] <= w
    return cv2.resize(crop, geometry.size[::-1], interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def augmented(transform: Any, photo: np.ndarray) -> np.ndarray:
    """A photo (height, width, 3) uint8 after an albumentations transform, which must give the same size and type."""
    changed = transform(image=photo.copy())["image"]  # a copy: a transform may write into its input, which may be kept
    if not isinstance(changed, np.ndarray) or changed.dtype != np.uint8 or changed.shape != photo.shape:
        raise KitError("augment must give a uint8 photo of the size it gets: cropping, resizing, normalising and making tensors "
                       "are the kit's, so that training and inference cannot differ")
    return changed  # type: ignore[no-any-return]


# ---------------------------------------------------------------- the cache

@dataclass(frozen=True)
class Cache:
    """A file of photos after `fit` to `size`: uint8 (photos, height, width, 3) in .npy format, row r the photo `images[r]`."""

    path: Path
    images: tuple[str, ...]
    size: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether the file is there with all its rows."""
        try:
            return self.path.exists() and self.open() is not None
        except (KitError, OSError):
            return False

    def rows(self, images: Sequence[str]) -> np.ndarray:
        """The row of each of `images`, which must be in the cache."""
        return pd.Index(self.images).get_indexer(pd.Index(images))

    def open(self) -> np.ndarray:
        """The rows, mapped into memory and read-only; processes that open it share its pages."""
        try:
            array: np.ndarray = np.load(self.path, mmap_mode="r")
            if array.shape != (len(self.images), *self.size, 3) or array.dtype != np.uint8:
                raise ValueError(f"it holds {array.dtype} {array.shape}")
        except Exception as error:  # numpy has its own for each kind of damage
            raise problem(self.path, f"the pixel cache cannot be read ({type(error).__name__})") from error
        return array


def cached(folder: Path, root: Path, images: Sequence[str], geometry: Geometry, build: bool = True) -> Cache | None:
    """The pixel cache of photos under a geometry, in `folder`; it is built where it is not there.

    Its name holds a hash over each photo's name, size and times, so that a changed photo makes another cache, and never a
    stale one. Caches of the same geometry and other photos are removed. None if the disk has no room, which is said, or if
    it is not there and `build` is false. Raises `KitError` for a photo that cannot be read, or that changes meanwhile.
    """
    height, width = geometry.size
    stamp = _stamp(root, images)
    prefix = f"{geometry.crop[0]}x{geometry.crop[1]}-{height}x{width}-"
    path = folder / f"{prefix}{stamp[:16]}.npy"
    cache = Cache(path, tuple(images), geometry.size)
    if cache.whole:
        return cache
    if not build:
        return None
    need = len(images) * height * width * 3
    try:
        with locked(folder, "another process is building the pixel cache; waiting for it"):
            if cache.whole:
                return cache
            if path.exists():
                warn(f"{path} is damaged; making it again")
            for stale in folder.glob(f"{prefix}*.npy"):
                stale.unlink()  # a process that has it open keeps its pages
            if shutil.disk_usage(folder).free < need + _FREE_BYTES:
                warn(f"{folder}: too little free disk for the pixel cache ({need / 1e9:.1f} GB, and 2 GB for checkpoints): "
                     "photos are decoded in every epoch")
                return None
            _build(path, root, images, geometry)
            if _stamp(root, images) != stamp:
                path.unlink()
                raise problem(root, "photos were changed while they were read", remedy="start again when nothing writes there")
    except OSError as error:
        warn(f"{path}: the pixel cache cannot be written ({error.strerror or error}): photos are decoded in every epoch")
        return None
    say(f"{path}: pixel cache of {len(images):,} photos, {need / 1e9:.2f} GB, shared by all folds and recipes of this geometry")
    return cache


def _stamp(root: Path, images: Sequence[str]) -> str:
    """A hash over photos' names, sizes and times: the time of change, too, which a copy back with old dates cannot keep."""
    def line(image: str) -> str:
        try:
            stat = os.stat(root / image)
        except OSError as error:
            raise problem(root / image, f"cannot be read: {error.strerror or error}", remedy="unpack the data again") from error
        return f"{image}\t{stat.st_size}\t{stat.st_mtime_ns}\t{stat.st_ctime_ns}\n"
    return text_hash(f"{PIXELS_VERSION}\n" + "".join(map(line, images)))


def _build(path: Path, root: Path, images: Sequence[str], geometry: Geometry) -> None:
    """Write the cache file; an `OSError` is one of writing."""
    def load(image: str) -> bytes:
        return fit(decode(root / image)[0], geometry).tobytes()

    unreadable = False
    try:
        with writing(path, force=True) as temporary, ThreadPoolExecutor(cores()) as pool, \
                Progress("pixel cache", len(images)) as progress, open(temporary, "wb") as file:
            # Plain writes and not a map: on a full disk, writing to mapped memory would kill the process.
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False,
                                                        "shape": (len(images), *geometry.size, 3)})
            for start in range(0, len(images), 256):  # not all at once: results wait in memory
                try:
                    pixels = list(pool.map(load, images[start:start + 256]))
                except KitError:
                    unreadable = True
                    raise
                file.write(b"".join(pixels))
                progress.advance(len(pixels))
    except KitError as error:
        if not unreadable and isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


# ---------------------------------------------------------------- the data set

class Photos:
    """A torch data set: item i is (i, one uint8 array (height, width, 3) for each geometry), the file decoded once.

    With `augment`, an item may be asked for by (i, seed): the seed alone decides its randomness, so that neither workers
    nor interruptions change a run. With a `cache` (of the one geometry), photos come from it and nothing is decoded.
    """

    def __init__(self, root: Path, images: Sequence[str], geometries: Sequence[Geometry],
                 augment: Callable[[], Any] | None = None, cache: Cache | None = None) -> None:
        self.root, self.images, self.geometries, self.augment, self.cache = root, list(images), list(geometries), augment, cache
        self._rows = cache.rows(self.images) if cache is not None else None
        self._pixels: np.ndarray | None = None
        self._transform: Any = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int | tuple[int, int]) -> tuple[int, list[np.ndarray]]:
        i, seed = at if isinstance(at, tuple) else (at, None)
        if self._pixels is None and self.cache is not None:
            try:
                self._pixels = self.cache.open()
            except KitError as error:  # someone has deleted it, or another run made it anew for changed photos
                warn(f"{error}; photos are decoded instead")
                self.cache = None
        if self._pixels is None or self._rows is None:
            photo, _ = decode(self.root / self.images[i])
            fitted = [fit(photo, geometry) for geometry in self.geometries]
        else:
            fitted = [self._pixels[self._rows[i]]]
        if self.augment is not None and seed is not None:
            if self._transform is None:
                self._transform = self.augment()
            self._transform.set_random_seed(seed)
            try:
                fitted = [augmented(self._transform, image) for image in fitted]
            except KitError as error:
                raise problem(self.root / self.images[i], str(error)) from error
            except Exception as error:  # whatever a person's function raises is theirs to mend
                raise problem(self.root / self.images[i], f"augment fails on it ({type(error).__name__}: {str(error)[:160]})",
                              remedy="mend the recipe's augment") from error
        return i, fitted

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_transform": None, "_pixels": None}  # a spawned worker makes its own


def batches_of(n: int, size: int) -> list[list[int]]:
    """The indices 0..n-1 in order, in batches of `size` with the rest in the last: every photo once."""
    return [list(range(i, min(i + size, n))) for i in range(0, n, size)]


def default_workers(device_type: str) -> int:
    """Loader processes: as many as feed a GPU; none where the CPU computes, whose cores they would only take away."""
    return min(8, max(1, cores() - 1)) if device_type == "cuda" else 0


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_loader(photos: Photos, batches: Any, workers: int, device: Any) -> Any:
    """A torch loader that gives ((N,) indices, [one uint8 (N, height, width, 3) a geometry]) for each list of `batches`."""
    from torch.utils.data import DataLoader
    if workers:
        atexit.unregister(_end_workers)
        atexit.register(_end_workers)
    # The batch sampler runs in this process, so that an epoch set on it holds for workers that persist, too.
    return DataLoader(photos, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda",  # type: ignore
                      persistent_workers=workers > 0, worker_init_fn=_start_worker, collate_fn=_collate,
                      timeout=_WAIT_SECONDS if workers else 0)


def one_pass(loader: Any) -> Iterator[tuple[Any, Any]]:
    """One pass over a loader; a worker's `KitError` comes as its own one line, without torch's traceback in it."""
    try:
        yield from loader
    except KitError as error:
        raise KitError(re.split(r"KitError: ", str(error))[-1]) from None
    except RuntimeError as error:
        if "DataLoader timed out" in str(error):
            raise KitError(f"no photos came from the loader processes for {_WAIT_SECONDS} seconds: the drive hangs, or /dev/shm "
                           "is too small for them; take --workers 0, or give it more (docker run --shm-size=8g)") from error
        if "DataLoader worker" not in str(error):
            raise
        raise loader_killed() from error


def loader_killed() -> KitError:
    """The error of a loader process that has gone: torch tells of it wherever the program just is."""
    return KitError("a loader process was killed, most likely for memory; take fewer --workers; the same command goes on from "
                    "the last save")


def _end_workers() -> None:
    """End loader processes that are left when this one ends: multiprocessing would wait for them, and they take no SIGTERM."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would raise for each one that is killed
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def _start_worker(_: int) -> None:
    import cv2
    import torch
    # A terminal's Ctrl+C and a scheduler's SIGTERM reach the workers, too, while the process they load for may first have to
    # finish a step and save; it ends them itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        # A stop may come while the other process takes a batch over; that this one then finds it gone is no news.
        if not issubclass(kind, (EOFError, OSError)):
            sys.__excepthook__(kind, error, trace)
    sys.excepthook = hook
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate(items: Sequence[tuple[int, list[np.ndarray]]]) -> tuple[Any, list[Any]]:
    import torch
    stacked = [torch.from_numpy(np.stack([fitted[g] for _, fitted in items])) for g in range(len(items[0][1]))]
    return torch.tensor([i for i, _ in items]), stacked
