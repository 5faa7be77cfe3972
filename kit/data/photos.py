"""Photos as arrays: decoding, cropping and resizing, augmenting."""

import contextlib
import io
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from kit.data.geometry import Geometry
from kit.data.large_photos import in_turn
from kit.system.console import Progress
from kit.system.errors import KitError, problem
from kit.system.inputs import open_input, read_input

Result = TypeVar("Result")


# The formats that PIL may open: others are not for photos, and some, such as EPS, start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
_AGAIN: Final = "unpack the data again"
_LARGEST: Final = 2**30  # bytes of a photo's file
_PIXELS_A_BYTE: Final = 2**9  # the most: a JPEG has a bit or more for each block of 8 x 8
_ORIENTATION: Final = 0x0112  # EXIF's tag, and what turns a photo of each value upright
_WIDTH, _HEIGHT = 256, 257  # TIFF's tags
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# PIL tells of odd metadata without the file's name, and goes on.
warnings.filterwarnings("ignore", module=r"PIL\.")


class DamagedPhotos(KitError):
    """Photos that cannot be read; `faults` are the name and the fault of each, as a line.

    `remedy` is what to do, unless the first of them needs something else than another copy.
    """

    def __init__(self, root: Path, errors: Sequence[KitError], remedy: str = _AGAIN) -> None:
        parts = [str(e).removeprefix(f"{root}{os.sep}").partition("; ") for e in errors]
        self.faults = [fault for fault, _, _ in parts]
        remedy = remedy if parts[0][2] in ("", _AGAIN) else parts[0][2]
        super().__init__(str(problem(root, "photos that cannot be used", self.faults, remedy)))


def read_bytes(path: Path) -> bytes:
    """The bytes of a photo's file; raises `KitError` if it cannot be read."""
    large = "give the competition a function read(path)"
    return read_input(path, _LARGEST, large, _AGAIN)


def decode(
    path: Path, least: int | None = None, above: int = 0, grey: bool = False
) -> tuple[np.ndarray, bytes]:
    """A photo as RGB uint8 (height, width, 3), upright, and the file's bytes.

    With `grey` it is (height, width). Grey, CMYK and palette photos are converted; of 16 bits the
    upper 8 are taken, and of several pages the first. What is transparent is laid on white, as a
    page shows it: the colours beneath may be anything. PIL and not OpenCV: OpenCV returns a
    truncated JPEG half grey with no error. With `least`, a JPEG whose longer side has more than
    `above` pixels may come at a fraction of its size, no side under `least` pixels, in a third of
    the time. Raises `KitError` for a photo that is damaged, or too large.
    """
    content = read_bytes(path)
    if not content:
        raise problem(path, "is an empty file", remedy=_AGAIN)
    with _errors_of(path), Image.open(io.BytesIO(content), formats=FORMATS) as file:
        if file.format == "JPEG" and math.prod(file.size) > _PIXELS_A_BYTE * len(content):
            what = f"says it has {file.width:,} x {file.height:,} pixels"
            what += f", which {len(content):,} bytes cannot hold"
            raise problem(path, what, remedy=_AGAIN)
        if least is not None and max(file.size) > above:
            file.draft(None, (least, least))
        with in_turn(path, file.size):
            return _pixels(path, file, "L" if grey else "RGB"), content


def _pixels(path: Path, file: Any, mode: str) -> np.ndarray:
    """The pixels of an open photo, upright, in the mode `L` or `RGB`."""
    file.load()  # the EXIF of a PNG may follow its pixels
    turn = _TURNS.get(file.getexif().get(_ORIENTATION, 1))
    image = file if turn is None else file.transpose(turn)
    if image.mode in ("I", "F"):
        what = f"has pixels of mode {image.mode}, which have no known white"
        raise problem(path, what, remedy="give the competition a function read(path)")
    if image.mode.startswith("I;16"):  # PIL itself would clip 16 bits at 255
        values, clear = np.asarray(image), image.info.get("transparency")
        image = Image.fromarray(np.where(values == clear, 255, values >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image if image.mode == mode else image.convert(mode))


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raise `KitError` for what PIL raises in the block, of a photo that it cannot read."""
    try:
        yield
    except KitError:
        raise
    except UnidentifiedImageError as error:
        raise problem(path, f"is no image ({', '.join(FORMATS)})", remedy=_AGAIN) from error
    except MemoryError as error:
        remedy = "take fewer --workers, or make it smaller"
        raise problem(path, "needs more memory than there is", remedy=remedy) from error
    except Exception as error:  # PIL raises anything for damaged metadata
        raise problem(path, f"is a damaged image ({error})", remedy=_AGAIN) from error


def for_each_photo(
    root: Path,
    images: Sequence[str],
    read: Callable[[Path], Result],
    what: str,
    remedy: str = _AGAIN,
) -> list[Result]:
    """The results of `read` for each photo below `root`, in order; read in threads.

    `what` names the work in the progress. Raises `DamagedPhotos` once all have been read, where
    `read` raises `KitError` for some.
    """

    def one(image: str) -> Result | KitError:
        try:
            return read(root / image)
        except KitError as error:
            return error

    results: list[Result] = []
    bad = []
    with Progress(what, len(images)) as progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(one, images):
            progress.advance()
            if isinstance(result, KitError):
                bad.append(result)
            else:
                results.append(result)
    if bad:
        raise DamagedPhotos(root, bad, remedy)
    return results


def size_of(path: Path) -> tuple[int, int]:
    """The width and height of a photo, upright, by its file's header; only a PNG is decoded."""
    with _errors_of(path), open_input(path) as content:
        file = Image.open(content, formats=FORMATS)
        with in_turn(path, file.size) if file.format == "PNG" else contextlib.nullcontext():
            turned = file.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            size = file.size
            if file.format == "TIFF":  # newer PIL has turned this size already
                size = (file.tag_v2[_WIDTH], file.tag_v2[_HEIGHT])  # type: ignore[attr-defined]
            return (size[1], size[0]) if turned else size


def crop_and_resize(photo: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Crop and resize a photo uint8 (H, W, n) to `geometry.size`: uint8 (height, width, n)."""
    height, width = photo.shape[:2]
    h = max(1, round(geometry.crop[0] * height / geometry.frame[0]))
    w = max(1, round(geometry.crop[1] * width / geometry.frame[1]))
    top, left = (height - h) // 2, (width - w) // 2
    crop = photo[top : top + h, left : left + w]
    shrink = geometry.size[0] <= h and geometry.size[1] <= w
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    if photo.shape[2] == 3:
        return cv2.resize(crop, geometry.size[::-1], interpolation=how)
    # OpenCV drops the axis of one channel, and takes four at most.
    parts = [crop[..., c : c + 4] for c in range(0, photo.shape[2], 4)]
    resized = [cv2.resize(part, geometry.size[::-1], interpolation=how) for part in parts]
    return np.concatenate([part.reshape(*geometry.size, -1) for part in resized], axis=2)


def augmented(transform: Any, photo: np.ndarray) -> np.ndarray:
    """A photo (height, width, channels) uint8 after an albumentations transform.

    Raises `KitError` for a transform that gives another size or type.
    """
    # A copy, because a transform may write into its input, which may be kept.
    changed = transform(image=photo.copy())["image"]
    if (
        not isinstance(changed, np.ndarray)
        or changed.dtype != np.uint8
        or changed.shape != photo.shape
    ):
        raise KitError(
            "augment must give a uint8 photo of the size it gets; leave cropping, resizing, "
            "normalising and making tensors to the kit, so that training and inference agree"
        )
    return changed  # type: ignore[no-any-return]
