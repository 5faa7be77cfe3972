"""Two processes at once on one fold, cache, log, submission or search.

One waits, or is refused in one line; what comes out is what one after the other gives.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from faults.commands import CPU, World
from faults.digests import differences, digest, leftovers
from faults.forked import Ended, run_forked, start_forked
from faults.trials import Trial, random_of

_REFUSED = re.compile(
    r"error: .*(another process is training this fold|another process searches here|exists already)"
)
_expected: dict[str, dict[str, str]] = {}  # what one after the other gives, by the case


def commands_of(world: World, case: str) -> tuple[str, list[Sequence[str]]]:
    """The command that the folder is that before, and the words of both."""
    if case in world.commands:
        return case, [world.argv(case)] * 2
    place = ["--data", str(world.data)]
    train = ["train", "mine.py", *place, *CPU, "--save-minutes", "0.00001", "--fold"]
    ensemble = ["ensemble", "runs/mine", *place, *CPU, "--tta", "hflip"]
    record = [["compare", "--record", file, "--public", ".4"] for file in ("mine", "blend")]
    return {
        "cache": ("train", [[*train, "0"], [*train, "1"]]),
        "log": ("record", record),
        "blocks": ("ensemble", [[*ensemble, "--out", f"submissions/{n}.csv"] for n in "ab"]),
    }[case]


def cases(world: World) -> Sequence[str]:
    """Two equal commands, and pairs that share a cache, a log, or kept probabilities."""
    equal = ["train", "resume", "side", "soup", "ensemble", "folds", "tune"]
    return [*equal, "cache", "log", "blocks"]


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Run two commands at once, and compare with one after the other."""
    rng, started = random_of("pairs", case, number, seed), time.monotonic()
    name, words = commands_of(world, case)
    if case not in _expected:
        _expected[case] = _one_after_the_other(world, name, words, place)
    world.restore(name, place)
    offset, killed = rng.uniform(0, 0.5 * world.seconds[name]), rng.random() < 0.3
    logs = [place.with_name(f"{n}.log") for n in (1, 2)]
    first = start_forked(words[0], place, log=logs[0])
    time.sleep(offset)
    second = start_forked(words[1], place, log=logs[1])
    note = f"the second {offset:.3f} s after the first"
    if killed:
        moment = rng.uniform(0, world.seconds[name])
        time.sleep(moment)
        first.kill()
        note += f", which was killed {moment:.3f} s later"
    both = [running.wait() for running in (first, second)]
    if killed or any(ended.code for ended in both):
        both += [run_forked(argv, place) for argv in words]  # as a person then does
    losses = [line for ended in both for line in _unexpected(ended)]
    different = differences(_expected[case], digest(place))
    seconds, left = time.monotonic() - started, tuple(leftovers(place))
    return Trial("pairs", case, number, tuple(losses), tuple(different), left, seconds, note)


def _one_after_the_other(
    world: World, name: str, words: Sequence[Sequence[str]], place: Path
) -> dict[str, str]:
    """What two commands leave, of which one runs after the other."""
    world.restore(name, place)
    for argv in words:
        run_forked(argv, place)
    return digest(place)


def _unexpected(ended: Ended) -> list[str]:
    """What one of two commands may not do: it ends well, is killed, or is refused in one line."""
    refused = ended.code == 2 and len(ended.errors) == 1 and _REFUSED.match(ended.errors[0])
    if not ended.traceback and (ended.code <= 0 or refused):
        return []
    return [f"it ended with {ended.code}: {ended.output[-1500:]}"]
