"""Ctrl+C, SIGTERM and SIGHUP: they end a command, and a block can hold them back."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from kit.system.console import is_muted

# One stop may be told twice: a scheduler or a terminal signals a process both by itself and through
# its parent, as SLURM and torchrun do.
_SAME_STOP: Final = 1.0  # seconds


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise `KeyboardInterrupt` in the block for SIGTERM and SIGHUP, too.

    Schedulers stop a job by SIGTERM, and a lost connection sends SIGHUP: both then clear up as
    Ctrl+C does. A signal that is ignored (nohup's SIGHUP) stays ignored.
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
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_patient: list[bool] = []  # not empty where a second signal is as the first one


def be_patient() -> None:
    """Let a second signal do no more than the first one, in this process, from now on.

    For one that another process has started: a scheduler's SIGTERM reaches both, and the other
    passes it on. Who wants this one to end at once kills it.
    """
    _patient[:] = [True]


class Stop:
    """Holds Ctrl+C, SIGTERM and SIGHUP back while something is to be finished first.

    Within `held()` the first signal only sets `asked`, and raises `KeyboardInterrupt` at the end of
    the block; a second one sets `forced` and raises at once, but not after `be_patient`. Outside of
    `held()` a signal raises at once. A signal within a second of the first one is the same stop,
    and changes nothing.

    Of a training by several processes (`together`) signals are held all the time, and the first one
    raises nothing: the processes look at `asked`, and stop together.
    """

    def __init__(self, together: bool = False) -> None:
        self.asked = self.forced = False
        self._together = self._held = together
        self._first: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # A background job ignores Ctrl+C, which is not for it.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_: object) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now
        elif now - self._first < _SAME_STOP or (self._held and self.asked and _patient):
            return
        if self._held and not self.asked:
            self.asked = True
            if is_muted():
                return
            # Not printed by rich, which a signal may interrupt while it prints. The pipe may be
            # broken: Ctrl+C ends its reader, too.
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping: saving first (once more to stop at once)\n")
            return
        self.forced = self._held
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back in the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = self._together
        if self.asked and not self._together:
            raise KeyboardInterrupt
