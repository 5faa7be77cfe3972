"""Decide a photo's class before all members have been run: exactly, or with a bound on how many differ from the full run.

A pass is one checkpoint with one view. The blend is a weighted sum of the passes' probabilities, and the class the argmax of
that sum times a gain a class, so that what the passes to come can still do is bounded by their weight.
"""

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from kit.console import Progress
from kit.errors import KitError

CONFIDENCE: Final = 0.95
# Probabilities are float32, and their sums 1 within less than this: closer calls are not decided early.
_SLACK: Final = 1e-5
# The margins between the exact bound (1), the fitted one (0) and none (-1), in the order in which they are tested.
_LADDER: Final = np.round(np.arange(1, -1.001, -0.05), 2)


def headroom(total: np.ndarray, gains: np.ndarray, remaining: float) -> np.ndarray:
    """How safe the leading class of each photo is: above 1, the passes to come cannot change it; (N,).

    `total` (N, 18) is the weighted sum so far and `remaining` the weight to come. The leader a is ahead of c by
    g_a S_a - g_c S_c, of which they can take g_c x `remaining`, by giving all of it to c: the quotient, the least over c.
    """
    # The slack as if more were to come: it grows with the gains, as the rounding does.
    return (_ahead(total * gains) / (gains * (remaining + _SLACK))).min(axis=1)


def _ahead(scaled: np.ndarray) -> np.ndarray:
    """How far each photo's leading class is ahead of each other one, and infinitely of itself; (N, 18)."""
    rows, leader = np.arange(len(scaled)), scaled.argmax(axis=1)
    ahead = scaled[rows, leader][:, None] - scaled
    ahead[rows, leader] = np.inf
    return ahead


@dataclass(frozen=True)
class Margins:
    """The headroom above which a photo is decided after each pass, (passes - 1,): 1 is exact.

    The others were fitted to a random `sample` of the photos (their indices), all of whose passes were run. With 95 %
    confidence at most `allowed` photos have another class than in the full run; `differ` of the `tested` ones did.
    """

    after: np.ndarray
    sample: np.ndarray
    allowed: int
    tested: int
    differ: int


def exact_margins(passes: int) -> Margins:
    """The margins that change no class."""
    return Margins(np.ones(passes - 1), np.zeros(0, np.int64), 0, 0, 0)


def remaining_weights(weights: np.ndarray) -> np.ndarray:
    """The weight to come after each pass but the last, (passes - 1,), summed from the end, so that it is never too small."""
    return np.cumsum(weights[::-1])[::-1][1:]


