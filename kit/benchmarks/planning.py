"""The speed of planning folds, and of the leak audit's search."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from kit.benchmarks.synthetic import drawn_photos
from kit.benchmarks.timing import Result, Table
from kit.competitions import DEFAULT, find_competition
from kit.data.candidates import candidates
from kit.data.features import CODE_BITS
from kit.data.plan import write_plan
from kit.data.split import assign_folds, imbalance
from kit.system.console import Progress

# Photos of a group, and codes of a photo, in the audit's search.
_SHOTS: Final = 7
_CODES: Final = 90


def bench_folds(groups: int) -> Table:
    """The seconds of each stage of planning 5 folds for a drawn table, and the peak memory.

    The table has no photos behind it.
    """
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started
        return result

    competition = find_competition(DEFAULT)
    photos = drawn_photos(groups, competition)
    photos["fold"] = timed("assign folds", lambda: assign_folds(photos, competition, 5, 42))
    unbalanced = timed("check the balance", lambda: imbalance(photos, competition))
    with tempfile.TemporaryDirectory() as folder:
        ordered = timed("sort", lambda: photos.sort_values("image", ignore_index=True))
        path = Path(folder) / "folds.csv"
        timed("write and read back", lambda: write_plan(path, ordered, competition, {}))
    assert not unbalanced, unbalanced[0]  # a bug
    peak = _peak_megabytes()
    return Table(
        f"Planning {len(photos):,} photos of {groups:,} {competition.groups}",
        ["stage", "seconds"],
        [
            [name, f"{value:.2f}"]
            for name, value in (seconds | {"all": sum(seconds.values())}).items()
        ],
        f"peak memory {peak:,.0f} MB",
        {"seconds": seconds, "peak_MB": peak},
    )


def bench_audit(people: int) -> Table:
    """Seconds and memory of the leak audit's search among drawn codes of seven photos a group.

    A tenth of the groups have a copy of one in another group.
    """
    codes = _drawn_codes(people)
    copies = [(a, a + people // 2) for a in range(people // 10)]
    for a, b in copies:
        codes[b, 0, :8] = codes[a, 0, -8:]
    owner = np.repeat(np.arange(people, dtype=np.int32), _SHOTS * _CODES)
    before, started = _peak_megabytes(), time.perf_counter()
    pairs = candidates(codes.ravel(), owner, people)
    seconds, peak = time.perf_counter() - started, _peak_megabytes()
    share = len(set(copies) & set(pairs)) / len(copies)
    return Table(
        f"The leak audit's search among {_SHOTS * people:,} photos of {people:,} people",
        ["what", "found"],
        [
            ["copies", f"{share:.1%}"],
            ["other pairs", str(len(set(pairs) - set(copies)))],
            ["seconds", f"{seconds:.1f}"],
        ],
        f"peak memory {peak:,.0f} MB, {before:,.0f} of them before the search",
        {"seconds": seconds, "peak_MB": peak, "copies": share, "candidates": len(pairs)},
    )


def _drawn_codes(people: int) -> np.ndarray:
    """Codes (people, shots, codes) uint64 of drawn photos.

    A bit of a code is 1 with a probability of .77: so two groups share a code as often as two
    people's portraits do. A group's photos have half of their 90 codes in common; a copy keeps 8.
    """
    rng = np.random.default_rng(0)
    codes = np.empty((people, _SHOTS, _CODES), np.uint64)
    shared = _CODES // 2
    with Progress("drawing codes", people, "people") as progress:
        for of_group in codes:
            bits = rng.random(((_SHOTS + 1) * shared, CODE_BITS), np.float32) < 0.77
            unsure = rng.integers(6, CODE_BITS, len(bits), np.uint64) << np.uint64(CODE_BITS)
            drawn = bits @ (1 << np.arange(CODE_BITS, dtype=np.uint64)) | unsure
            of_group[:, :shared] = drawn[:shared]
            of_group[:, shared:] = drawn[shared:].reshape(_SHOTS, shared)
            progress.advance()
    return codes


def _peak_megabytes() -> float:
    """The most memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
