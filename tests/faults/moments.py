"""Moments at which a process is killed: at a time, or at one of its operations on files."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults.commands import World
from faults.forked import Counter, run_forked

# What Python tells an audit hook of; `os.fsync` is told of by `watch` itself.
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch(place: Path, told: Callable[[str], None]) -> None:
    """Call `told` before each operation of this process that changes files in a folder.

    They are opened to be written, renamed, removed and synced; folders are made and removed.
    """
    root = f"{place}/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS or (event == "open" and arguments[2] & _WRITING):
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)):
                if os.path.abspath(os.fsdecode(path)).startswith(root):
                    told(event)

    real = os.fsync

    def fsync(file: int) -> None:
        told("os.fsync")
        real(file)

    os.fsync = fsync
    sys.addaudithook(hook)


def count_operations(place: Path, counter: Counter, children: bool = False) -> None:
    """Count what this process does to files in a folder, or what those do that it starts."""
    first = os.getpid()

    def told(_: str) -> None:
        if (os.getpid() != first) == children:
            counter.add()

    watch(place, told)


def kill_at(place: Path, number: int, delay: float, children: bool = False) -> None:
    """Let this process die at its `number`-th operation on a folder's files, or so much later.

    With `children` it is the process that it has started that dies, at their `number`-th.
    """
    first, counter = os.getpid(), Counter()

    def told(_: str) -> None:
        if (os.getpid() != first) != children or counter.add() != number:
            return
        if not delay:
            os.kill(os.getpid(), signal.SIGKILL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a process as SIGKILL does
        signal.setitimer(signal.ITIMER_REAL, delay)

    watch(place, told)


def operations_of(
    world: World, name: str, children: bool = False, words: Sequence[str] = ()
) -> int:
    """How many operations on files an undisturbed command does, or the processes it starts.

    `words` are added to those of the command.
    """
    key = " ".join([name, *words, *["of children"] * children])
    record = world.root / "operations.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    if key not in known:
        place, counter = world.restore(name, world.root / "counted"), Counter()
        ended = run_forked(
            [*world.argv(name), *words],
            place,
            functools.partial(count_operations, place, counter, children),
        )
        if ended.code:
            raise RuntimeError(ended.output)
        known[key] = counter.value
        record.write_text(json.dumps(known), encoding="utf-8")
    return int(known[key])
