"""Two processes at once on a file system without locks: pairs whose `flock` is refused."""

import dataclasses
import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from faults import pairs
from faults.commands import World
from faults.trials import Trial

_ERRORS: Final = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def cases(world: World) -> Sequence[str]:
    """The cases of pairs, with the quickest first."""
    return sorted(pairs.cases(world), key=lambda case: case not in ("log", "folds", "cache"))


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Run a pair of commands in forks that can lock nothing."""
    code, real = _ERRORS[number % len(_ERRORS)], fcntl.flock

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    fcntl.flock = refuse
    try:
        found = pairs.trial(world, case, number, seed, place)
    finally:
        fcntl.flock = real
    left = [path.name for path in place.rglob("*.held")]
    note = f"{found.note}, {errno.errorcode[code]}"
    return dataclasses.replace(found, kind="lockless", left=(*found.left, *left), note=note)
