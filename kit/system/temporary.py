"""Temporary files and folders: their names say who writes them, so that what was left can go."""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import time
from pathlib import Path
from typing import Final

_LONGEST: Final = 255  # bytes of a file's name, on all usual file systems
# A temporary file's name, with the host and the process that write it.
_TEMPORARY: Final = re.compile(r"\..+\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.tmp")
# What is so old is no living process's, wherever that ran. A folder's time is that of its last new
# entry, and what it holds may be read for hours.
_STALE_SECONDS: Final = 3600
_STALE_FOLDER_SECONDS: Final = 7 * 24 * 3600


def host_name() -> str:
    """The name of this machine as a part of a file's name: letters, digits, dashes, at most 40."""
    name = socket.gethostname() or "localhost"
    safe = re.sub("[^A-Za-z0-9-]", "-", name)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return safe if len(safe) <= 40 else f"{safe[:31]}-{digest[:8]}"


def temporary_path(path: Path) -> Path:
    """Where this process writes what will be moved to `path`: beside it, as no other process does.

    Its name has the host, too: two machines that share a folder may have processes of one number.
    """
    return path.with_name(f"{_beginning(path)}{host_name()}.{os.getpid()}.tmp")


def _beginning(path: Path) -> str:
    """How the names of all temporary files of `path` begin."""
    name = path.name
    if len(os.fsencode(name)) + len(f"..{host_name()}.{os.getpid()}.tmp") > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def writer_of(temporary: Path) -> tuple[str, int] | None:
    """The host, by its `host_name`, and the process that write a temporary file; None of others."""
    match = _TEMPORARY.fullmatch(temporary.name)
    return (match["host"], int(match["pid"])) if match else None


def is_left(temporary: Path) -> bool:
    """True if no process writes a temporary file any more, as far as this host can know.

    This process does not count: it has not begun to.
    """
    try:
        status = temporary.stat()
    except OSError:
        return False
    stale = _STALE_FOLDER_SECONDS if stat.S_ISDIR(status.st_mode) else _STALE_SECONDS
    if time.time() - status.st_mtime > stale:
        return True
    host, pid = writer_of(temporary) or ("", 0)
    return host == host_name() and (pid == os.getpid() or not is_running(pid))


def remove_left(path: Path) -> None:
    """Remove what killed processes left beside `path` that was to become it: files and folders.

    What cannot be removed stays. Files of this process's number and host stay, too.
    """
    beginning, own = _beginning(path), (host_name(), os.getpid())
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for temporary in [Path(e) for e in entries if e.name.startswith(beginning)]:
            if writer_of(temporary) in (None, own) or not is_left(temporary):
                continue
            with contextlib.suppress(OSError):
                if temporary.is_dir() and not temporary.is_symlink():
                    shutil.rmtree(temporary)
                else:
                    temporary.unlink()


def is_running(pid: int) -> bool:
    """True if a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's
    return True
