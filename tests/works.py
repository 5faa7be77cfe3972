"""What jobs in other processes do in tests: small functions that a new process loads quickly."""

import os
import signal
import sys
import time
from pathlib import Path

from kit.system.errors import KitError
from kit.system.threads import cores

# While a new process loads this module, Ctrl+C at a terminal has to wait.
CTRL_C_WAITS = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def square(number: int) -> int:
    """The square of a number, with a word on each stream and a step that is shown."""
    print("to standard output")
    print("to standard error", file=sys.stderr)
    os.write(2, b"by a C library\n")
    print(f"  step {number}/9  on {cores()} cores")
    return number**2


def refuse() -> None:
    """A person's mistake."""
    raise KitError("photo 7: is no image")


def fail() -> None:
    """A bug."""
    raise ValueError("two\nlines")


def use_all_memory() -> None:
    """Ask for more memory than any machine has."""
    bytearray(2**55)


def give_lambda() -> object:
    """A result that no pickle takes."""
    return lambda: 1


def end_once(mark: Path, number: int) -> str:
    """Send this process a signal at the first call; a later one goes on."""
    if mark.exists():
        print("begun; going on after step 3")
        return "went on"
    mark.touch()
    os.kill(os.getpid(), number)
    time.sleep(60)
    return "not reached"


def always_end() -> None:
    """Kill this process, whichever attempt it is."""
    os.kill(os.getpid(), signal.SIGKILL)


def wait(mark: Path) -> None:
    """Say who waits, wait for a signal, and take a moment to save."""
    print(f"Ctrl+C waited: {CTRL_C_WAITS}")
    mark.write_text(str(os.getpid()))
    try:
        time.sleep(60)
    finally:
        time.sleep(0.5)
        mark.with_suffix(".saved").touch()
