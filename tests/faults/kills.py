"""SIGKILL at random moments of every command: at times, and at operations on files.

After a plain second run results equal the undisturbed ones, and nothing is left over. A quarter of
the second runs is killed, too.
"""

import functools
import random
import time
from collections.abc import Sequence
from pathlib import Path

from faults.commands import World
from faults.forked import Ended, start_forked
from faults.moments import kill_at, operations_of
from faults.trials import Trial, lost_meanwhile, random_of, with_second_run

LONG = ("sample", "side", "report", "page", "tune")  # which take seconds
# One process of those side by side dies, and its command goes on.
WORKERS = {"worker": "side", "worker of blend": "blend"}
TWO = ("--device", "cpu,cpu")


def cases(world: World) -> Sequence[str]:
    """Every command of the world, and a process of those side by side; quick ones more often."""
    quick = [name for name in world.commands if name not in LONG]
    return [*world.commands, *WORKERS, *quick, *quick, *quick]


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Kill a command, run it again, and compare."""
    rng, started = random_of("kills", case, number, seed), time.monotonic()
    name = WORKERS.get(case, case)
    world.restore(name, place)
    if case in WORKERS:
        ended, note = _kill_worker(world, name, rng, place)
        losses = [] if ended.code == 0 else [f"one worker's end ended all: {ended.output[-500:]}"]
    else:
        ended, note = _kill(world, name, rng, place)
        losses = lost_meanwhile(world, name, place)
    met, more = ended.code < 0 or case in WORKERS, 0
    if ended.code < 0 and rng.random() < 0.25:
        second, moment = _kill(world, name, rng, place)
        note, more = f"{note}; then {moment}", int(second.code < 0)
        losses += _unexpected(second) + lost_meanwhile(world, name, place)
    losses += _unexpected(ended)
    lost, silent, left = with_second_run(world, name, place, losses)
    seconds = time.monotonic() - started
    return Trial("kills", case, number, lost, silent, left, seconds, note, met, more)


def _unexpected(ended: Ended) -> list[str]:
    """What a command that was killed, or had ended before, may not say."""
    refused = ended.code == 2 and all("exists already" in line for line in ended.errors)
    if ended.code <= 0 and not ended.traceback or refused:
        return []
    return [f"it ended with {ended.code}: {ended.output[-500:]}"]


def _kill(world: World, name: str, rng: random.Random, place: Path) -> tuple[Ended, str]:
    """Run a command that is killed, most often with all its processes; what happened, in words."""
    group = rng.random() < 0.7
    if rng.random() < 0.5 or not operations_of(world, name):  # of side by side, others write
        moment = rng.uniform(0, 1.1 * world.seconds[name])
        running = start_forked(world.argv(name), place)
        deadline = time.monotonic() + moment
        while time.monotonic() < deadline:
            if (ended := running.ended()) is not None:
                return ended, f"ended before {moment:.3f} s"
            time.sleep(0.001)
        note = f"after {moment:.3f} s"
        running.kill(group=group)
    else:
        at = rng.randint(1, operations_of(world, name))
        delay = rng.choice((0.0, 0.0, rng.uniform(1e-6, 3e-3)))
        note = f"at operation {at}" + f" and {delay * 1e3:.3f} ms" * bool(delay)
        running = start_forked(
            world.argv(name), place, functools.partial(kill_at, place, at, delay)
        )
    ended = running.wait()
    if group:
        running.kill()
    return ended, note + ", all its processes" * group


def _kill_worker(world: World, name: str, rng: random.Random, place: Path) -> tuple[Ended, str]:
    """Run a command side by side, of which one process is killed; what happened, in words."""
    at = rng.randint(1, operations_of(world, name, children=True, words=TWO))
    delay = rng.choice((0.0, rng.uniform(1e-6, 3e-3)))
    hook = functools.partial(kill_at, place, at, delay, children=True)
    ended = start_forked([*world.argv(name), *TWO], place, hook).wait()
    return ended, f"a worker at operation {at}" + f" and {delay * 1e3:.3f} ms" * bool(delay)
