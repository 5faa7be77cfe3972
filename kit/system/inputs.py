"""Input files as bytes: regular files alone, and none larger than a limit."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from kit.system.errors import problem, unreadable

# Opening a pipe would wait for its writer, which may never come.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)


def open_input(path: Path, remedy: str = "check the path") -> BinaryIO:
    """A regular file, open for reading; raises `KitError` for anything else, and waits for none.

    `remedy` is what to do if it cannot be read.
    """
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_WAIT))
    except OSError as error:
        raise unreadable(path, error, remedy) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        mend = "write what it gives to a file, and name that"
        raise problem(path, "is a pipe or a device, and no file", remedy=mend)
    return file


def read_input(
    path: Path, most: int, large: str = "name another file", remedy: str = "check the path"
) -> bytes:
    """The bytes of a regular file; raises `KitError` for one of more than `most`.

    `large` is what to do about one that is too large.
    """
    with open_input(path, remedy) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > most else file.read(most + 1)
        except OSError as error:
            raise unreadable(path, error, remedy) from error
    size = max(size, len(content))
    if size > most:
        raise problem(path, f"has {size:,} bytes, and at most {most:,} are read", remedy=large)
    return content