def run(passes: Callable[[int, np.ndarray], np.ndarray], weights: np.ndarray, gains: np.ndarray, margins: Margins,
        photos: int, slack: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Run passes one after another, each for the photos that are not decided yet.

    `passes(p, rows)` gives the probabilities (len(rows), 18) of pass p; `weights` (passes,) are positive. With `slack` a photo
    is decided only where its class is ahead by that much, whatever the passes to come say: another pass is cheaper than a
    close call. Returns the sum so far of every photo, (N, 18), whose argmax times the gains is its class, and how many passes
    each photo took, (N,).
    """
    total, taken = np.zeros((photos, len(gains))), np.full(photos, len(weights))
    rows = np.arange(photos)
    left = remaining_weights(weights)
    whole = np.isin(rows, margins.sample)
    for p, weight in enumerate(weights):
        total[rows] += weight * passes(p, rows).astype(np.float64)
        if p < len(left):
            safe = headroom(total[rows], gains, left[p]) > margins.after[p]
            if slack:
                safe &= leads(total[rows], gains, np.full(len(rows), left[p])) > slack
            safe &= ~whole[rows]
            taken[rows[safe]] = p + 1
            rows = rows[~safe]
            if not len(rows):
                break
    return total, taken


# ---------------------------------------------------------------- close calls

# Photos that are run again together.
_CHUNK: Final = 32
# With this confidence at most this share of the photos is moved by rounding further than any photo of a random sample.
ROUNDING_CONFIDENCE: Final = 0.99
ROUNDING_SHARE: Final = 0.01


def leads(total: np.ndarray, gains: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """How far the leading class of each photo is ahead of the next, whatever passes of the weight `remaining` (N,) say: (N,)."""
    return (_ahead(total * gains) - gains * remaining[:, None]).min(axis=1)


def drifts(total: np.ndarray, exact: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """How far sums (N, 18) with rounding errors are off in the lead of their leading class over any other one, at most: (N,)."""
    off = (exact - total) * gains
    leader = (total * gains).argmax(axis=1)
    return np.abs(off - off[np.arange(len(off)), leader][:, None]).max(axis=1)  # type: ignore[no-any-return]


def rounding_sample(photos: int) -> np.ndarray:
    """The photos to draw, sorted, of which the largest rounding error bounds that of the others; always the same.

    So many that, with 99 % confidence, at most 1 % of all photos have a larger one: were it more, a sample without any of these
    would be a 1 in 100 surprise (hypergeometric; no form of the errors is assumed). 447 of 12,600 photos, and 90 of
    100.
    """
    from scipy.stats import hypergeom
    bad = int(photos * ROUNDING_SHARE) + 1
    size = bisect.bisect_left(range(photos), True, key=lambda n: hypergeom.pmf(0, photos, bad, n) <= 1 - ROUNDING_CONFIDENCE)
    return np.sort(np.random.default_rng(0).choice(photos, size, replace=False))


@dataclass(frozen=True)
class Settled:
    """Sums with those of close calls computed again: `total` (N, 18), how many photos were, and the largest error found."""

    total: np.ndarray
    photos: int
    error: float


def settle(again: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], total: np.ndarray, gains: np.ndarray,
           ahead: np.ndarray, drawn: np.ndarray, progress: Progress | None = None) -> Settled:
    """Compute the sums of close calls again, exactly.

    `total` (N, 18) are sums of probabilities with rounding errors, and `ahead` (N,) is how far each photo's class is ahead in
    them. `again(rows)` gives the exact sums (len(rows), 18) of the same passes, and of all. First the photos `drawn` at random,
    then the closest ones, until the next one is ahead by more than twice the largest error found.

    So a class that is left differs from the exact one only where its error is more than twice as large as any found. What is
    proven is that with 99 % confidence at most 1 % of the photos have an error above the largest of those drawn (see
    `rounding_sample`); that no class differs is not, for errors that are rarer than that may be missed.
    """
    settled, ranked, error = total.copy(), np.argsort(ahead, kind="stable"), 0.0
    ranked = np.concatenate([drawn, ranked[~np.isin(ranked, drawn)]])
    done = 0
    while done < len(ranked) and (done < len(drawn) or ahead[ranked[done]] <= 2 * error):
        rows = np.sort(ranked[done:min(done + _CHUNK, len(drawn)) if done < len(drawn) else done + _CHUNK])
        same, settled[rows] = again(rows)
        error = max(error, float(drifts(total[rows], same, gains).max()))
        done += len(rows)
        if progress is not None:
            progress.expect(max(done, len(drawn) + int((ahead[ranked[len(drawn):]] <= 2 * error).sum())))
            progress.advance(len(rows))
    return Settled(settled, done, error)


# ---------------------------------------------------------------- with a bound

def sample_size(photos: int, agree: float) -> tuple[int, int]:
    """How many photos to run in full, to fit the margins and to test them; raises `KitError` where it would be most of them.

    Enough that one photo with another class among those tested still leaves the bound.
    """
    allowed = allowed_to_differ(photos, agree)
    sizes = range(50, photos // 2)
    at = bisect.bisect_left(sizes, True, key=lambda tested: most_that_differ(photos, tested, 1) <= allowed)
    if at == len(sizes):
        raise KitError(f"--agree {agree:g} allows {allowed} of {photos:,} photos to differ: to be 95 % sure of it, most of them "
                       "must be run in full; take --fast alone, which changes none")
    return sizes[at] // 2, sizes[at]


def allowed_to_differ(photos: int, agree: float) -> int:
    """The number of photos that may have another class, where a share of `agree` must have the same one."""
    return int(np.floor(photos * (1 - agree) + 1e-9))


def most_that_differ(photos: int, tested: int, differ: int) -> int:
    """With 95 % confidence at most so many of `photos` - `tested` differ, when `differ` of `tested` drawn at random do.

    The exact bound of the hypergeometric distribution: the most in all for which so few among those tested are not a 1 in
    20 surprise. Those tested are not counted, for they were run in full.
    """
    from scipy.stats import hypergeom
    low, high = differ, photos - tested + differ  # low is possible; high + 1 is not
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(differ, photos, middle, tested) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low - differ


def fit_margins(probs: np.ndarray, weights: np.ndarray, gains: np.ndarray, sample: np.ndarray, fitting: int, photos: int,
                agree: float, classes: np.ndarray) -> Margins:
    """The margins for which at most a share of 1 - `agree` of the photos differs from the full run, with 95 % confidence.

    `probs` (passes, n, 18) are all passes of the photos `sample` (n,), drawn at random from `photos`, and `classes` (n,) theirs
    in the full run. The first `fitting` of them give each pass the least margin without a difference; the others test a
    ladder of margins that falls from the exact ones to those and below, and the last step before the first failure is taken:
    each is tested only if all before it have passed, so that the confidence is kept (fixed-sequence testing; Angelopoulos et
    al., Learn then test, 2021).
    """
    left = remaining_weights(weights)
    if not len(left):
        return exact_margins(1)
    totals = np.cumsum(weights[:, None, None] * probs.astype(np.float64), axis=0)
    room = np.stack([headroom(total, gains, rest) for total, rest in zip(totals, left)])  # (passes - 1, n)
    differs = (totals[:-1] * gains).argmax(axis=2) != classes
    part = np.arange(len(sample)) < fitting
    fitted = np.minimum(np.where(differs & part, room, 0.0).max(axis=1), 1.0)
    pool, allowed, tested = photos - fitting, allowed_to_differ(photos, agree), len(sample) - fitting
    chosen = Margins(np.ones(len(left)), sample, allowed, tested, 0)
    for step in _LADDER:
        after = fitted + step * (1 - fitted) if step >= 0 else fitted * (1 + step)
        stops = room[:, ~part] > after[:, None]
        first, stopped = stops.argmax(axis=0), stops.any(axis=0)
        differ = int(np.sum(stopped & differs[:, ~part][first, np.arange(tested)]))
        # What the step's own count bounds is less, but the step is chosen by it: the confidence is of `allowed` alone.
        if most_that_differ(pool, tested, differ) > allowed:
            break
        chosen = Margins(after, sample, allowed, tested, differ)
    return chosen
