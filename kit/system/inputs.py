"""Input files as bytes: regular files alone, and none larger than a limit."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from kit.system.errors import problem, unreadable

# Opening a pipe would wait for its writer, which may never come.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)


def open_input(path: Path) -> BinaryIO:
    """A regular file, open for reading; raises `KitError` for anything else, and waits for none."""
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_WAIT))
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        remedy = "write what it gives to a file, and name that"
        raise problem(path, "is a pipe or a device, and no file", remedy=remedy)
    return file


def read_input(path: Path, most: int, remedy: str = "name another file") -> bytes:
    """The bytes of a regular file; raises `KitError` for one of more than `most`."""
    with open_input(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > most else file.read(most + 1)
        except OSError as error:
            raise unreadable(path, error) from error
    if max(size, len(content)) > most:
        what = f"has {max(size, len(content)):,} bytes, and at most {most:,} are read"
        raise problem(path, what, remedy=remedy)
    return content
