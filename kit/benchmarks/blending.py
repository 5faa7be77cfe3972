"""The speed of fitting blends."""

import functools
import resource
import time
from typing import Final

import numpy as np
import pandas as pd

from kit.benchmarks.synthetic import drawn_members
from kit.benchmarks.timing import Table
from kit.blending.early import exact_stopping_rule, run_passes
from kit.blending.fit import fit_rule, nested
from kit.competitions.mask import NUM_CLASSES
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import fast_macro_f1
from kit.system.console import Progress

# Blends and decisions.
_FITS: Final = (("mean", "argmax"), ("mean", "bias"), ("weights", "argmax"), ("greedy", "argmax"))

# Members that are decided early, at most.
_EARLY: Final = 10


def bench_blend(people: int, members: int) -> Table:
    """Seconds of fitting each blend and the class biases, alone and nested in five folds, and the
    share of passes that `--fast` saves.
    """
    probs, photos = drawn_members(people, members)
    rows, classes = [], {}
    with Progress("bench blend", len(_FITS) + 1, "fits") as progress:
        for blend, decision in _FITS:
            row, classes[blend, decision] = _time_fit(probs, photos, blend, decision)
            rows.append(row)
            progress.advance()
        rows.append(_time_draws(photos, classes["greedy", "argmax"], classes["mean", "argmax"]))
        progress.advance()
    count = min(members, _EARLY)
    saved = _saved_by_deciding_early(probs[:count])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(
        f"Blending {members} members x {len(photos):,} photos x {NUM_CLASSES} classes",
        ["", "s once", "s with five nested", "in-sample", "nested"],
        rows,
        f"deciding early, the first {count} members: {saved:.1%} of the passes saved; peak memory "
        f"{peak:,.0f} MB",
        {
            "seconds_nested": {row[0]: float(row[2]) for row in rows},
            "saved": saved,
            "peak_MB": peak,
        },
    )


def _time_fit(
    probs: np.ndarray, photos: pd.DataFrame, blend: str, decision: str
) -> tuple[list[str], np.ndarray]:
    """Fit a blend once and nested: the table's row, and the nested classes (N,)."""
    label, person, fold = (photos[name].to_numpy() for name in ("label", "person", "fold"))
    started = time.perf_counter()
    rule = fit_rule(probs, label, person, blend, decision)
    once = time.perf_counter() - started
    fit = functools.partial(fit_rule, blend=blend, decision=decision)
    classes, _, _ = nested(probs, label, person, fold, fit)
    row = [
        f"{blend} + {decision}",
        f"{once:.1f}",
        f"{time.perf_counter() - started:.1f}",
        f"{fast_macro_f1(rule.classes(probs), label):.4f}",
        f"{fast_macro_f1(classes, label):.4f}",
    ]
    return row, classes


def _time_draws(photos: pd.DataFrame, classes: np.ndarray, base: np.ndarray) -> list[str]:
    """Compare classes (N,) with others by the bootstrap over people: the table's row."""
    started = time.perf_counter()
    bootstrap = GroupBootstrap(photos["person"].to_numpy(), photos["label"].to_numpy())
    gains = bootstrap.macro(classes) - bootstrap.macro(base)
    seconds = f"{time.perf_counter() - started:.1f}"
    return [f"{len(gains):,} draws of people, twice", "", seconds, "", ""]


def _saved_by_deciding_early(probs: np.ndarray) -> float:
    """The share of passes of members (M, N, C) that need not run for the classes of their mean."""
    members, photos = probs.shape[:2]
    _, taken = run_passes(
        lambda member, rows: probs[member, rows],
        np.full(members, 1 / members),
        np.ones(NUM_CLASSES),
        exact_stopping_rule(members),
        photos,
    )
    return float(1 - taken.mean() / members)
