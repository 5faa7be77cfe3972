"""The one exception for what the user can mend."""

import difflib
from collections.abc import Sequence
from pathlib import Path

_SHOWN = 300  # characters of an example: a damaged file may have a field of megabytes


class KitError(Exception):
    """A problem in the input or the place, told in one line: file, what is wrong, how many, the
    first one, what to do.

    Commands print it and exit with code 2. A bug is any other exception and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


def did_you_mean(name: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """The known name that was most likely meant, for a message; empty where none is near."""
    found = difflib.get_close_matches(name, known, 1, cutoff)
    return f" (did you mean {found[0]}?)" if found else ""


def problem(
    place: str | Path, wrong: str, found: Sequence[object] = (), remedy: str = ""
) -> KitError:
    """A `KitError` of the kit's usual form: `place: wrong (2 found, first: a); remedy`.

    `found` is every offender, in order: the line tells their number and the first.
    """
    line = f"{place}: {wrong}"
    first = str(found[0]) if found else ""
    first = first if len(first) <= _SHOWN else f"{first[:_SHOWN]}..."
    if len(found) == 1:
        line += f" (1 found: {first})"
    elif len(found) > 1:
        line += f" ({len(found):,} found, the first: {first})"
    return KitError(f"{line}; {remedy}" if remedy else line)
