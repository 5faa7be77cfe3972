"""Ctrl+C, SIGTERM and SIGHUP, and what they must not interrupt."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, by which schedulers stop a job, and SIGHUP, of a lost connection, clear up as
    Ctrl+C does.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }  # nohup's
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stop:
    """Ctrl+C, SIGTERM and SIGHUP, held back while something is to be finished first.

    Within `held()` the first one only sets `asked`; a second one sets `forced` and ends at once.
    Outside of it, and at its end if one came, they raise `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self.asked = self.forced = False
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if (
                    signal.getsignal(number) is not signal.SIG_IGN
                ):  # a background job's Ctrl+C is not for it
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_: object) -> None:
        if self._held and not self.asked:
            self.asked = True
            # Not through rich: a signal may come while it is printing.
            with contextlib.suppress(OSError):  # Ctrl+C in a pipe may have ended its reader first
                os.write(2, b"\nstopping: saving first (once more to stop at once)\n")
            return
        self.forced = self._held
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back within the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.asked:
            raise KeyboardInterrupt
