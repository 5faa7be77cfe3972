"""Measure the kit's speed and memory on this machine.

    python -m kit.bench folds --people 142858

plans 5 folds for a table of that many people with seven photos each, without photos, and times every stage.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from kit.console import Parser, command, say, show_table
from kit.errors import KitError
from kit.folds import assign_folds, imbalance
from kit.labels import SHOTS
from kit.tables import label_photos, write_plan

Result = TypeVar("Result")


def drawn_photos(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, person, age, label` of `people` people with seven photos each, ages as in the competition."""
    rng = np.random.default_rng(seed)
    adult = np.where(rng.random(people) < 0.5, rng.integers(18, 30, people), rng.integers(30, 60, people))
    years = np.where(rng.random(people) < 0.07, 60, adult)
    gender = np.where(rng.random(people) < 0.6, "female", "male")
    person = np.array([f"{i:06d}_{g}_Asian_{y}" for i, (g, y) in enumerate(zip(gender, years))], dtype=object)
    n = len(SHOTS)
    photos = pd.DataFrame({"person": np.repeat(person, n), "gender": np.repeat(gender, n), "age": np.repeat(years, n),
                           "mask": np.tile(list(SHOTS.values()), people)})
    photos["image"] = photos["person"] + "/" + np.tile(list(SHOTS), people) + ".jpg"
    photos["label"] = label_photos(photos)
    return photos[["image", "person", "age", "label"]]


def bench_folds(people: int) -> dict[str, float]:
    """Seconds of each stage of planning 5 folds for a drawn table, and the process's peak memory in MB."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started
        return result

    photos = drawn_photos(people)
    photos["fold"] = timed("assign folds", lambda: assign_folds(photos, 5, 42))
    unbalanced = timed("check the balance", lambda: imbalance(photos))
    with tempfile.TemporaryDirectory() as folder:
        ordered = timed("sort", lambda: photos.sort_values("image", ignore_index=True))
        timed("write and read back", lambda: write_plan(Path(folder) / "folds.csv", ordered, {}))
    if unbalanced:
        raise KitError(f"the plan is not balanced: {unbalanced[0]}")
    return seconds | {"peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.bench", description=__doc__)
    parser.add_argument("what", choices=["folds"], help="what to measure")
    parser.add_argument("--people", type=int, default=142_858, help="people in the table (default: 142858, a million photos)")
    args = parser.parse_args(argv)
    if not 1000 <= args.people <= 2_000_000:
        raise KitError(f"--people {args.people}: take 1000, so that every class has enough people, to 2000000")
    result = bench_folds(args.people)
    peak = result.pop("peak MB")
    show_table(f"Planning {args.people * len(SHOTS):,} photos of {args.people:,} people", ["stage", "seconds"],
               [[name, f"{value:.2f}"] for name, value in result.items()], ["all", f"{sum(result.values()):.2f}"])
    say(f"peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
