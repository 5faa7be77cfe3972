"""A disk that is full, read-only, over its quota or broken, at any call of every command.

A command must end with exit code 0, where it can do without, or with one line and exit code 2. What
was finished stays whole, and nothing half-written is left over. Once there is room again, the same
command ends with the undisturbed results. A case is a command and a fault:

- full, quota: from a call on nothing can be made, or synced;
- readonly: from a call on nothing can be changed in its folder;
- read: a file that the command reads is broken;
- tmpfs: a real file system with too little room; mount: a folder that is mounted read-only.
"""

import errno
import os
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faults import power
from faults.calls import Call, Recorder
from faults.commands import World
from faults.digests import differences, digest, leftovers
from faults.forked import Counter, Ended, run_forked
from faults.mounts import (
    in_own_mounts,
    mount_read_only,
    mount_tmpfs,
    resize_tmpfs,
    unmount,
    why_no_mounts,
)
from faults.trials import Trial, lost_meanwhile, random_of, run_again

_ERRORS: Final = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "readonly": errno.EROFS,
    "read": errno.EIO,
}
FAULTS: Final = (*_ERRORS, "tmpfs", "mount")
_CACHES: Final = ("runs/pixels/", "probs-", "part-", "few-", "oof-")  # that one can do without
_GROWS: Final = ("open", "mkdir", "sync", "sync_folder")  # calls that need room
_ROOM: Final = 2**33  # bytes, of which a pixel cache leaves two GB free


