"""From passes and a rule to the classes of photos: in full, or by a policy of early decisions."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit.blending.close_calls import recompute_close_calls, rounding_errors, rounding_sample
from kit.blending.early import (
    StoppingRule,
    exact_stopping_rule,
    margins_over_next,
    remaining_weights,
    run_passes,
)
from kit.blending.margins import Sample, draw_sample, fit_stopping_rule
from kit.blending.outcome import ExactSums, Outcome, blend, pass_weights, with_close_calls
from kit.blending.record import AgreeRecord, EarlyRecord
from kit.blending.rule import Rule, decide
from kit.inference.passes import Passes
from kit.system.console import Progress
from kit.system.profiler import stage


@dataclass(frozen=True)
class EarlyPolicy:
    """How photos are decided early: the members' `strengths` (M,), and the share `agree`.

    `agree` is the share of photos that must have the full run's class; None for all.
    """

    strengths: Sequence[float]
    agree: float | None = None


def classify(
    passes: Passes, rule: Rule, policy: EarlyPolicy | None = None, exact: bool = True
) -> Outcome:
    """The answers to photos by the passes of members and a rule.

    In full, each pass runs on each photo, but for what is known. With a policy the strongest
    members run first, and a photo only until its class is decided. Where networks run in 16 bits,
    close calls are computed again in fp32, of classes that are the argmax; unless `exact` is False,
    as where probabilities are the answer.
    """
    if policy is not None:
        return _classify_early(passes, rule, policy)
    with contextlib.closing(passes):
        passes.run_all()
    photos, count = len(passes.photos.ids), len(passes.passes)
    total = blend(rule, passes.owners, map(passes.table, range(count)), photos)
    seconds = dict.fromkeys(passes.views, 0.0)
    for one, spent in zip(passes.passes, passes.seconds.tolist()):
        seconds[one.view] += spent
    computed = passes.computed // photos
    outcome = Outcome(rule.decide(total), total, seconds, passes.networks, computed)
    if not (passes.rounded and exact and rule.by_argmax):
        return outcome
    sums, ahead = passes.exact(), margins_over_next(total, rule.gains, np.zeros(photos))
    return with_close_calls(outcome, ExactSums(sums, rule), ahead, rounding_sample(photos))


def _classify_early(passes: Passes, rule: Rule, policy: EarlyPolicy) -> Outcome:
    """The same classes from fewer passes.

    They are the same for the same probabilities: a network's rounding may differ with the photos
    that share a batch. With `agree`, all but a bounded number are the same; its margins are fitted
    to a random sample. Probabilities kept from before change the order of passes, but never the
    order for `agree`, so that its classes can be made again.
    """
    weights, count, photos = pass_weights(passes, rule), len(passes.passes), len(passes.photos.ids)
    needed, order = passes.lacking(), _pass_order(passes, policy)
    exact = passes.exact() if passes.rounded else None
    margins, agree, drawn, slack = exact_stopping_rule(count), None, rounding_sample(photos), 0.0
    what = f"{count} passes, as far as needed"
    with contextlib.closing(passes), Progress(what, count * photos) as progress:
        if policy.agree is not None:
            sample = draw_sample(photos, policy.agree)
            margins = _fit_margins(passes, rule, order, sample, exact, progress)
            agree = _agree_record(margins, sample)
            # The sample's photos: their passes are known in fp32 already.
            drawn = np.sort(sample.rows[rounding_sample(len(sample.rows))])
        elif exact is not None:
            slack = _slack(passes, ExactSums(exact, rule), drawn)
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
        total[whole] += weights[p] * passes.table(p)[whole].astype(np.float64)
    saved = 1 - passes.computed / needed if needed else 0.0
    decided = tuple(np.bincount(taken, minlength=count + 1)[1:].tolist())
    seconds, computed = dict.fromkeys(passes.views, 0.0), round(passes.computed / photos, 2)
    early = EarlyRecord(saved, decided, agree)
    classes = decide(total, rule.gains)
    outcome = Outcome(classes, total, seconds, passes.networks, computed, early)
    if exact is None:
        return outcome
    # Without `agree`, all weight to come counts against a photo's leading class; with it, the
    # fitted margins have allowed for that weight.
    left = np.append(remaining_weights(weights[order]), 0)[taken - 1] * (policy.agree is None)
    ahead = margins_over_next(total, rule.gains, left)
    return with_close_calls(outcome, ExactSums(exact, rule, np.argsort(order), taken), ahead, drawn)


def _pass_order(passes: Passes, policy: EarlyPolicy) -> list[int]:
    """The passes in the order in which they run: the strongest members' plain views first.

    Passes that need no network come before all others, for they cost nothing.
    """
    views = list(passes.views)

    def key(p: int) -> tuple[bool, int, float]:
        one = passes.passes[p]
        costly = policy.agree is None and not passes.known[p]
        return costly, views.index(one.view), -policy.strengths[one.owner]

    return sorted(range(len(passes.passes)), key=key)


def _fit_margins(
    passes: Passes,
    rule: Rule,
    order: Sequence[int],
    sample: Sample,
    exact: Passes | None,
    progress: Progress,
) -> StoppingRule:
    """The margins for `agree`, fitted to a sample of the photos, whose passes are all run."""
    rows, weights = np.sort(sample.rows), pass_weights(passes, rule)[order]
    for p in order:
        passes.rows(p, rows, progress)
    probs = np.stack([passes.table(p)[sample.rows] for p in order])
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


def _slack(passes: Passes, exact: ExactSums, drawn: np.ndarray) -> float:
    """How far a class must be ahead to be decided: twice the largest rounding error of a sample.

    A photo decided by less would have to be run again in full.
    """
    weights = pass_weights(passes, exact.rule)
    rough = np.tensordot(weights, passes.rows_of_all(drawn).astype(np.float64), 1)
    with stage("close calls in fp32"):
        errors = rounding_errors(rough, exact.sums(drawn)[1], exact.rule.gains)
    return 2 * float(errors.max())
