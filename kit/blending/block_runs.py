"""Blocks of photos run: in full, or until each photo's class is decided."""

from dataclasses import dataclass

import numpy as np

from kit.blending.early import run_passes
from kit.blending.early_rule import EarlyRule, pass_order
from kit.blending.outcome import pass_weights, passes_of
from kit.blending.rule import Rule
from kit.inference.blocks import Blocks
from kit.inference.elsewhere import call_elsewhere, parts_of
from kit.inference.member import Checkpoint
from kit.inference.networks import checkpoints_of
from kit.inference.passes import Passes
from kit.system.console import Progress, say
from kit.system.errors import KitError, problem


@dataclass(frozen=True)
class BlockRun:
    """What became of a block: the hash of its photos, and what was `lacking` and `computed`.

    `lacking` counts photos, once a pass, whose probabilities were not known, and `computed` those
    that went through a network. Decided early, a photo took the first `taken` (n,) of the passes in
    `order` (P,), of which the others cannot change its class if that is `exact`; else, with
    neither, all of them.
    """

    photos: str
    lacking: int
    computed: int
    order: np.ndarray | None = None
    taken: np.ndarray | None = None
    exact: bool = True


def run_block(
    blocks: Blocks, b: int, block: Passes, early: EarlyRule | None, progress: Progress | None = None
) -> BlockRun:
    """Run what block `b` lacks; with an early rule no more than its photos' classes need."""
    lacking, before = block.lacking(), blocks.networks.computed
    order, taken, exact = None, None, True
    if early is None:
        block.run_all(progress)
    else:
        exact = early.policy.agree is None
        here = early.part(blocks.rows(b))
        block.take(here.rows, here.probs)
        order = np.array(pass_order(blocks, early.policy, block.known))
        places = order.tolist()
        _, taken = run_passes(
            lambda p, rows: block.rows(places[p], rows, progress),
            pass_weights(block.passes, early.rule)[order],
            early.rule.gains,
            here.margins,
            len(block.photos.ids),
            early.slack,
        )
    computed = blocks.networks.computed - before
    return BlockRun(blocks.hashes.get(b, ""), lacking, computed, order, taken, exact)


def sum_block(block: Passes, rule: Rule, run: BlockRun) -> np.ndarray:
    """The weighted sums (n, C) of the passes that each of a block's photos took.

    All passes of a photo are summed in the order of the full run, so that sums are rounded alike.
    """
    assert run.order is not None and run.taken is not None
    weights, places = pass_weights(block.passes, rule), run.order.tolist()
    total, whole = np.zeros((len(run.taken), len(rule.gains))), run.taken == len(places)
    for number, p in enumerate(places):
        some = ~whole & (number < run.taken)
        total[some] += weights[p] * block.table(p)[some].astype(np.float64)
    for p in range(len(places)):
        total[whole] += weights[p] * block.table(p)[whole].astype(np.float64)
    return total


def check_known(block: Passes, run: BlockRun) -> None:
    """Raise `KitError` unless a block has all that the run of another process has computed."""
    for p, one in enumerate(block.passes):
        known = block.known_rows(p)
        if run.order is not None and run.taken is not None:
            known |= run.order.tolist().index(p) >= run.taken
        if not known.all() and isinstance(one.source, Checkpoint):
            raise problem(
                one.source.path.parent,
                "lacks probabilities that another process has computed, of photos",
                [block.photos.ids[i] for i in np.flatnonzero(~known)],
                "let all processes write into one folder of runs; the same command goes on",
            )


def run_elsewhere(blocks: Blocks, early: EarlyRule | None) -> dict[int, BlockRun]:
    """Run all blocks by the processes of a place; what became of each."""
    parts = []
    for part in parts_of(len(blocks.photos.ids), blocks.size, blocks.compute):
        rows = slice(part.start, part.stop)
        parts.append((blocks.placed(rows), early.part(rows) if early is not None else None))
    checkpoints = checkpoints_of(blocks.passes)
    of_parts = call_elsewhere(blocks.compute, checkpoints, "blocks", run_blocks, parts)
    return dict(enumerate(run for of_part in of_parts for run in of_part))


def run_blocks(blocks: Blocks, early: EarlyRule | None) -> list[BlockRun]:
    """Run blocks, and keep their probabilities beside the checkpoints; what became of each.

    Raises `KitError` if they cannot be kept there, from where another process takes them.
    """
    runs = []
    for b in range(len(blocks)):
        with blocks.open(b) as block:
            run = run_block(blocks, b, block, early)
        if blocks.unkept:
            raise KitError(
                f"{blocks.unkept[0]}; probabilities that one process has computed for another are "
                "kept beside checkpoints: copy the runs to where all of them may write"
            )
        passes = passes_of(run.computed, len(block.photos.ids))
        say(f"  block {b + 1}/{len(blocks)}  {len(block.photos.ids):,} photos, {passes:g} passes")
        runs.append(run)
    return runs
