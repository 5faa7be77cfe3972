"""Greedy ensemble selection."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.blending.rule import TINY, distinct_members, weighted
from kit.blending.target import CELLS, Target
from kit.metrics.sums import Sums, log_loss
from kit.system.threads import cores

_BAGS: Final = 20
_STEPS: Final = 20
# Bags of very many probabilities, and where the score is computed anew for each pick; and picks
# without a better one that end it there.
_SLOW_BAGS: Final = 10
_PATIENCE: Final = 5
# A probability is a whole number of units of 2^-21, times a power of two: its lowest bits are free
# for a code of the class, so that the largest of a photo's numbers tells its class, too. Numpy
# takes ten times as long for an argmax.
_UNIT: Final = 1 << 21
# With codes of 5 bits, 31 such numbers can be added in an int32. More classes need more bits, and
# int64.
_NARROW: Final = 32
_MOST_STEPS: Final = 31


def greedy(
    members: np.ndarray, target: Target, bags: int = _BAGS, steps: int = _STEPS
) -> np.ndarray:
    """The weights (M,) of greedy ensemble selection with replacement, bagged.

    It is by the metric, and ties are broken by log-loss, after Caruana et al., Ensemble selection
    from libraries of models, 2004. `members` are (M, N, C). Each bag draws half of the members,
    three at least, and half of the groups, and of very many probabilities fewer photos; the bags'
    weights are averaged. Copies of a member are left out, or a member would be drawn more often for
    having some. In-sample the result is never below the best single member.
    """
    distinct = distinct_members(members)
    chosen = [members[m] for m in distinct]
    if not _is_fast(target) or members[0].size > 2 * CELLS:
        bags = min(bags, _SLOW_BAGS)
    with ThreadPoolExecutor(cores()) as pool:
        mixed = np.mean(list(pool.map(_bag(chosen, target, steps), range(bags))), axis=0)
    singles = [target.plain(member) for member in chosen]
    if target.plain(weighted(chosen, mixed)) < max(singles):
        # Of few probabilities the climb by all photos may do it, but for rounding.
        if _is_fast(target) and members[0].size <= CELLS:
            mixed = climb(fixed_point(chosen), target.truth, _counted(target), steps)
        if target.plain(weighted(chosen, mixed)) < max(singles):
            mixed = np.eye(len(chosen))[int(np.argmax(singles))]
    weights = np.zeros(len(members))
    weights[distinct] = mixed
    return weights


def _is_fast(target: Target) -> bool:
    """True if the metric follows from the counts of each class's photos, by their argmax."""
    return target.metric.counts is not None and not target.several


def _counted(target: Target) -> Sums:
    """The metric by counts; they are of one class a photo."""
    assert target.metric.counts is not None
    return target.metric.counts


