"""The address of a Ray cluster: the one given, or where one runs, and whether it answers."""

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

LOCAL: Final = "local"  # ray's word for a new cluster of this machine, for one process
_ANSWER_SECONDS: Final = 5.0


def find_address(given: str) -> str:
    """The address that is given, else $RAY_ADDRESS, else that of a cluster that runs here.

    Without any it is `LOCAL`. Clusters that run here are those of `ray start`, not what another
    command has started for itself: that ends with it.
    """
    return given or os.environ.get("RAY_ADDRESS") or _address_here()


def _address_here() -> str:
    """What `ray start` has written down, if it still answers."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    with contextlib.suppress(OSError):
        address = Path(folder, "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
        check_address(address)
        return address
    return LOCAL


def check_address(address: str) -> None:
    """Raise `OSError` if nothing answers at an address: ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in host or not (host and port.isdecimal()):
        raise OSError("an address is HOST:PORT of the head node, such as box1:6379")
    socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()


def check_loopback() -> None:
    """Raise `OSError` if processes of this machine cannot reach each other over its loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), _ANSWER_SECONDS).close()
