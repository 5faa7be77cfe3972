"""Arrays in `.npz` files: their headers are read and checked before anything is inflated."""

import io
import math
import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Final

import numpy as np

from kit.system.inputs import open_input

_LONGEST_HEADER: Final = 10_000  # bytes; numpy's own limit
_LARGE: Final = 2**30  # bytes of all arrays that may be inflated, whatever the file's size
_RATIO: Final = 16  # of more bytes, the most times as many as the file has; softmax has 1 to 2


def read_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Those arrays of an `.npz` file that have one of `names`, without pickle.

    Raises `ValueError` or what zipfile raises for a damaged file, for one with objects, and for one
    that would fill much more memory than its size lets expect; `KitError` for what is no file.
    """
    with open_input(path) as file, zipfile.ZipFile(file) as archive:
        members = {f"{name}.npy": name for name in names}
        infos = [info for info in archive.infolist() if info.filename in members]
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("it holds an array twice")
        if any(info.flag_bits & 1 for info in infos):
            raise ValueError("it is encrypted")
        size, own = sum(info.file_size for info in infos), os.fstat(file.fileno()).st_size
        if size > max(_LARGE, _RATIO * own):
            raise ValueError(
                f"its arrays have {size:,} bytes, more than {_RATIO} times the file's; save them "
                "with np.savez, which does not compress"
            )
        arrays = {}
        for info in infos:
            with archive.open(info) as member:
                arrays[members[info.filename]] = _read(member, info.file_size)
        return arrays


def _read(file: IO[bytes], size: int) -> np.ndarray:
    """The array of an open `.npy` member of so many bytes."""
    start = file.read(8)
    wide = start[6:7] == b"\2"
    length = file.read(4 if wide else 2)
    number = int.from_bytes(length, "little")
    if start[:6] != b"\x93NUMPY" or start[6:8] not in (b"\1\0", b"\2\0"):
        raise ValueError("an array has no header")
    if number > _LONGEST_HEADER:
        raise ValueError(f"an array's header has {number:,} bytes")
    header = io.BytesIO(length + file.read(number))
    reader = np.lib.format.read_array_header_2_0 if wide else np.lib.format.read_array_header_1_0
    shape, fortran, dtype = reader(header)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    content = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or 8 + len(length) + number + content != size:
        raise ValueError(f"an array {dtype} {shape} has {size:,} bytes")
    array = np.empty(shape[::-1] if fortran else shape, dtype)
    _fill(file, array)
    _check_text(array)
    return array.transpose() if fortran else array


def _fill(file: IO[bytes], array: np.ndarray) -> None:
    """Fill an array from a member, bit by bit: memory that a short one does not fill stays free."""
    rest = array.reshape(-1).view(np.uint8).data
    while len(rest):
        part = file.read(min(len(rest), 2**20))
        if not part:
            raise ValueError("an array is cut short")
        rest[: len(part)] = part
        rest = rest[len(part) :]
    if file.read(1):  # at its end zipfile compares the checksum
        raise ValueError("an array is too long")


def _check_text(array: np.ndarray) -> None:
    """Raise `ValueError` for texts with characters that are none."""
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = array.reshape(-1).view(f"{array.dtype.byteorder}u4")
        if (codes > 0x10FFFF).any() or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise ValueError("a text has characters that are none")
