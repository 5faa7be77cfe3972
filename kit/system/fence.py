"""The owner of a folder: who wakes up after another process took the folder over writes no more.

A lock is not enough. Some file systems have none, and a machine that was taken for dead (a frozen
node, a network that was cut) may wake up while another one goes on with its work. So the owner's
name and a random token stand in the folder's file `.owner`, and are read again before each write.
"""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kit.system.disk import atomic_write, guarded, json_bytes, remove
from kit.system.errors import KitError, problem

OWNER: Final = ".owner"  # the file in the folder: JSON with host, pid and token


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder in the block: this process writes there, and no other one goes on doing so.

    An owner before it stops at its next write. So does this process once another one has taken the
    folder over: `atomic_write` and `remove` raise `KitError` and leave the folder as it is. At the
    end of the block the folder has no owner.
    """
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(16)}
    path = folder / OWNER

    def check() -> None:
        _check(path, owner["token"])

    with atomic_write(path, force=True) as temporary:
        temporary.write_bytes(json_bytes(owner))
    try:
        with guarded(folder, check):
            yield
    finally:
        with suppress(KitError, OSError):  # another owner's file stays
            check()
            remove(path)


def _check(path: Path, token: object) -> None:
    """Raise `KitError` unless the file of a folder's owner has a token.

    It is opened anew each time, which makes a network file system ask its server.
    """
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        if owner["token"] == token:
            return
        what = f"process {owner['pid']} on {owner['host']} took it over"
    except FileNotFoundError:
        what = f"another process took it over and has ended, or {path.name} was removed"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{path.name} cannot be read ({type(error).__name__})"
    raise problem(
        path.parent,
        f"{what}; this process stops, and has written nothing since",
        remedy="the same command goes on from what is there",
    )