def _bag(members: Sequence[np.ndarray], target: Target, steps: int) -> Callable[[int], np.ndarray]:
    """The weights (M,) that a bag of some number gives."""
    of_photo = np.unique(np.asarray(target.groups), return_inverse=True)[1]
    count, size = int(of_photo.max()) + 1, min(len(members), max(3, (len(members) + 1) // 2))
    fixed, most = None, len(target.truth)
    if members[0].size > 2 * CELLS:
        most = max(CELLS // 2 // target.classes, 100)
    elif _is_fast(target):
        fixed = fixed_point(members)

    def bag(number: int) -> np.ndarray:
        rng = np.random.default_rng([number, count])
        of = np.sort(rng.choice(len(members), size, replace=False))
        rows = np.flatnonzero((rng.permutation(count) < (count + 1) // 2)[of_photo])
        if len(rows) > most:
            rows = np.sort(rng.permutation(rows)[:most])
        chosen, part = np.zeros(len(members)), target.part(rows)
        if fixed is not None:
            chosen[of] = climb(fixed.part(of, rows), part.truth, _counted(target), steps)
            return chosen
        tables = [members[m][rows] for m in of]
        if _is_fast(target):
            chosen[of] = climb(fixed_point(tables), part.truth, _counted(target), steps)
        else:
            chosen[of] = climb_by(tables, part, steps)
        return chosen

    return bag


def climb_by(members: Sequence[np.ndarray], target: Target, steps: int) -> np.ndarray:
    """One greedy selection by any metric: the weights (M,) of its best prefix.

    It ends where five more picks have not made it better.
    """
    total, picks = np.zeros(members[0].shape, np.float32), np.zeros(len(members))
    best, weights, since = -np.inf, picks, 0
    for step in range(1, steps + 1):
        scores = np.array([target.plain((total + member) / step) for member in members])
        tied = np.flatnonzero(scores >= scores.max() - 1e-12)
        pick = int(tied[0])
        if len(tied) > 1:
            losses = [log_loss(target.truth, (total + members[m]) / step) for m in tied.tolist()]
            pick = int(tied[int(np.argmin(losses))])
        picks[pick] += 1
        total += members[pick]
        since += 1
        if scores[pick] > best + 1e-12:
            best, weights, since = float(scores[pick]), picks / step, 0
        if since == _PATIENCE:
            break
    return weights


@dataclass(frozen=True)
class FixedPoint:
    """Probabilities as whole numbers (M, C, N), long rows of one class.

    A probability of 1 is `_UNIT` times `codes`, the power of two that is free for a class's code.
    """

    values: np.ndarray
    codes: int

    def part(self, members: np.ndarray, rows: np.ndarray) -> "FixedPoint":
        """The fixed-point probabilities of some members and photos."""
        return FixedPoint(np.take(self.values[members], rows, axis=2), self.codes)


def fixed_point(members: Sequence[np.ndarray]) -> FixedPoint:
    """Probabilities (N, C) of M members in fixed point."""
    many, (photos, classes) = len(members), members[0].shape
    codes = max(_NARROW, 1 << (classes - 1).bit_length())
    kind: Any = np.int32 if codes == _NARROW else np.int64
    values = np.empty((many, classes, photos), kind)
    for target, member in zip(values, members):
        target[:] = np.round(member.T * np.float32(_UNIT))
    return FixedPoint(np.multiply(values, codes, out=values), codes)


def climb(fixed: FixedPoint, truth: np.ndarray, score: Sums, steps: int) -> np.ndarray:
    """One greedy selection by a `score` of counts: the weights (M,) of its best prefix.

    The first pick is the best single member, so that no prefix chosen is below it.
    """
    probs, codes = fixed.values, fixed.codes
    size, classes, n = probs.shape
    sure = probs[:, truth, np.arange(n)].astype(np.float32) / (_UNIT * codes)
    # The lowest class has the highest code, so that it wins among equal sums.
    code_of = np.arange(classes - 1, -1, -1, dtype=probs.dtype)
    total, picks = np.repeat(code_of[:, None], n, axis=1), np.zeros(size)
    rows: np.ndarray | slice = slice(None)
    # Wrong and right photos by code, of those whose class no member changes.
    fixed_tally = np.zeros((2, classes), np.int64)
    best: tuple[float, float] | None = None
    weights = picks
    for step in range(1, min(steps, _MOST_STEPS) + 1):
        tallies = fixed_tally + _tallies(fixed, total, code_of[truth], rows)
        scores = _scores(tallies, np.bincount(truth, minlength=classes), score)
        tied = np.flatnonzero(scores >= scores.max() - 1e-12)
        mass = picks @ sure
        losses = [
            -float(np.log(np.maximum((mass + sure[m]) / step, TINY)).mean(dtype=np.float64))
            for m in tied
        ]
        pick = tied[int(np.argmin(losses))]
        picks[pick] += 1
        total += probs[pick]
        reached = float(scores[pick]), -min(losses)
        if (
            best is None
            or reached[0] > best[0] + 1e-12
            or (reached[0] > best[0] - 1e-12 and reached[1] > best[1])
        ):
            best, weights = reached, picks / step
        rows, fixed_tally = _undecided(total, codes, code_of[truth])
    return weights


def _tallies(
    fixed: FixedPoint, total: np.ndarray, wanted: np.ndarray, rows: np.ndarray | slice
) -> np.ndarray:
    """For each member, how many photos have each code with it added, wrong and right: (M, 2, C)."""
    base, want = np.ascontiguousarray(total[:, rows]), wanted[rows]
    tallies = np.empty((len(fixed.values), 2, len(total)))
    for m, member in enumerate(fixed.values):
        summed = base + (member if isinstance(rows, slice) else np.take(member, rows, axis=1))
        tallies[m] = _tally(summed.max(axis=0) & (fixed.codes - 1), want, len(total))
    return tallies


def _scores(tallies: np.ndarray, true_counts: np.ndarray, score: Sums) -> np.ndarray:
    """The score (M,) of tallies (M, 2, C)."""
    hits, counts = tallies[:, 1, ::-1], tallies.sum(axis=1)[:, ::-1]
    true = np.broadcast_to(true_counts, hits.shape)
    sums = np.concatenate([hits, true, counts], axis=1)
    return score.value(sums, np.zeros(sums.shape[1]))


def _undecided(
    total: np.ndarray, codes: int, wanted: np.ndarray
) -> tuple[np.ndarray | slice, np.ndarray]:
    """The photos whose class one more member may change, and the tally (2, C) of the others.

    A member adds at most 1 to any class: a photo with a larger margin keeps its class, whichever
    member is added. If most photos are undecided, all of them are taken.
    """
    top = total.max(axis=0)
    second = np.where(total == top, 0, total).max(axis=0)
    close = top - second <= (_UNIT + 1) * codes
    if close.mean() >= 0.7:
        return slice(None), np.zeros((2, len(total)), np.int64)
    decided = np.flatnonzero(~close)
    return np.flatnonzero(close), _tally(top[decided] & (codes - 1), wanted[decided], len(total))


def _tally(codes: np.ndarray, wanted: np.ndarray, classes: int) -> np.ndarray:
    """How many photos have each code, wrong and right: (2, C)."""
    counts = np.bincount(codes + classes * (codes == wanted), minlength=2 * classes)
    return counts.reshape(2, classes)
