"""Checksums that the kit's files hold of themselves, so that damage is found when they are read.

They tell of accidents, and not of forgery: whoever writes a file can write its checksum, too.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

CHECKSUM: Final = "checksum"  # the key of a JSON object, and the column of a table
DAMAGED: Final = "is damaged, or was changed by hand: its checksum does not fit"


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the SHA-256 of all its other values as its last one."""
    values = {name: value for name, value in content.items() if name != CHECKSUM}
    return {**values, CHECKSUM: hashlib.sha256(json.dumps(values).encode()).hexdigest()}


def without_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object as it was before `with_checksum`; raises `ValueError` if it was changed since.

    Another form of the same values is no change.
    """
    checksum = with_checksum(content).pop(CHECKSUM)
    if content.get(CHECKSUM) != checksum:
        raise ValueError("its checksum does not fit: it is damaged")
    return {name: value for name, value in content.items() if name != CHECKSUM}


def line_checksums(lines: Sequence[str], origin: str) -> list[str]:
    """The checksum of each line of a file: a CRC-32 of its origin, its length and all lines so far.

    So lines that are changed, gone or moved are found, and a file of another `origin`, too.
    """
    value = zlib.crc32(f"{origin} {len(lines)}".encode())
    checksums = []
    for line in lines:
        value = zlib.crc32(f"\n{line}".encode(), value)
        checksums.append(f"{value:08x}")
    return checksums
