"""What lasts through a power failure: synced files, and synced folders of files that were moved.

A file's bytes are on the disk once it is synced; its name, a move and a removal are only once its
folder is. Until then the disk may hold any part of them, in any order.
"""

import errno
import os
from pathlib import Path
from typing import Final

# The errors of file systems that sync no folder: some of FUSE, CIFS and NFS; of a folder that
# others may only enter; and of a read-only one, in which nothing is to be synced.
_NO_SYNC: Final = (
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)


def sync_file(path: Path) -> None:
    """Make a file's bytes last through a power failure."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make what was made, moved or removed in a folder last through a power failure.

    A file system that cannot do so is let be.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def make_folder(folder: Path) -> None:
    """Make a folder, and its parents, where they do not exist, to last through a power failure."""
    if folder.is_dir():
        return
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def move(source: Path, place: Path) -> None:
    """Move a file or a folder within a file system, to last through a power failure."""
    os.replace(source, place)
    for folder in dict.fromkeys((place.parent, source.parent)):
        sync_folder(folder)
