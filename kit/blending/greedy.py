"""Greedy ensemble selection."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.blending.rule import _TINY, distinct_members, weighted
from kit.competitions.mask import NUM_CLASSES
from kit.scoring.metrics import fast_macro_f1
from kit.system.threads import cores

_BAGS = 20


_STEPS = 20


def greedy(
    members: np.ndarray,
    truth: np.ndarray,
    person: np.ndarray,
    bags: int = _BAGS,
    steps: int = _STEPS,
) -> np.ndarray:
    """The weights (M,) of greedy ensemble selection with replacement, by macro-F1, ties by
    log-loss, bagged.

    After Caruana et al., Ensemble selection from libraries of models, 2004. Each bag draws half of
    the members, three at least, and half of the people; the bags' weights are averaged. Copies of a
    member are left out, or a member would be drawn more often for having some. In-sample the result
    is never below the best single member.
    """
    kept = distinct_members(members)
    probs = _fixed_point(members[kept])
    people = np.unique(np.asarray(person), return_inverse=True)[1]
    size, count = min(len(kept), max(3, (len(kept) + 1) // 2)), int(people.max()) + 1

    def bag(number: int) -> np.ndarray:
        rng = np.random.default_rng([number, count])
        of = np.sort(rng.choice(len(kept), size, replace=False))
        rows = np.flatnonzero((rng.permutation(count) < (count + 1) // 2)[people])
        chosen = np.zeros(len(kept))
        chosen[of] = _climb(np.take(probs[of], rows, axis=2), truth[rows], steps)
        return chosen

    def reached(weights: np.ndarray) -> float:
        return fast_macro_f1(weighted(members[kept], weights).argmax(axis=1), truth)

    with ThreadPoolExecutor(cores()) as pool:
        mixed = np.mean(list(pool.map(bag, range(bags))), axis=0)
    singles = [fast_macro_f1(members[m].argmax(axis=1), truth) for m in kept]
    if reached(mixed) < max(singles):
        mixed = _climb(probs, truth, steps)
        if reached(mixed) < max(singles):  # by the rounding of fixed-point numbers
            mixed = np.eye(len(kept))[int(np.argmax(singles))]
    weights = np.zeros(len(members))
    weights[kept] = mixed
    return weights


# A probability as an int32 in units of 2^-21, times 32: 31 of them can be added, and the lowest
# five bits are free for a class, so that the largest of 18 numbers tells its class, too. Numpy
# takes ten times as long for an argmax.
_UNIT, _CODES, _MOST_STEPS = 1 << 21, 32, 31


def _fixed_point(members: np.ndarray) -> np.ndarray:
    """Probabilities (M, N, 18) as (M, 18, N) int32, long rows of one class."""
    fixed = np.empty((len(members), NUM_CLASSES, members.shape[1]), np.int32)
    for target, member in zip(fixed, members):
        target[:] = np.round(member.T * np.float32(_UNIT))
    return np.multiply(fixed, _CODES, out=fixed)


def _climb(probs: np.ndarray, truth: np.ndarray, steps: int) -> np.ndarray:
    """One greedy selection from `_fixed_point` probabilities (M, 18, N): the weights (M,) of its
    best prefix.

    The first pick is the best single member, so that no prefix chosen is below it.
    """
    size, _, n = probs.shape
    every = np.arange(n)
    true_counts = np.bincount(truth, minlength=NUM_CLASSES)
    sure = probs[:, truth, every].astype(np.float32) / (_UNIT * _CODES)
    codes = np.arange(NUM_CLASSES - 1, -1, -1, dtype=np.int32)[
        :, None
    ]  # of equals, the lowest class has the highest
    wanted = codes[truth, 0]
    total, picks = np.repeat(codes, n, axis=1), np.zeros(size)
    rows: np.ndarray | slice = slice(None)
    fixed = np.zeros(
        (2, NUM_CLASSES), np.int64
    )  # wrong and right photos by code, of those whose class no member changes
    best: tuple[tuple[float, float], np.ndarray] | None = None
    for step in range(1, min(steps, _MOST_STEPS) + 1):
        base, want = np.ascontiguousarray(total[:, rows]), wanted[rows]
        tallies = np.empty((size, 2, NUM_CLASSES))
        for m, member in enumerate(probs):
            summed = base + (member if isinstance(rows, slice) else np.take(member, rows, axis=1))
            tallies[m] = fixed + _tally(summed.max(axis=0) & (_CODES - 1), want)
        hits, counts = tallies[:, 1, ::-1], tallies.sum(axis=1)[:, ::-1]
        f1 = (2 * hits / np.maximum(true_counts + counts, 1)).mean(axis=1)
        tied = np.flatnonzero(f1 >= f1.max() - 1e-12)
        mass = picks @ sure
        losses = [
            -float(np.log(np.maximum((mass + sure[m]) / step, _TINY)).mean(dtype=np.float64))
            for m in tied
        ]
        pick = tied[int(np.argmin(losses))]
        picks[pick] += 1
        total += probs[pick]
        standing = (float(f1[pick]), -min(losses))
        if (
            best is None
            or standing[0] > best[0][0] + 1e-12
            or (standing[0] > best[0][0] - 1e-12 and standing[1] > best[0][1])
        ):
            best = standing, picks / step
        # One more member adds at most 1 to any class: photos with a larger margin keep theirs,
        # whichever it is.
        top = total.max(axis=0)
        second = np.where(total == top, 0, total).max(axis=0)
        close = top - second <= (_UNIT + 1) * _CODES
        rows = np.flatnonzero(close) if close.mean() < 0.7 else slice(None)
        settled = np.flatnonzero(~close) if close.mean() < 0.7 else every[:0]
        fixed = _tally(top[settled] & (_CODES - 1), wanted[settled])
    assert best is not None
    return best[1]


def _tally(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many photos have each code, wrong and right: (2, 18)."""
    return np.bincount(codes + NUM_CLASSES * (codes == wanted), minlength=2 * NUM_CLASSES).reshape(
        2, NUM_CLASSES
    )
