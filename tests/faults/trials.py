"""One trial: a command meets a fault, is run again, and what came out is compared.

A module of this package is a kind of fault if it has both functions:

    cases(world) -> names of what it tries, most often of the world's commands
    trial(world, case, number, seed, place) -> Trial

`tests/fault_trials.py` finds it by its name and calls `trial` for the numbers 0, 1, ... of each
case. All that is random comes from `random_of(...)`, so that a trial can be repeated. `place` is a
folder that does not exist.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.commands import World
from faults.digests import differences, digest, leftovers
from faults.forked import Ended, run_forked


@dataclass(frozen=True)
class Trial:
    """What came of a trial: nothing was lost if `losses`, `silent` and `left` are empty.

    `losses` are results that are gone, or that no plain second run makes equal to the undisturbed
    ones, and errors that are a traceback or no single line; `silent` are wrong results that nobody
    was told of; `left` is what stays half-written or left over. `note` says what the fault was, and
    `met` whether it came before the command had ended; `more` are further faults that were met.
    """

    kind: str
    case: str
    number: int
    losses: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    seconds: float = 0.0
    note: str = ""
    met: bool = True
    more: int = 0

    @property
    def good(self) -> bool:
        """True if nothing was lost."""
        return not (self.losses or self.silent or self.left)

    @property
    def name(self) -> str:
        """What `--only` takes to repeat it."""
        return f"{self.kind}:{self.case}:{self.number}"


def random_of(kind: str, case: str, number: int, seed: int) -> random.Random:
    """The random numbers of a trial."""
    return random.Random(f"{kind}:{case}:{number}:{seed}")


def lost_meanwhile(world: World, name: str, place: Path) -> list[str]:
    """What a command found finished, and does not change, that is not there after a fault."""
    before, after, now = world.before[name], world.after[name], digest(place)
    kept = {path: value for path, value in before.items() if after.get(path) == value}
    return [f"{path} was lost" for path, value in kept.items() if now.get(path) != value]


def with_second_run(
    world: World, name: str, place: Path, losses: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The losses, silent wrong results and left-over files of a trial, after `run_again`.

    What then differs is silent if the second run ended well; else it joins the `losses` so far.
    """
    different, left, again = run_again(world, name, place)
    if again.code:
        return (*losses, *different), (), tuple(left)
    return tuple(losses), tuple(different), tuple(left)


def run_again(world: World, name: str, place: Path) -> tuple[list[str], list[str], Ended]:
    """The same command after a fault, as a person would run it: losses, left-over files, its end.

    Where it is refused because its output exists, that is the whole output.
    """
    ended = run_forked(world.argv(name), place)
    refused = ended.code == 2 and any("exists already" in line for line in ended.errors)
    losses = differences(world.after[name], digest(place))
    if ended.code and not refused:
        losses.append(f"the second run ended with {ended.code}: {ended.output[-500:]}")
    return losses, leftovers(place), ended
