"""The answers to photos, the blend of passes that they follow from, and its close calls."""

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kit.blending.choices import LINEAR
from kit.blending.close_calls import (
    ROUNDING_CONFIDENCE,
    ROUNDING_SHARE,
    Recomputed,
    recompute_close_calls,
)
from kit.blending.record import CloseCallsRecord, EarlyRecord
from kit.blending.rule import Rule, decide
from kit.inference.few import FewPasses
from kit.inference.member import Pass
from kit.system.console import Progress
from kit.system.profiler import stage


@dataclass(frozen=True)
class Outcome:
    """The classes (N,) of photos, or labels (N, C), and how they were computed.

    `blended` (N, C) are the sums that were decided; where a photo was decided early, its sum is of
    fewer passes. `views` are the seconds of each view. `passes` is the number of networks' passes,
    of which `passes_computed` ran.
    """

    classes: np.ndarray
    blended: np.ndarray
    views: dict[str, float]
    passes: int
    passes_computed: float
    early: EarlyRecord | None = None
    close: CloseCallsRecord | None = None


def member_means(owners: np.ndarray, tables: Iterable[np.ndarray]) -> np.ndarray:
    """The members' probabilities (M, N, C) float64, each the mean of its passes', (N, C) each."""
    shares = np.bincount(owners)
    means: np.ndarray | None = None
    for m, table in zip(owners, tables):
        means = np.zeros((len(shares), *table.shape)) if means is None else means
        means[m] += table.astype(np.float64) / shares[m]
    return np.zeros((0, 0, 0)) if means is None else means


def blend(rule: Rule, owners: np.ndarray, tables: Iterable[np.ndarray], photos: int) -> np.ndarray:
    """The blend (N, C) of passes' probabilities, each (N, C) and of the member that owns it.

    A member's passes share its weight.
    """
    if rule.blend not in LINEAR:
        return rule.probs(member_means(owners, tables))
    shares, blended = np.bincount(owners), np.zeros((photos, len(rule.biases)))
    for m, table in zip(owners, tables):
        blended += rule.weights[m] / shares[m] * table.astype(np.float64)
    return blended


def owners_of(passes: Sequence[Pass]) -> np.ndarray:
    """The members that own passes, (P,)."""
    return np.array([one.owner for one in passes])


def pass_weights(passes: Sequence[Pass], rule: Rule) -> np.ndarray:
    """The weight of each pass, (P,), where a member's passes share its weight."""
    owners = owners_of(passes)
    return np.asarray(rule.weights[owners] / np.bincount(owners)[owners])


@dataclass(frozen=True)
class Taken:
    """The passes that photos took: the first `number` (N,) of those of their block, of B.

    `ranks` (B, P) are the places of the passes of each block of `size` photos in the order in which
    they ran.
    """

    number: np.ndarray
    ranks: np.ndarray
    size: int


@dataclass(frozen=True)
class ExactSums:
    """The sums of passes in fp32.

    `sums(rows)` are those of the passes that each photo took, and those of all, (len(rows), C)
    each; without `taken` it took all.
    """

    passes: FewPasses
    rule: Rule
    taken: Taken | None = None
    progress: Progress | None = None

    def sums(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exact sums of photos."""
        tables = self.passes.rows_of_all(rows, self.progress)
        if self.taken is None:
            whole = blend(self.rule, owners_of(self.passes.passes), tables, len(rows))
            return whole, whole
        same, whole = np.zeros((2, len(rows), len(self.rule.biases)))
        ranks, number = self.taken.ranks[rows // self.taken.size], self.taken.number[rows]
        for p, weight in enumerate(pass_weights(self.passes.passes, self.rule)):
            share, ran = weight * tables[p].astype(np.float64), ranks[:, p] < number
            same[ran] += share[ran]
            whole += share
        return same, whole


def passes_of(computed: int, photos: int) -> float:
    """How many passes of all photos are as much as `computed` photos, once a pass: not 0 if any."""
    return max(round(computed / photos, 2), 0.01 * bool(computed))


def with_close_calls(
    outcome: Outcome, exact: ExactSums, ahead: np.ndarray, drawn: np.ndarray
) -> Outcome:
    """The outcome with its close calls computed again in fp32.

    `ahead` (N,) is how far each photo's class is ahead, and `drawn` are photos drawn at random.
    """
    photos, gains, what = len(outcome.classes), exact.rule.gains, "close calls in fp32"
    with contextlib.closing(exact.passes), stage(what), Progress(what, photos) as progress:
        sums = dataclasses.replace(exact, progress=progress).sums
        result = recompute_close_calls(sums, outcome.blended, gains, ahead, drawn, progress)
    classes = decide(result.total, gains)
    close = _close_calls_record(result, len(drawn), outcome.classes, classes, exact.passes)
    return dataclasses.replace(outcome, classes=classes, blended=result.total, close=close)


def _close_calls_record(
    result: Recomputed, drawn: int, before: np.ndarray, after: np.ndarray, exact: FewPasses
) -> CloseCallsRecord:
    """What a record says of close calls; `before` and `after` are the classes (N,)."""
    return CloseCallsRecord(
        photos=result.photos,
        drawn=drawn,
        changed=int((after != before).sum()),
        error=round(result.error, 4),
        confidence=ROUNDING_CONFIDENCE,
        share=ROUNDING_SHARE,
        passes_computed=passes_of(exact.networks.computed, len(after)),
    )
