"""The speed of fitting blends."""

import functools
import resource
import time

import numpy as np

from kit.benchmarks.synthetic import drawn_members
from kit.benchmarks.timing import Table
from kit.blending.early import exact_stopping_rule, run_passes
from kit.blending.fit import fit_rule, nested
from kit.competitions.mask import NUM_CLASSES
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import fast_macro_f1
from kit.system.console import Progress


def bench_blend(people: int, members: int) -> Table:
    """Seconds of fitting each blend and the class biases, alone and nested in five folds, and the
    passes that `--fast` saves.
    """
    probs, photos = drawn_members(people, members)
    label, person, fold = (photos[name].to_numpy() for name in ("label", "person", "fold"))
    rows, kept = [], {}
    with Progress("bench blend", 5, "fits") as progress:
        for blend, decision in (
            ("mean", "argmax"),
            ("mean", "bias"),
            ("weights", "argmax"),
            ("greedy", "argmax"),
        ):
            started = time.perf_counter()
            rule = fit_rule(probs, label, person, blend, decision)
            once = time.perf_counter() - started
            classes, _, _ = nested(
                probs,
                label,
                person,
                fold,
                functools.partial(fit_rule, blend=blend, decision=decision),
            )
            kept[blend, decision] = classes
            rows.append(
                [
                    f"{blend} + {decision}",
                    f"{once:.1f}",
                    f"{time.perf_counter() - started:.1f}",
                    f"{fast_macro_f1(rule.classes(probs), label):.4f}",
                    f"{fast_macro_f1(classes, label):.4f}",
                ]
            )
            progress.advance()
        started = time.perf_counter()
        of = GroupBootstrap(person, label)
        draws = of.macro(kept["greedy", "argmax"]) - of.macro(kept["mean", "argmax"])
        rows.append(
            [
                f"{len(draws):,} draws of people, twice",
                "",
                f"{time.perf_counter() - started:.1f}",
                "",
                "",
            ]
        )
        progress.advance()
    count = min(members, 10)
    weights = np.full(count, 1 / count)
    _, taken = run_passes(
        lambda p, at: probs[p, at],
        weights,
        np.ones(NUM_CLASSES),
        exact_stopping_rule(count),
        len(photos),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(
        f"Blending {members} members x {len(photos):,} photos x {NUM_CLASSES} classes",
        ["", "s once", "s with five nested", "in-sample", "nested"],
        rows,
        f"deciding early, the first {count} members: {1 - taken.mean() / count:.1%} of the passes "
        "saved; peak memory "
        f"{peak:,.0f} MB",
        {
            "seconds_nested": {row[0]: float(row[2]) for row in rows},
            "saved": float(1 - taken.mean() / count),
            "peak_MB": peak,
        },
    )
