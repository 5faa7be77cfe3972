"""Photos as arrays: decoding, cropping and resizing, augmenting."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kit.data.geometry import Geometry
from kit.system.console import Progress
from kit.system.errors import KitError, problem

Result = TypeVar("Result")
# The formats that PIL may open: others are not for photos, and some, such as EPS, start a program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")


def read_bytes(path: Path) -> bytes:
    """The bytes of a photo's file; raises `KitError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise problem(
            path, f"cannot be read: {error.strerror or error}", remedy="unpack the data again"
        ) from error


def decode(
    path: Path, least: int | None = None, above: int = 0, grey: bool = False
) -> tuple[np.ndarray, bytes]:
    """A photo as RGB uint8 (height, width, 3), upright, and the file's bytes.

    With `grey` it is (height, width). Grey, CMYK and palette photos are converted; of 16 bits the
    upper 8 are taken, and of several pages the first. What is transparent is laid on white, as a
    page shows it: the colours beneath may be anything. PIL and not OpenCV: OpenCV returns a
    truncated JPEG half grey with no error. With `least`, a JPEG whose longer side has more than
    `above` pixels may come at a fraction of its size, no side under `least` pixels, in a third of
    the time.
    """
    content = read_bytes(path)
    if not content:
        raise problem(path, "is an empty file", remedy="unpack the data again")
    with _errors_of(path), Image.open(io.BytesIO(content), formats=FORMATS) as file:
        if least is not None and max(file.size) > above:
            file.draft(None, (least, least))
        image = ImageOps.exif_transpose(file)
        if image.mode in ("I", "F"):
            what = f"has pixels of mode {image.mode}, which have no known white"
            raise problem(path, what, remedy="give the competition a function read(path)")
        if image.mode.startswith("I;16"):  # PIL itself would clip 16 bits at 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("L" if grey else "RGB")), content


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raise `KitError` for what PIL raises in the block, of a photo that it cannot read."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise problem(
            path, f"is no image ({', '.join(FORMATS)})", remedy="unpack the data again"
        ) from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise problem(
            path, f"is a damaged image ({error})", remedy="unpack the data again"
        ) from error


def for_each_photo(
    root: Path,
    images: Sequence[str],
    read: Callable[[Path], Result],
    what: str,
    remedy: str = "unpack the data again",
) -> list[Result]:
    """The results of `read` for each photo below `root`, in order; read in threads.

    `what` names the work in the progress. Raises `KitError` once all have been read, with the
    number of photos for which `read` raises one, and the first of them.
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
                bad.append(str(result).removeprefix(f"{root}{os.sep}").partition(";")[0])
            else:
                results.append(result)
    if bad:
        raise problem(root, "photos that cannot be used", bad, remedy)
    return results


def size_of(path: Path) -> tuple[int, int]:
    """The width and height of a photo, upright, by its file's header; nothing is decoded."""
    with _errors_of(path), Image.open(path, formats=FORMATS) as file:
        turned = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (file.height, file.width) if turned else file.size


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
