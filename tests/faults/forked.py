"""Commands of the kit in forked processes, in which a fault may be installed first.

A fork of a process that has imported everything takes milliseconds, where a new Python takes
seconds. So nothing may be computed in the process that forks: a thread pool would not survive it.
"""

import importlib
import io
import mmap
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from helpers import everywhere

import kit.inference.autotune
import kit.inference.networks
import kit.inference.photo_set
import kit.scale.processes
from kit.data.loader import end_workers
from kit.inference.runtime import InferenceMode

BLOCK = 4  # photos in a block of an ensemble, so that ten photos have three
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)


@dataclass(frozen=True)
class Ended:
    """How a command has ended: its exit code, or minus the signal's number, and what it printed."""

    code: int
    output: str
    seconds: float

    @property
    def errors(self) -> list[str]:
        """The lines of errors that it printed."""
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    @property
    def traceback(self) -> bool:
        """True if it ended as a bug does."""
        return "Traceback (most recent call last)" in self.output


class Counter:
    """A number that a process shares with those it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    @property
    def value(self) -> int:
        """The number as it is now."""
        return int.from_bytes(self._memory[:], "little")

    def add(self) -> int:
        """Add one; the number."""
        value = self.value + 1
        self._memory[:] = value.to_bytes(8, "little")
        return value


@dataclass
class Running:
    """A command that runs in a session of its own: all its processes are one group."""

    pid: int
    log: Path
    started: float

    def kill(self, number: int = signal.SIGKILL, group: bool = True) -> None:
        """Send a signal to all its processes, or to the first one alone."""
        try:
            (os.killpg if group else os.kill)(self.pid, number)
        except ProcessLookupError:
            pass

    def ended(self) -> Ended | None:
        """How it has ended; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        seconds = time.monotonic() - self.started
        output = self.log.read_text(encoding="utf-8", errors="replace")
        return Ended(os.waitstatus_to_exitcode(status), output, seconds)

    def wait(self, seconds: float = 300.0) -> Ended:
        """How it ends; after so many seconds it is killed, and `TimeoutError` raised."""
        deadline = time.monotonic() + seconds
        while True:
            if (ended := self.ended()) is not None:
                return ended
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                raise TimeoutError(self.log.read_text(encoding="utf-8", errors="replace")[-2000:])
            time.sleep(0.002)


def start_forked(
    argv: Sequence[str],
    cwd: Path,
    hook: Callable[[], object] | None = None,
    log: Path | None = None,
) -> Running:
    """Start `python -m kit.COMMAND ...` in a fork in `cwd`; `argv` is COMMAND and its words.

    `hook` is called in the fork first: it installs a fault. What the command prints goes to `log`,
    by default a file beside `cwd`.
    """
    log = log or cwd.with_name(f"{cwd.name}.log")
    log.touch()  # it may be killed before it writes
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        pid = os.fork()
    if not pid:
        _run(list(argv), cwd, hook, log)
    return Running(pid, log, time.monotonic())


def run_forked(
    argv: Sequence[str], cwd: Path, hook: Callable[[], object] | None = None, seconds: float = 300.0
) -> Ended:
    """Run `python -m kit.COMMAND ...` in a fork to its end; see `start_forked`."""
    return start_forked(argv, cwd, hook).wait(seconds)


def _run(argv: list[str], cwd: Path, hook: Callable[[], object] | None, log: Path) -> None:
    """Run a command in this process, which was forked for it, and end the process."""
    code = 1
    try:
        os.setsid()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.chdir(cwd)
        _redirect(log)
        temporary = cwd / "tmp"
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        sys.modules["__main__"] = types.ModuleType("__main__")  # what spawned processes import
        sys.argv = [f"kit.{argv[0]}", *argv[1:]]
        warnings.simplefilter("default")
        settle()
        main = importlib.import_module(f"kit.{argv[0]}").main
        if hook is not None:
            hook()
        code = main(argv[1:])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            end_workers()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def settle() -> None:
    """Let this process compute alike each time: one thread, fp32, small blocks of an ensemble.

    Processes side by side are forked, too, which takes a tenth of the time.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    kit.inference.photo_set.BLOCK = BLOCK
    kit.inference.networks._FEW = 0  # so that ten photos are loaded by processes, if by any
    mode = InferenceMode(torch.float32, 16)
    everywhere(_Put(), kit.inference.autotune, "autotune", lambda *_: mode)
    kit.scale.processes.multiprocessing = types.SimpleNamespace(
        get_context=lambda _: multiprocessing.get_context("fork"),
        parent_process=multiprocessing.parent_process,
    )


class _Put:
    """As pytest's monkeypatch, for good."""

    def setattr(self, place: object, name: str, value: object) -> None:
        """Set an attribute."""
        setattr(place, name, value)


def _redirect(log: Path) -> None:
    """Send what this process prints to a file, and let it read nothing."""
    file, nothing = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.open(os.devnull, 0)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = open(number, "wb", buffering=0, closefd=False)
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", line_buffering=True, write_through=True))
