"""From members and a rule to the classes of photos."""

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.blending.close_calls import (
    ROUNDING_CONFIDENCE,
    ROUNDING_SHARE,
    Recomputed,
    recompute_close_calls,
    rounding_errors,
    rounding_sample,
)
from kit.blending.early import exact_stopping_rule, margins_over_next, remaining_weights, run_passes
from kit.blending.margins import fit_stopping_rule, sample_size
from kit.blending.rule import Rule, decide
from kit.blending.settings import LINEAR, Settings
from kit.competitions.mask import NUM_CLASSES
from kit.data.folder import eval_images
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member
from kit.inference.members import inference_modes
from kit.inference.passes import Passes, predict_passes
from kit.inference.views import make_views
from kit.results.probs import Probs
from kit.system.console import Progress, warn
from kit.system.profiler import stage


@dataclass(frozen=True)
class Outcome:
    """The classes (N,) of the photos, and how they came about: seconds a view, passes of networks,
    early decisions.

    `blended` (N, 18) are the sums that were decided, which of photos that were decided early are of
    fewer passes.
    """

    classes: np.ndarray
    blended: np.ndarray
    views: dict[str, float]
    record: dict[str, Any]


def blend_in_full(
    members: Sequence[Member],
    rule: Rule,
    data: Path,
    ids: Sequence[str],
    settings: Settings,
    engine: Compute,
) -> Outcome:
    """Run every checkpoint with every view on every photo, what is kept from before excepted, and
    decide.
    """
    views = list(make_views(settings.tta, settings.force_views))
    checkpoints = [(m, c) for m, member in enumerate(members) for c in member.checkpoints]
    found: dict[tuple[int, str], Probs] = {}
    computed = 0
    if checkpoints:
        found, computed = predict_passes(
            [c for _, c in checkpoints],
            eval_images(data),
            ids,
            settings.tta,
            engine,
            settings.force_views,
        )
    # In the order that `Passes` has, view by view; each member's mean over its folds and views.
    passes = [
        (m, table)
        for view in views
        for m, member in enumerate(members)
        for table in (
            [found[c, view] for c, (owner, _) in enumerate(checkpoints) if owner == m]
            + [member.test for _ in range(1) if member.test is not None and view == "plain"]
        )
    ]
    blended = _blended(
        rule, [m for m, _ in passes], (table.at(ids) for _, table in passes), len(ids)
    )
    seconds = {view: sum(found[c, view].seconds for c in range(len(checkpoints))) for view in views}
    record: dict[str, Any] = {"passes": len(checkpoints) * len(views), "passes_computed": computed}
    if _rounded(members, engine):
        exact = _exact(members, data, ids, settings, engine)

        def recompute(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            sums = _blended(rule, exact.owners, exact.rows_of_all(rows), len(rows))
            return sums, sums

        before = decide(blended, rule.gains)
        with (
            contextlib.closing(exact),
            stage("close calls in fp32"),
            Progress("close calls in fp32", len(ids)) as progress,
        ):
            drawn = rounding_sample(len(ids))
            settled = recompute_close_calls(
                recompute,
                blended,
                rule.gains,
                margins_over_next(blended, rule.gains, np.zeros(len(ids))),
                drawn,
                progress,
            )
        blended = settled.total
        record["close"] = _close(settled, len(drawn), before, decide(blended, rule.gains), exact)
    return Outcome(decide(blended, rule.gains), blended, seconds, record)


def _blended(
    rule: Rule, owners: Sequence[int] | np.ndarray, tables: Iterable[np.ndarray], photos: int
) -> np.ndarray:
    """The blend (N, 18) of passes' probabilities, each (N, 18) and of the member that owns it."""
    shares = np.bincount(owners)
    if rule.blend in LINEAR:
        blended = np.zeros((photos, NUM_CLASSES))
        for m, table in zip(owners, tables):
            blended += rule.weights[m] / shares[m] * table.astype(np.float64)
        return blended
    means = np.zeros((len(shares), photos, NUM_CLASSES))
    for m, table in zip(owners, tables):
        means[m] += table.astype(np.float64) / shares[m]
    return rule.probs(means)


def _rounded(members: Sequence[Member], engine: Compute) -> bool:
    """Whether some network runs in 16 bits, so that close calls may not be those of fp32."""
    return any(way.precision.itemsize < 4 for way in inference_modes(members, engine).values())


def _exact(
    members: Sequence[Member], data: Path, ids: Sequence[str], settings: Settings, engine: Compute
) -> Passes:
    """The same passes in fp32, for close calls."""
    return Passes(
        members,
        data,
        ids,
        settings.tta,
        dataclasses.replace(engine, exact=True),
        settings.force_views,
        few=True,
    )


def _close(
    settled: Recomputed, drawn: int, before: np.ndarray, after: np.ndarray, exact: Passes
) -> dict[str, Any]:
    """What a record says of close calls: photos run again, how many of them `drawn` at random, and
    what `recompute_close_calls` has proven.
    """
    return {
        "photos": settled.photos,
        "drawn": drawn,
        "changed": int((after != before).sum()),
        "error": round(settled.error, 4),
        "confidence": ROUNDING_CONFIDENCE,
        "share": ROUNDING_SHARE,
        "passes_computed": round(exact.computed / len(after), 2),
    }


def blend_early(
    members: Sequence[Member],
    rule: Rule,
    data: Path,
    ids: Sequence[str],
    settings: Settings,
    engine: Compute,
    strengths: Sequence[float],
    remake: bool = False,
) -> Outcome:
    """The same classes from fewer passes: the strongest members first, and a photo only until its
    class is decided.

    The same for the same probabilities: a network's own rounding may differ with the photos that
    share a batch. With `settings.agree`, all but a bounded number of the same classes; its margins
    are fitted to a random sample. What is kept from before changes the order of passes, but never
    that of `agree`, so that its classes can be made again (`remake`).
    """
    passes = Passes(members, data, ids, settings.tta, engine, settings.force_views)
    weights, count, photos = passes.weights(rule), len(passes.sources), len(ids)
    by_view = {view: v for v, view in enumerate(passes.views)}
    needed = int(np.isnan(passes.probs[:, :, 0]).sum())
    known, margins, record = passes.known.copy(), exact_stopping_rule(count), dict[str, Any]()
    if settings.agree is not None and known.all() and not remake:
        warn(
            "--agree: all passes are kept from before, so that there is nothing to save; the "
            "classes are the full run's"
        )
        settings = dataclasses.replace(settings, agree=None)
        record["settings"] = vars(settings) | {"used": rule.blend}
    # What needs no network comes first, for it costs nothing.
    order = sorted(
        range(count),
        key=lambda p: (
            settings.agree is None and not known[p],
            by_view[passes.sources[p][2]],
            -strengths[passes.sources[p][0]],
        ),
    )
    exact = _exact(members, data, ids, settings, engine) if _rounded(members, engine) else None
    rank = np.argsort(order)

    def recompute(rows: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """In fp32 the sums of the passes that each of the photos has `done`, and of all."""
        assert exact is not None
        same, whole = np.zeros((2, len(rows), NUM_CLASSES))
        for p, probs in enumerate(exact.rows_of_all(rows)):
            share = weights[p] * probs.astype(np.float64)
            same[rank[p] < done] += share[rank[p] < done]
            whole += share
        return same, whole

    with (
        contextlib.closing(passes),
        Progress(f"{count} passes, as far as needed", count * photos) as progress,
    ):
        if settings.agree is not None:
            fitting, tested = sample_size(photos, settings.agree)
            sample = np.random.default_rng(0).choice(photos, fitting + tested, replace=False)
            rows = np.sort(sample)
            for p in order:
                passes.rows(p, rows, progress)
            probs = passes.probs[np.array(order)[:, None], sample]
            whole_sums = np.tensordot(weights[order], probs.astype(np.float64), 1)
            if exact is not None:
                with stage("close calls in fp32"):
                    whole_sums = recompute_close_calls(
                        lambda at: recompute(sample[at], np.full(len(at), count)),
                        whole_sums,
                        rule.gains,
                        margins_over_next(whole_sums, rule.gains, np.zeros(len(sample))),
                        rounding_sample(len(sample)),
                    ).total
            margins = fit_stopping_rule(
                probs,
                weights[order],
                rule.gains,
                sample,
                fitting,
                photos,
                settings.agree,
                decide(whole_sums, rule.gains),
            )
            record["agree"] = {
                "share": settings.agree,
                "sample": len(sample),
                "fitted_on": fitting,
                "tested_on": tested,
                "differ": margins.differ,
                "allowed": margins.allowed,
                "margins": margins.after.round(6).tolist(),
            }
        slack, drawn = 0.0, np.zeros(0, np.int64)
        if exact is not None and settings.agree is None:
            # What is decided by less than 16 bits move a lead would have to be run again in full.
            drawn = rounding_sample(photos)
            rough = np.tensordot(weights, passes.rows_of_all(drawn).astype(np.float64), 1)
            with stage("close calls in fp32"):
                slack = 2 * float(
                    rounding_errors(
                        rough, recompute(drawn, np.full(len(drawn), count))[1], rule.gains
                    ).max()
                )
        elif exact is not None:
            drawn = np.sort(
                sample[rounding_sample(len(sample))]
            )  # of the sample, whose passes are known in fp32 already
        total, taken = run_passes(
            lambda p, rows: passes.rows(order[p], rows, progress),
            weights[order],
            rule.gains,
            margins,
            photos,
            slack,
        )
    # All passes of a photo are summed in the order of the full run, so that sums are rounded alike.
    whole = np.flatnonzero(taken == count)
    total[whole] = 0
    for p in range(count):
        total[whole] += weights[p] * passes.probs[p, whole].astype(np.float64)
    networks = sum(isinstance(source, Checkpoint) for _, source, _ in passes.sources)
    record |= {
        "passes": networks,
        "passes_computed": round(passes.computed / photos, 2),
        "saved": 1 - passes.computed / needed if needed else 0.0,
        "decided_after": np.bincount(taken, minlength=count + 1)[1:].tolist(),
    }
    if exact is not None:
        before = decide(total, rule.gains)
        # Of what was decided early for sure, the passes to come count against the leader; a margin
        # has allowed for them.
        left = np.append(remaining_weights(weights[order]), 0)[taken - 1] * (settings.agree is None)
        with (
            contextlib.closing(exact),
            stage("close calls in fp32"),
            Progress("close calls in fp32", photos) as progress,
        ):
            settled = recompute_close_calls(
                lambda rows: recompute(rows, taken[rows]),
                total,
                rule.gains,
                margins_over_next(total, rule.gains, left),
                drawn,
                progress,
            )
        total = settled.total
        record["close"] = _close(settled, len(drawn), before, decide(total, rule.gains), exact)
    return Outcome(decide(total, rule.gains), total, dict.fromkeys(passes.views, 0.0), record)
