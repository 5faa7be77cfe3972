"""How photos are decided early: the order of passes, and margins by a random sample of photos."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit.blending.close_calls import recompute_close_calls, rounding_errors, rounding_sample
from kit.blending.early import StoppingRule, exact_stopping_rule, margins_over_next
from kit.blending.margins import Sample, draw_sample, fit_stopping_rule
from kit.blending.outcome import ExactSums, pass_weights
from kit.blending.record import AgreeRecord
from kit.blending.rule import Rule, decide
from kit.inference.blocks import Blocks
from kit.inference.few import FewPasses
from kit.system.console import Progress
from kit.system.profiler import stage


@dataclass(frozen=True)
class EarlyPolicy:
    """How photos are decided early: the members' `strengths` (M,), and the share `agree`.

    `agree` is the share of photos that must have the full run's class; None for all.
    """

    strengths: Sequence[float]
    agree: float | None = None


@dataclass(frozen=True)
class EarlyRule:
    """How the photos of any block are decided early, by a policy, a rule, margins and a `slack`.

    `rows` (n,) are photos that were drawn from all, `probs` (P, n, C) what all passes gave for
    them, and `drawn` those of them that tell the rounding error. `agree` is what a record says of
    fitted margins.
    """

    policy: EarlyPolicy
    rule: Rule
    margins: StoppingRule
    slack: float
    rows: np.ndarray
    probs: np.ndarray
    drawn: np.ndarray
    agree: AgreeRecord | None = None

    def part(self, rows: slice) -> "EarlyRule":
        """The same for some consecutive photos alone, which are then called 0, 1 and so on."""

        def inside(drawn: np.ndarray) -> np.ndarray:
            return np.flatnonzero((drawn >= rows.start) & (drawn < rows.stop))

        sample, here = self.margins.sample, inside(self.rows)
        margins = dataclasses.replace(self.margins, sample=sample[inside(sample)] - rows.start)
        drawn, probs = self.rows[here] - rows.start, self.probs[:, here]
        return dataclasses.replace(self, margins=margins, rows=drawn, probs=probs)


def early_rule(
    blocks: Blocks, rule: Rule, policy: EarlyPolicy, exact: FewPasses | None
) -> EarlyRule:
    """How photos are decided early, from a sample of all of them that is run first.

    With `exact`, the passes in fp32, a class must be ahead by more than its rounding error; with
    `agree`, the sample tells the margins, too.
    """
    photos, count = len(blocks.photos.ids), len(blocks.passes)
    if policy.agree is not None:
        sample = draw_sample(photos, policy.agree)
        probs = _sample_probs(blocks, np.sort(sample.rows), sample.rows)
        margins = _fit_margins(blocks, rule, policy, sample, probs, exact)
        # The sample's photos: their passes are known in fp32 already.
        drawn = np.sort(sample.rows[rounding_sample(len(sample.rows))])
        agree = _agree_record(margins, sample)
        return EarlyRule(policy, rule, margins, 0.0, sample.rows, probs, drawn, agree)
    margins, drawn = exact_stopping_rule(count), rounding_sample(photos)
    if exact is None:
        none = np.zeros((count, 0, blocks.classes), np.float32)
        return EarlyRule(policy, rule, margins, 0.0, drawn[:0], none, drawn)
    probs = _sample_probs(blocks, drawn, drawn)
    slack = _slack(blocks, probs, ExactSums(exact, rule), drawn)
    return EarlyRule(policy, rule, margins, slack, drawn, probs, drawn)


def pass_order(blocks: Blocks, policy: EarlyPolicy, known: np.ndarray | None = None) -> list[int]:
    """The passes in the order in which they run: the strongest members' plain views first.

    Passes that are `known` (P,) come before all others, for they cost nothing; but never for
    `agree`, so that its classes can be made again.
    """
    views = list(blocks.views)

    def key(p: int) -> tuple[bool, int, float]:
        one = blocks.passes[p]
        costly = policy.agree is None and known is not None and not known[p]
        return costly, views.index(one.view), -policy.strengths[one.owner]

    return sorted(range(len(blocks.passes)), key=key)


def _sample_probs(blocks: Blocks, drawn: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """All passes' probabilities (P, n, C) of a sample's `rows`, which run as `drawn`, sorted.

    What the first blocks have kept, as far as they have kept all, and the next one, is taken from
    there: so nothing runs where everything is known, and of the other blocks no photo is read.
    """
    few = blocks.few()
    blocks.all_known()
    for b in blocks.hashes:
        here = drawn[(drawn >= blocks.rows(b).start) & (drawn < blocks.rows(b).stop)]
        if len(here):
            with blocks.open(b) as block:
                at = here - blocks.rows(b).start
                few.take(here, np.stack([block.table(p)[at] for p in range(len(few.passes))]))
    with Progress(f"{len(drawn):,} photos drawn at random", len(drawn)) as progress:
        few.rows_of_all(drawn, progress)
    few.close()
    blocks.say_unkept(few.unkept)
    return few.rows_of_all(rows)


def _fit_margins(
    blocks: Blocks,
    rule: Rule,
    policy: EarlyPolicy,
    sample: Sample,
    probs: np.ndarray,
    exact: FewPasses | None,
) -> StoppingRule:
    """The margins for `agree`, fitted to all passes' `probs` (P, n, C) of a sample."""
    order = pass_order(blocks, policy)
    weights, probs = pass_weights(blocks.passes, rule)[order], probs[order]
    total = np.tensordot(weights, probs.astype(np.float64), 1)
    if exact is not None:
        sums = ExactSums(exact, rule)
        with stage("close calls in fp32"):
            total = recompute_close_calls(
                lambda at: sums.sums(sample.rows[at]),
                total,
                rule.gains,
                margins_over_next(total, rule.gains, np.zeros(len(total))),
                rounding_sample(len(total)),
            ).total
    return fit_stopping_rule(probs, weights, rule.gains, sample, decide(total, rule.gains))


def _agree_record(margins: StoppingRule, sample: Sample) -> AgreeRecord:
    """What a record says of fitted margins."""
    return AgreeRecord(
        share=sample.agree,
        sample=len(sample.rows),
        fitted_on=sample.fitting,
        tested_on=len(sample.rows) - sample.fitting,
        differ=margins.differ,
        allowed=margins.allowed,
        margins=tuple(margins.after.round(6).tolist()),
    )


def _slack(blocks: Blocks, probs: np.ndarray, exact: ExactSums, drawn: np.ndarray) -> float:
    """How far a class must be ahead to be decided: twice the largest rounding error of a sample.

    A photo decided by less would have to be run again in full.
    """
    weights = pass_weights(blocks.passes, exact.rule)
    rough = np.tensordot(weights, probs.astype(np.float64), 1)
    with stage("close calls in fp32"):
        errors = rounding_errors(rough, exact.sums(drawn)[1], exact.rule.gains)
    return 2 * float(errors.max())
