"""File systems of a process's own: a small one in memory, and folders that are read-only.

A child process has its own table of mounts, as root or in a user name space of its own, so that
nothing is left of them when it ends.
"""

import ctypes
import functools
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000  # of unshare(2)
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18  # of mount(2)


def in_own_mounts(function: Callable[[], Any]) -> Any:
    """The result of a function in a child process with its own mounts.

    Raises `OSError` if it may have none, and `RuntimeError` with the traceback of another error.
    """
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        result: Any
        try:
            _unshare()
            result = function()
        except OSError as error:
            result = error
        except BaseException:
            result = RuntimeError(traceback.format_exc())
        with open(write, "wb") as pipe:
            pipe.write(pickle.dumps(result))
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        content = pipe.read()
    os.waitpid(pid, 0)
    result = pickle.loads(content)
    if isinstance(result, Exception):
        raise result
    return result


@functools.cache
def why_no_mounts() -> str:
    """Why processes here may have no mounts of their own; empty if they may."""
    try:
        in_own_mounts(lambda: mount_tmpfs(Path(tempfile.gettempdir()), 1))
    except OSError as error:
        return str(error)
    return ""


def _unshare() -> None:
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_MOUNTS | (_NEW_USER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)


def mount_tmpfs(place: Path, size: int) -> None:
    """Mount a file system in memory with so many bytes over a folder."""
    _call("mount", b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=%d" % size)


def resize_tmpfs(place: Path, size: int) -> None:
    """Give a file system in memory another size."""
    _call("mount", b"tmpfs", os.fsencode(place), b"tmpfs", _REMOUNT, b"size=%d" % size)


def mount_read_only(folder: Path) -> None:
    """Make a folder read-only, even for root, until `unmount`."""
    name = os.fsencode(folder)
    _call("mount", name, name, None, _BIND, None)
    _call("mount", name, name, None, _BIND | _REMOUNT | _READ_ONLY, None)


def unmount(folder: Path) -> None:
    """Undo the last mount over a folder."""
    _call("umount", os.fsencode(folder))


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the C library; its error is an `OSError`."""
    if getattr(_LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
