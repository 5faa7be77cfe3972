"""From passes and a rule to the classes of photos: in full, or by a policy of early decisions."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kit.blending.block_runs import BlockRun, check_known, run_block, run_elsewhere, sum_block
from kit.blending.close_calls import rounding_sample
from kit.blending.early import margins_over_next, remaining_weights
from kit.blending.early_rule import EarlyPolicy, EarlyRule, early_rule
from kit.blending.outcome import (
    ExactSums,
    Outcome,
    Taken,
    blend,
    member_means,
    owners_of,
    pass_weights,
    passes_of,
    with_close_calls,
)
from kit.blending.record import EarlyRecord
from kit.blending.rule import Rule
from kit.inference.blocks import Blocks
from kit.inference.networks import checkpoints_of
from kit.inference.passes import Passes
from kit.system.console import Progress


@dataclass
class _Sums:
    """What is known of all photos, filled in block by block.

    `total` (N, C) are the sums that are decided, and `ahead` (N,) how far each photo's class is
    ahead. `lacking` and `computed` count photos, once a pass, and `seconds` (P,) are those of the
    passes.
    """

    total: np.ndarray
    ahead: np.ndarray
    taken: Taken
    seconds: np.ndarray
    lacking: int = 0
    computed: int = 0


def classify(
    blocks: Blocks, rule: Rule, policy: EarlyPolicy | None = None, exact: bool = True
) -> Outcome:
    """The answers to photos by the passes of members and a rule.

    In full, each pass runs on each photo, but for what is known. With a policy the strongest
    members run first, and a photo only until its class is decided: the classes are the same for the
    same probabilities (a network's rounding may differ with the photos that share a batch), or with
    `agree` all but a bounded number of them. Where networks run in 16 bits, close calls are
    computed again in fp32, of classes that are the argmax; unless `exact` is False, as where
    probabilities are the answer. Where networks run at a place, its processes do all that, and this
    one takes what they have kept.

    Memory holds one block's passes at a time, and of all photos the blend (N, C), how far each
    class is ahead and how many passes it took; of a `rank` blend, in which a photo's place among
    all counts, the members' means (M, N, C), too.
    """
    close = blocks.rounded and (policy is not None or (exact and rule.by_argmax))
    few, early, runs = blocks.few(exact=True) if close else None, None, dict[int, BlockRun]()
    photos = len(blocks.photos.ids)
    with contextlib.closing(blocks):
        if policy is not None:
            early = early_rule(blocks, rule, policy, few)
        sampled = blocks.networks.computed
        if blocks.compute.place is not None and blocks.needing_networks:
            runs = run_elsewhere(blocks, early)
        sums = _sum_blocks(blocks, rule, early, runs)
    computed = sums.computed + sampled
    outcome = Outcome(
        classes=rule.decide(sums.total),
        blended=sums.total,
        views=_view_seconds(blocks, sums.seconds),
        passes=blocks.needing_networks,
        passes_computed=passes_of(computed, photos),
        early=_early_record(early, sums, computed) if early is not None else None,
    )
    if few is None:
        return outcome
    drawn = early.drawn if early is not None else rounding_sample(photos)
    exact_sums = ExactSums(few, rule, sums.taken if early is not None else None)
    return with_close_calls(outcome, exact_sums, sums.ahead, drawn)


def _sum_blocks(
    blocks: Blocks, rule: Rule, early: EarlyRule | None, runs: Mapping[int, BlockRun]
) -> _Sums:
    """The sums of all photos, by blocks that run here, unless `runs` has those of other processes.

    These must have kept all that they ran.
    """
    photos, count = len(blocks.photos.ids), len(blocks.passes)
    taken = Taken(
        np.full(photos, count, np.int32), np.zeros((len(blocks), count), int), blocks.size
    )
    sums = _Sums(np.zeros((photos, blocks.classes)), np.zeros(photos), taken, np.zeros(count))
    ranked = rule.blend == "rank"
    means = np.zeros((len(rule.weights), *sums.total.shape)) if ranked else None
    with _progress(blocks, early) as progress:
        for b in range(len(blocks)):
            elsewhere = runs.get(b)
            with blocks.open(b, elsewhere.photos if elsewhere is not None else "") as block:
                if elsewhere is not None:
                    check_known(block, elsewhere)
                run = elsewhere or run_block(blocks, b, block, early, progress)
                if means is not None:
                    tables = map(block.table, range(count))
                    means[:, blocks.rows(b)] = member_means(owners_of(block.passes), tables)
                else:
                    _add(sums, b, block, rule, run)
                sums.seconds += block.seconds
            sums.lacking, sums.computed = sums.lacking + run.lacking, sums.computed + run.computed
    if means is not None:
        sums.total[:] = rule.probs(means)
        sums.ahead[:] = margins_over_next(sums.total, rule.gains, np.zeros(photos))
    return sums


def _add(sums: _Sums, b: int, block: Passes, rule: Rule, run: BlockRun) -> None:
    """Fill in the photos of block `b`."""
    photos, rows = len(block.photos.ids), slice(b * sums.taken.size, (b + 1) * sums.taken.size)
    left = np.zeros(photos)
    if run.order is None or run.taken is None:
        tables = map(block.table, range(len(block.passes)))
        sums.total[rows] = blend(rule, owners_of(block.passes), tables, photos)
    else:
        sums.total[rows] = sum_block(block, rule, run)
        sums.taken.number[rows], sums.taken.ranks[b] = run.taken, np.argsort(run.order)
        # Without `agree`, all weight to come counts against a photo's leading class; with it, the
        # fitted margins have allowed for that weight.
        if run.exact:
            weights = pass_weights(block.passes, rule)[run.order]
            left = np.append(remaining_weights(weights), 0)[run.taken - 1]
    sums.ahead[rows] = margins_over_next(sums.total[rows], rule.gains, left)


def _progress(blocks: Blocks, early: EarlyRule | None) -> Progress:
    """The progress over all photos, or over all passes of each where they are decided early."""
    photos, passes = len(blocks.photos.ids), len(blocks.passes)
    if early is not None:
        return Progress(f"{passes} passes, as far as needed", passes * photos)
    checkpoints = len(checkpoints_of(blocks.passes))
    return Progress(f"{checkpoints} checkpoints x {len(blocks.views)} views", photos)


def _view_seconds(blocks: Blocks, seconds: np.ndarray) -> dict[str, float]:
    """The seconds of each view, by those (P,) of the passes."""
    of_view = dict.fromkeys(blocks.views, 0.0)
    for one, spent in zip(blocks.passes, seconds.tolist()):
        of_view[one.view] += spent
    return of_view


def _early_record(early: EarlyRule, sums: _Sums, computed: int) -> EarlyRecord:
    """What a record says of photos that were decided early."""
    passes = sums.taken.ranks.shape[1]
    saved = 1 - computed / sums.lacking if sums.lacking else 0.0
    decided = tuple(np.bincount(sums.taken.number, minlength=passes + 1)[1:].tolist())
    return EarlyRecord(saved, decided, early.agree)
