"""Power cuts: what a disk may hold when the power fails after any call, and what comes of it.

A command's calls are recorded while it runs undisturbed. For a cut after the first k of them its
folder is built anew as a file system may leave it: what was synced is there, and of the rest any
part is. The same command must then end with the undisturbed results; and whatever is left of a
command that had ended before the cut must be all of its results.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.calls import Recorder
from faults.commands import World
from faults.digests import differences, digest
from faults.forked import run_forked
from faults.replays import LOSSES, Replay
from faults.trials import Trial, lost_meanwhile, random_of, with_second_run

_replays: dict[Path, Replay] = {}


def cases(world: World) -> Sequence[str]:
    """Every command of the world, with the quickest first."""
    return sorted(world.commands, key=world.seconds.__getitem__)


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Cut the power after one of a command's calls, or when it has ended; run it again, compare."""
    rng, started = random_of("power", case, number, seed), time.monotonic()
    replay = replay_of(world, case)
    loss, end = LOSSES[number % len(LOSSES)], len(replay.calls)
    met = rng.random() < 0.8  # before it had ended
    if met:
        end = rng.randrange(end)
    build(replay.cut(end, loss, rng), place)
    losses = lost_meanwhile(world, case, place)
    if not met:
        losses += differences(world.after[case], digest(place))
    lost, silent, left = with_second_run(world, case, place, losses)
    last = replay.calls[end - 1] if end else None
    note = f"after call {end} of {len(replay.calls)} ({last}), {loss}"
    seconds = time.monotonic() - started
    return Trial("power", case, number, lost, silent, left, seconds, note, met)


def replay_of(world: World, name: str) -> Replay:
    """The calls of an undisturbed command, recorded once in this process.

    Raises `RuntimeError` if one escapes the record: then the cuts would be none.
    """
    place = world.root / "recorded" / name
    if place not in _replays:
        out = world.root / "calls" / name
        recorder = Recorder(world.restore(name, place), out, world.data)
        ended = run_forked(world.argv(name), place, recorder.start)
        replay = Replay(world.root / "before" / name, place, recorder)
        wrong = [*replay.escaped, *differences(world.after[name], digest(place))]
        if ended.code or wrong:
            raise RuntimeError(f"{name} was not recorded: {wrong}\n{ended.output}")
        _replays[place] = replay
    return _replays[place]


def build(files: Mapping[str, bytes], place: Path) -> Path:
    """The folder of files, made anew; `tmp/` does not outlast a start of the machine."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path, content in files.items():
        if path.startswith("tmp/"):
            continue
        if path.endswith("/"):
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)
    return place
