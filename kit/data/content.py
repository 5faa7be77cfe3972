"""Hashes over photos' names and bytes, by which their probabilities are kept."""

import functools
import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from kit.data.paths import file_of, photo_paths
from kit.data.photos import read_bytes
from kit.system.disk import file_hash
from kit.system.errors import KitError
from kit.system.threads import cores

# Photos that a thread reads at a time: a task for each of a million would cost more than its hash.
_AT_A_TIME: Final = 64
_one_at_a_time = threading.Lock()


def photo_hashes(root: Path, images: Sequence[str]) -> list[bytes]:
    """The SHA-256 of each photo below `root`, over its name and its bytes.

    The bytes are those of all of its channels; of a photo within a file, such as `train.hdf5/0815`,
    they are the whole file's. Raises `KitError` for a photo that cannot be read.
    """
    parts = [images[at : at + _AT_A_TIME] for at in range(0, len(images), _AT_A_TIME)]
    with ThreadPoolExecutor(2 * cores()) as pool:
        hashed = pool.map(lambda part: [_photo_hash(root, image) for image in part], parts)
        return [digest for of_part in hashed for digest in of_part]


def _photo_hash(root: Path, image: str) -> bytes:
    """The SHA-256 over a photo's name and bytes."""
    digest = hashlib.sha256(f"{image}\n".encode())
    for path in photo_paths(root, image):
        content = _content(path)
        digest.update(b"%d\n" % len(content))  # else bytes could move between channels
        digest.update(content)
    return digest.digest()


def _content(path: Path) -> bytes:
    """The bytes of a photo's own file, or the hash of the file that it lies in."""
    try:
        return read_bytes(path)
    except KitError:
        file = file_of(path)
        if file == path or not file.is_file():
            raise
    stat = file.stat()
    with _one_at_a_time:  # else each thread would read the same whole file
        return _hash_of(file, stat.st_size, stat.st_mtime_ns)


@functools.cache
def _hash_of(file: Path, size: int, changed: int) -> bytes:
    """The hash of a file of many photos, which is not read again while size and time are equal."""
    return file_hash(file).encode()
