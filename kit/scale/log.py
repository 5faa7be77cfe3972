"""The log of a job: what it prints, attempt by attempt, each with a line at its start and end."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kit.system.durable import make_folder

_START: Final = re.compile(
    r"--- attempt (?P<number>\d{1,9}) of (?P<attempts>\d{1,9}) of (?P<name>.*) on (?P<place>.*), "
    r"pid (?P<pid>\d{1,9}), .*, command (?P<command>\w+)"
)
_END: Final = re.compile(
    r"--- attempt (?P<number>\d{1,9}) of command (?P<command>\w+): (?P<how>.*)"
)
# How an attempt ended that goes on later.
STOPPED: Final = "stopped by a signal, what was trained is saved"


@dataclass(frozen=True)
class Start:
    """The line that an attempt's log begins with.

    It has the attempt's number, the most `attempts`, the job's name, the place (host and device),
    and the process. `command` tells the attempts of one call of a runner from those of others.
    """

    number: int
    attempts: int
    name: str
    place: str
    pid: int
    command: str

    def __str__(self) -> str:
        return (
            f"--- attempt {self.number} of {self.attempts} of {self.name} on {self.place}, "
            f"pid {self.pid}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}, command {self.command}"
        )

    @property
    def host(self) -> str:
        """The host of the place, without the device."""
        return self.place.partition(" (")[0]

    def ended(self, how: str) -> str:
        """The line that the attempt's log ends with."""
        return f"--- attempt {self.number} of command {self.command}: {how}"


def read_start(line: str) -> Start | None:
    """The start that a line tells of; None of another line."""
    match = _START.fullmatch(line)
    if match is None:
        return None
    texts = match.groupdict()
    numbers = (int(texts.pop(name)) for name in ("number", "attempts", "pid"))
    number, attempts, pid = numbers
    return Start(number, attempts, texts["name"], texts["place"], pid, texts["command"])


def read_end(line: str, command: str) -> str | None:
    """How an attempt of a command ended, by the line of its end; None of another line."""
    match = _END.fullmatch(line)
    return match["how"] if match and match["command"] == command else None


def read_lines(path: Path, offset: int) -> tuple[list[str], int]:
    """The whole lines of a log from an offset on, and the offset behind them.

    It is opened anew each time, for a network file system shows others' writes only then.
    """
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            content = file.read()
    except OSError:
        return [], offset
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), offset + len(whole)


def attempts_of(path: Path, command: str) -> int:
    """The number of attempts that a log has of a command."""
    starts = map(read_start, read_lines(path, 0)[0])
    return sum(start is not None and start.command == command for start in starts)


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """In the block all that this process prints is appended to a file, and nothing is shown.

    It is what any library writes to the descriptors of standard output and standard error, too.
    """
    make_folder(path.parent)
    with open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        before = {number: os.dup(number) for number in (1, 2)}
        for number in before:
            os.dup2(file.fileno(), number)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            for number, kept in before.items():
                os.dup2(kept, number)
                os.close(kept)
