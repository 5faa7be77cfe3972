"""Photos of many pixels: which are too large to decode, and which wait for each other."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from kit.system.errors import problem
from kit.system.locks import lock_file, user_folder

# Some 10 bytes of memory a pixel while a photo is decoded, almost twice as many with alpha.
MOST_PIXELS: Final = 2**28  # 16,384 x 16,384
_HALF: Final = MOST_PIXELS // 2
_ANY_NUMBER: Final = 2**26  # up to 8,192 x 8,192 as many at once as there are threads

Image.MAX_IMAGE_PIXELS = None  # `in_turn` has a limit with a remedy


@contextlib.contextmanager
def in_turn(path: Path, size: tuple[int, int]) -> Iterator[None]:
    """Decode a photo of a `size` in the block, with at most `MOST_PIXELS` in large ones at once.

    Other threads and processes of this user on this machine wait for it, if they decode large
    photos, too. `size` is what is decoded: of a JPEG that comes at a fraction, the fraction. Raises
    `KitError` for a photo of more pixels.
    """
    pixels = size[0] * size[1]
    if pixels > MOST_PIXELS:
        what = f"has {size[0]:,} x {size[1]:,} pixels, and at most {MOST_PIXELS:,} are decoded"
        remedy = "make it smaller, or give the competition a function read(path)"
        raise problem(path, what, remedy=remedy)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where no file can be made to lock, nothing waits
            for half in _halves(pixels):
                stack.enter_context(lock_file(user_folder() / f"photo{half}", lambda: None))
        yield


def _halves(pixels: int) -> list[int]:
    """The halves of all pixels that a photo takes: none, one or both, in an order for all."""
    if pixels <= _ANY_NUMBER:
        return []
    return [threading.get_native_id() % 2] if pixels <= _HALF else [0, 1]
