"""`KitError`, the one exception for a user's mistake, and the form of its messages."""

import difflib
import errno
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeGuard

# What is said where there is no memory: by torch, OpenCV, numpy, C++, oneDNN, threads.
_NO_MEMORY = re.compile(
    r"can't allocate memory|Cannot allocate memory|Insufficient memory|Unable to allocate|bad_alloc"
    r"|could not create a (primitive|memory object)|can't start new thread"
)
_SECRET: Final = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_LEAST_SECRET: Final = 8  # characters; a shorter one may be a word of any message
# Characters of an example that are shown: a damaged file may have a field of megabytes.
_MAX_EXAMPLE = 300


def escaped(text: str) -> str:
    """A text of one line that a terminal prints as it is.

    Data may hold control characters, line breaks, and marks that turn the direction of writing:
    they are shown as Python's escapes.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def without_secrets(text: str) -> str:
    """A text in which the keys and tokens of the environment are their variables' names.

    Errors of other libraries may cite them.
    """
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET and _SECRET.search(name) and value in text:
            text = text.replace(value, f"${name}")
    return text


class KitError(Exception):
    """A mistake that a user can mend, as one line.

    The line is *file: what is wrong, how many, the first one; what to do*. Commands print it and
    exit with code 2. Any other exception is a bug, and keeps its traceback. Line breaks and
    unprintable characters of the message are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(without_secrets(" ".join(message.split()))))


class LoggedError(Exception):
    """A bug in another process, whose traceback is in a log: one line that names it.

    Commands print the line and exit with code 1.
    """


def memory_ran_out(error: BaseException) -> bool:
    """True if an exception, of whatever library, says that there was no memory for the CPU."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def no_memory(place: str | Path) -> KitError:
    """The `KitError` for memory that ran out at a place that no other error explains."""
    remedy = "close other programs, or take a machine with more; the same command goes on"
    return problem(place, "the memory of this machine ran out", remedy=remedy)


def loader_killed() -> KitError:
    """The error of a loader process that was killed.

    torch raises its own wherever the program happens to be.
    """
    return KitError(
        "a loader process was killed, most likely for memory; take fewer --workers; the same "
        "command goes on from the last save"
    )


def explained(place: str | Path, error: BaseException) -> KitError | None:
    """The error of one line for what libraries raise wherever a program is; None of other errors.

    Memory ran out, or a loader process was killed.
    """
    if memory_ran_out(error):
        return no_memory(place)
    killed = isinstance(error, RuntimeError) and "DataLoader worker" in str(error)
    return loader_killed() if killed else None


def did_you_mean(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """` (did you mean X?)` for the known name most like `name`; empty if none is like it.

    Of a mapping, X is the value of the most similar key. `cutoff` is difflib's least similarity,
    in 0..1.
    """
    matches = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    shown = [str(known[match] if isinstance(known, Mapping) else match) for match in matches]
    return f" (did you mean {shown[0]}?)" if shown and shown[0] != name else ""


def problem(
    place: str | Path, wrong: str, offenders: Sequence[object] = (), remedy: str = ""
) -> KitError:
    """A `KitError` of the usual form: `place: wrong (2 found, the first: a); remedy`.

    `offenders` has all of them, in order; the message has their number and the first one.
    """
    line = f"{place}: {wrong}"
    first = str(offenders[0]) if offenders else ""
    first = first if len(first) <= _MAX_EXAMPLE else f"{first[:_MAX_EXAMPLE]}..."
    if len(offenders) == 1:
        line += f" (1 found: {first})"
    elif len(offenders) > 1:
        line += f" ({len(offenders):,} found, the first: {first})"
    return KitError(f"{line}; {remedy}" if remedy else line)


def unreadable(path: Path, error: OSError, remedy: str = "check the path") -> KitError:
    """The `KitError` for a file that the system cannot read."""
    if error.errno in (errno.EIO, errno.ESTALE):
        remedy = "check the disk and its mount, and start again"
    return problem(path, f"cannot be read: {error.strerror or error}", remedy=remedy)


def is_unreadable(error: Exception) -> TypeGuard[OSError]:
    """True if an error of a reader is the system's, and says nothing of what the file holds.

    Readers of archives seek to where a damaged one sends them, which is `EINVAL`.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
