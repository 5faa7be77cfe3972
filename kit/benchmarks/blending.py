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
from kit.blending.target import Target
from kit.competition import Competition
from kit.competitions import DEFAULT, find_competition
from kit.data.targets import targets
from kit.metrics.metric import metric_of
from kit.scoring.bootstrap import GroupBootstrap
from kit.system.console import Progress

# Blends and decisions.
_FITS: Final = (("mean", "argmax"), ("mean", "bias"), ("weights", "argmax"), ("greedy", "argmax"))
# Members that are decided early, at most.
_EARLY: Final = 10


def bench_blend(groups: int, members: int) -> Table:
    """The seconds of fitting each blend, and the share of passes that `--fast` saves.

    Blends and class biases are fitted once to all photos, and nested in five folds.
    """
    competition = find_competition(DEFAULT)
    probs, photos = drawn_members(groups, members, competition)
    rows, classes = [], {}
    with Progress("bench blend", len(_FITS) + 1, "fits") as progress:
        for blend, decision in _FITS:
            row, classes[blend, decision] = _time_fit(probs, photos, (blend, decision), competition)
            rows.append(row)
            progress.advance()
        greedy, mean = classes["greedy", "argmax"], classes["mean", "argmax"]
        rows.append(_time_draws(photos, greedy, mean, competition))
        progress.advance()
    count = min(members, _EARLY)
    saved = _saved_by_deciding_early(probs[:count])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(
        f"Blending {members} members x {len(photos):,} photos x {competition.num_classes} classes",
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
    probs: np.ndarray, photos: pd.DataFrame, fit: tuple[str, str], competition: Competition
) -> tuple[list[str], np.ndarray]:
    """Fit a blend once and nested: the table's row, and the nested classes (N,)."""
    (blend, decision), fold = fit, photos["fold"].to_numpy()
    target = Target(targets(photos, competition), photos["group"].to_numpy(), competition)
    started = time.perf_counter()
    rule = fit_rule(probs, target, blend, decision)
    once = time.perf_counter() - started
    fitting = functools.partial(fit_rule, blend=blend, decision=decision)
    classes, _, _ = nested(probs, target, fold, fitting)
    row = [
        f"{blend} + {decision}",
        f"{once:.1f}",
        f"{time.perf_counter() - started:.1f}",
        f"{target.score(rule.classes(probs)):.4f}",
        f"{target.score(classes):.4f}",
    ]
    return row, classes


def _time_draws(
    photos: pd.DataFrame, classes: np.ndarray, base: np.ndarray, competition: Competition
) -> list[str]:
    """The table's row of comparing classes (N,) with others by the bootstrap over groups."""
    started = time.perf_counter()
    groups, truth = photos["group"].to_numpy(), targets(photos, competition)
    metric = metric_of(competition)
    bootstrap = GroupBootstrap(groups, truth, competition.num_classes, metric)
    gains = bootstrap.draws(classes) - bootstrap.draws(base)
    seconds = f"{time.perf_counter() - started:.1f}"
    return [f"{len(gains):,} draws of {competition.groups}, twice", "", seconds, "", ""]


def _saved_by_deciding_early(probs: np.ndarray) -> float:
    """The share of passes of members (M, N, C) that need not run for the classes of their mean."""
    members, photos, _ = probs.shape
    _, taken = run_passes(
        lambda member, rows: probs[member, rows],
        np.full(members, 1 / members),
        np.ones(probs.shape[2]),
        exact_stopping_rule(members),
        photos,
    )
    return float(1 - taken.mean() / members)
