"""A loader process that dies, and memory that runs out: one line, code 2, and nothing lost."""

import contextlib
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from faults.commands import World
from faults.forked import Ended, start_forked
from faults.trials import Trial, lost_meanwhile, random_of, with_second_run

LOADERS = ("loader of train", "loader of ensemble", "loader of blend")
MEMORY = (
    "train",
    "resume",
    "soup",
    "ensemble",
    "blend",
    "fast",
    "again",
    "folds",
    "report",
    "page",
)


def cases(world: World) -> Sequence[str]:
    """Commands without enough memory, and commands with loader processes."""
    return [*MEMORY, *LOADERS]


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Let a command lack something, run it again, and compare."""
    rng, started = random_of("starved", case, number, seed), time.monotonic()
    name = case.split()[-1]
    world.restore(name, place)
    if case in LOADERS:
        ended, note = _kill_loader(world, name, rng, place)
    else:
        more = 2 ** rng.uniform(-2, 6)
        note = f"{more:.1f} MiB more than at the start"
        ended = start_forked(world.argv(name), place, limit_memory(round(more * 2**20))).wait()
    losses = lost_meanwhile(world, name, place) + _unexpected(ended)
    lost, silent, left = with_second_run(world, name, place, losses)
    seconds, met = time.monotonic() - started, ended.code != 0
    return Trial("starved", case, number, lost, silent, left, seconds, note, met)


def _unexpected(ended: Ended) -> list[str]:
    """What a command that lacks something may not do.

    Libraries that find no memory may end the process, which is as a kill.
    """
    one_line = ended.code == 2 and len(ended.errors) == 1 and not ended.traceback
    by_libraries = ended.code in (-signal.SIGABRT, -signal.SIGSEGV) or "ABORT" in ended.output
    if ended.code == 0 or one_line or by_libraries:
        return []
    return [f"it ended with {ended.code}: {ended.output[-1500:]}"]


def limit_memory(more: int) -> Callable[[], None]:
    """A hook: the process may take so many bytes more than it has."""

    def hook() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return hook


def _kill_loader(world: World, name: str, rng: random.Random, place: Path) -> tuple[Ended, str]:
    """Run a command with two loader processes, of which one is killed; what happened, in words."""
    running = start_forked([*world.argv(name), "--workers", "2"], place)
    after, moment = rng.randint(1, 2), rng.uniform(0, 0.2)
    seen: list[int] = []
    while (ended := running.ended()) is None:
        seen += [pid for pid in _children(running.pid) if pid not in seen]
        if len(seen) >= after:
            time.sleep(moment)
            with contextlib.suppress(ProcessLookupError):
                os.kill(seen[after - 1], signal.SIGKILL)
            return running.wait(), f"loader process {after} killed {moment:.3f} s after its start"
        time.sleep(0.001)
    return ended, "ended with fewer loader processes"


def _children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