def cases(world: World) -> Sequence[str]:
    """Every command with every fault, in turns, with the quickest command first."""
    faults, commands = list(_ERRORS if why_no_mounts() else FAULTS), power.cases(world)
    names = [
        f"{name}-{faults[(n + turn) % len(faults)]}"
        for turn in range(len(faults))
        for n, name in enumerate(commands)
    ]
    return [name for name in names if name != "sample-read"]  # it reads nothing


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Let a command meet a fault, run it again without, and compare."""
    rng, started = random_of("disk", case, number, seed), time.monotonic()
    name, fault = case.split("-")
    power.replay_of(world, name)
    if fault in _ERRORS:
        found = _raise_errors(world, name, fault, rng, place)
    else:
        function = _fill if fault == "tmpfs" else _seal
        found = in_own_mounts(lambda: function(world, name, rng, place))
    losses, silent, left, met, note = found
    seconds = time.monotonic() - started
    return Trial(
        "disk", case, number, tuple(losses), tuple(silent), tuple(left), seconds, note, met
    )


Found = tuple[list[str], list[str], list[str], bool, str]  # losses, silent, left, met, note


def _compare(world: World, name: str, place: Path, ended: Ended, met: bool, note: str) -> Found:
    """What a command has lost by a fault that is over, and what its second run makes of it.

    Each fold that fails has a line of its own. What is left in a folder that became read-only must
    be gone after the second run, if that has anything to do.
    """
    losses = lost_meanwhile(world, name, place)
    sealed = "readonly" in note
    left = [] if sealed else leftovers(place)
    if ended.traceback or ended.code not in (0, 2) or bool(ended.errors) != bool(ended.code):
        losses.append(f"it ended with {ended.code}: {ended.output[-1500:]}")
    first = digest(place)
    different, left_again, again = run_again(world, name, place)
    if ended.code == 0:  # it has done without, and has said so
        missing = [*_CACHES, *["leaderboard.csv"] * ("not in the leaderboard" in ended.output)]
        different += differences(world.after[name], first)
        different = [line for line in different if not any(one in line for one in missing)]
    silent = different if not again.code else []
    losses += different if again.code else []
    if sealed and ended.code == 0:
        left_again = []
    note = f"{note}: {ended.code} {' / '.join(ended.errors)}"
    return losses, silent, [*left, *left_again], met, note


def _raise_errors(world: World, name: str, fault: str, rng: random.Random, place: Path) -> Found:
    """Run a command whose calls raise an error: from one on, or for one file."""
    replay, met = power.replay_of(world, name), Counter()
    world.restore(name, place)
    if fault == "read":
        path = rng.choice([name for name in replay.recorder.reads() if "/." not in f"/{name}"])
        note, where = f"{path} cannot be read", Where(len(replay.calls), path)
    else:
        at = rng.randrange(len(replay.calls))
        call = replay.calls[at]
        note = f"{fault} from call {at} of {len(replay.calls)} ({call.what} {call.path})"
        where = Where(at, folder=os.path.dirname(call.path) if fault == "readonly" else None)
    faulty = Faulty(place, world.data, _ERRORS[fault], where, met)
    ended = run_forked(world.argv(name), place, faulty.start)
    return _compare(world, name, place, ended, met.value > 0, note)


@dataclass(frozen=True)
class Where:
    """Where calls fail: from the `first` one on, in one `folder` or all; or the reads of `path`."""

    first: int
    path: str = ""
    folder: str | None = None


class Faulty(Recorder):
    """Raises an error of the system for the calls that fail, and counts them in `met`."""

    def __init__(self, place: Path, data: Path, number: int, where: Where, met: Counter) -> None:
        super().__init__(place, place.with_name(f"{place.name}.calls"), data)
        self.number, self.where, self.met, self.heard = number, where, met, Counter()

    def _write(self, call: Call) -> None:
        if self.heard.add() <= self.where.first:
            return
        if self.where.folder is None:
            is_there = call.what == "open" and os.path.exists(f"{self.place}{call.path}")
            fails = call.what in _GROWS and not is_there
        else:
            fails = os.path.dirname(call.path) == self.where.folder
        if fails:
            self._fail(call.path)

    def _hear_read(self, path: Any) -> None:
        name = self._read_name(path)
        if name and name == self.where.path:
            self._fail(name)

    def _fail(self, name: str) -> None:
        self.met.add()
        path = name if name.startswith("/") else f"{self.place}{name}"
        raise OSError(self.number, os.strerror(self.number), path)


def _fill(world: World, name: str, rng: random.Random, place: Path) -> Found:
    """Run a command on a file system in memory whose room ends in between; more comes after it."""
    before, after = (world.root / part / name for part in ("before", "recorded"))
    used, more = _pages(before), max(_pages(after) - _pages(before), 2**16)
    room = int(used + more * rng.uniform(0, 1.1))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    mount_tmpfs(place, _ROOM)
    shutil.copytree(before, place, symlinks=True, dirs_exist_ok=True)
    (place / "tmp").mkdir(exist_ok=True)
    resize_tmpfs(place, room)
    ended = run_forked(world.argv(name), place)
    resize_tmpfs(place, _ROOM)
    met = ended.code != 0 or "No space left" in ended.output
    return _compare(world, name, place, ended, met, f"room for {(room - used) / 1024:.0f} kB")


def _pages(folder: Path) -> int:
    """The bytes that a folder takes in memory: whole pages of files."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-size // 4096 * -4096 for size in sizes)


def _seal(world: World, name: str, rng: random.Random, place: Path) -> Found:
    """Run a command while one of the folders that it writes to is mounted read-only."""
    world.restore(name, place)
    folders = {os.path.dirname(call.path) for call in power.replay_of(world, name).calls}
    folder = place / rng.choice(sorted(f for f in folders if f.split("/")[0] != "tmp"))
    while not folder.is_dir():
        folder = folder.parent
    (place / "tmp").mkdir(exist_ok=True)
    mount_read_only(folder)
    mount_tmpfs(place / "tmp", _ROOM)
    ended = run_forked(world.argv(name), place)
    unmount(place / "tmp")
    unmount(folder)
    note = f"{os.path.relpath(folder, place)} is read-only"
    return _compare(world, name, place, ended, ended.code != 0, note)
