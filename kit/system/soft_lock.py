"""A lock for file systems without locks: a file that one process alone can make.

It says which process of which host has the lock, and is touched while that process lives. So a lock
whose process was killed, or whose machine was lost, is taken over. filelock's SoftFileLock, which
is not touched, would stay for ever, or be taken from a process that lives.
"""

import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from kit.system.temporary import host_name, is_running, temporary_path

_TOUCH_SECONDS: Final = 10  # how often the file of a lock is touched
_LOST_SECONDS: Final = 60  # a lock that was not touched for so long has lost its process


class SoftLock:
    """The lock of a file `path`: the file `<path>.held` beside it, while a process has it."""

    def __init__(self, path: Path) -> None:
        self.path, self.held = path, path.with_name(f"{path.name}.held")
        self.words = f"{host_name()} {os.getpid()} {secrets.token_hex(16)}\n"
        self._ended = threading.Event()

    def take(self) -> bool:
        """Take the lock if it is free, or has lost its process; True if this process has it now."""
        try:
            descriptor = os.open(self.held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return self._is_cleared() and self.take()
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(self.words)
        except OSError:
            self.held.unlink(missing_ok=True)
            raise
        threading.Thread(target=self._touch, daemon=True).start()
        return True

    def wait(self) -> None:
        """Take the lock as soon as it is free."""
        while not self.take():
            time.sleep(0.1)

    def release(self) -> None:
        """Give the lock back, if this process has it."""
        self._ended.set()
        with suppress(OSError):
            if self.held.read_text(encoding="utf-8") == self.words:
                self.held.unlink()

    def _touch(self) -> None:
        while not self._ended.wait(_TOUCH_SECONDS):
            with suppress(OSError):
                os.utime(self.held)

    def _is_cleared(self) -> bool:
        """True if the lock is free: it was given back, or had lost its process and is removed."""
        aside = temporary_path(self.held)
        try:
            words = self.held.read_text(encoding="utf-8", errors="replace")
            os.utime(self.path)  # the time by the clock of the file system, as the other's touches
            silent = self.path.stat().st_mtime - self.held.stat().st_mtime
            if silent < _LOST_SECONDS and not _has_ended(words):
                return False
            os.rename(self.held, aside)
            if aside.read_text(encoding="utf-8", errors="replace") != words:
                os.rename(aside, self.held)  # of another process, which was faster
                return False
            aside.unlink()
        except FileNotFoundError:
            pass
        return True


def _has_ended(words: str) -> bool:
    """True if the process of a lock ran on this host, and has ended."""
    host, _, rest = words.partition(" ")
    pid = rest.partition(" ")[0]
    return host == host_name() and pid.isdecimal() and not is_running(int(pid))
