"""Fault trials: commands of the kit meet faults, and nothing may be lost.

    python tests/fault_trials.py                           # a few of each kind
    python tests/fault_trials.py kills --trials 500        # many of one kind
    python tests/fault_trials.py --only kills:train:17     # one again

prints a table: for each kind and case how many trials there were, how many faults were met before
the command had ended, and what was lost. The exit code is 1 if anything was. Kinds are the
modules of `tests/faults/` that have the functions `cases` and `trial`.
"""

import argparse
import importlib
import itertools
import os
import pkgutil
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

os.environ["OMP_NUM_THREADS"] = "1"  # before torch starts: no threads, so that forks are whole

import faults
from faults.commands import World, world_at
from faults.trials import Trial


def kinds() -> dict[str, ModuleType]:
    """The modules that are a kind of fault, by their names."""
    names = [module.name for module in pkgutil.iter_modules(faults.__path__)]
    modules = {name: importlib.import_module(f"faults.{name}") for name in names}
    return {n: m for n, m in modules.items() if hasattr(m, "cases") and hasattr(m, "trial")}


def plan_trials(
    world: World, chosen: Sequence[str], trials: int, only: Sequence[str]
) -> Iterator[tuple[str, str, int]]:
    """The kind, case and number of each trial: `only` these, else so many of each chosen kind."""
    if only:
        for name in only:
            kind, case, number = name.split(":")
            yield kind, case, int(number)
        return
    for kind in chosen:
        cases, numbers = kinds()[kind].cases(world), Counter[str]()
        for case in itertools.islice(itertools.cycle(cases), trials):
            yield kind, case, numbers[case]
            numbers[case] += 1


def run_trials(
    world: World, planned: Iterator[tuple[str, str, int]], seed: int, folder: Path
) -> Iterator[Trial]:
    """Run trials; of those that lost something the folder stays."""
    for kind, case, number in planned:
        place = folder / f"{kind}-{case}-{number}" / "work"
        place.parent.mkdir(parents=True, exist_ok=True)
        trial = kinds()[kind].trial(world, case, number, seed, place)
        if trial.good:
            shutil.rmtree(place.parent)
        yield trial


def table(trials: Sequence[Trial]) -> list[str]:
    """The table of trials by kind and case, as Markdown."""
    lines = [
        "| kind | case | trials | faults met | losses | silent wrong results | left | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.kind, trial.case), []).append(trial)
    rows = [(kind, case, some) for (kind, case), some in groups.items()]
    for kind, case, some in [*rows, ("all", "", list(trials))]:
        bad = zip(*((bool(t.losses), bool(t.silent), bool(t.left)) for t in some))
        counts = [len(some), sum(t.met + t.more for t in some), *map(sum, bad)]
        cells = [kind, case, *map(str, counts), f"{sum(t.seconds for t in some):.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(kinds())} (default: all)")
    parser.add_argument("--trials", type=int, default=8, metavar="N", help="of each kind (8)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (0)")
    parser.add_argument("--only", nargs="+", default=[], metavar="KIND:CASE:NUMBER")
    parser.add_argument("--folder", type=Path, help="where to work, and keep what went wrong")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trials that a command line names; 1 if one of them lost something."""
    parser = build_parser()
    args = parser.parse_args(argv)
    unknown = [kind for kind in args.kinds if kind not in kinds()]
    if unknown:
        parser.error(f"there is no kind {unknown[0]}; take {', '.join(kinds())}")
    for name in args.only:
        kind, _, rest = name.partition(":")
        if kind not in kinds() or not re.fullmatch("[^:]+:[0-9]+", rest):
            parser.error(f"--only {name}: is no KIND:CASE:NUMBER of {', '.join(kinds())}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, too
    folder = args.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    started, trials = time.monotonic(), list[Trial]()
    world = world_at(folder / "world")
    print(f"the world took {time.monotonic() - started:.0f} s", flush=True)
    planned = list(plan_trials(world, args.kinds or list(kinds()), args.trials, args.only))
    for kind, case, _ in planned:
        if case not in (cases := kinds()[kind].cases(world)):
            parser.error(f"--only: {kind} has no case {case}; take {', '.join(cases)}")
    try:
        for trial in run_trials(world, iter(planned), args.seed, folder / "trials"):
            trials.append(trial)
            if not trial.good or args.only:
                left = [f"left over: {name}" for name in trial.left]
                said = [f"{trial.name}: {trial.note}", *trial.losses, *trial.silent, *left]
                print("\n  ".join(said), flush=True)
    except KeyboardInterrupt:
        print("stopped")
    print("\n".join(table(trials)))
    if args.folder is None:
        shutil.rmtree(folder)
    return int(any(not trial.good for trial in trials))


if __name__ == "__main__":
    sys.exit(main())
