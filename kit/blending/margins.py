"""Margins by which photos are decided early, with a bound on how many differ from the full run."""

import bisect
from typing import Final

import numpy as np
from scipy.stats import hypergeom

from kit.blending.early import StoppingRule, exact_stopping_rule, headroom, remaining_weights
from kit.system.errors import KitError

CONFIDENCE: Final = 0.95


# The margins between the exact bound (1), the fitted one (0) and none (-1), in the order in which
# they are tested.
_LADDER: Final = np.round(np.arange(1, -1.001, -0.05), 2)


def sample_size(photos: int, agree: float) -> tuple[int, int]:
    """How many photos to run in full, to fit the margins and to test them; raises `KitError` where
    it would be most of them.

    Enough that one photo with another class among those tested still leaves the bound.
    """
    allowed = allowed_to_differ(photos, agree)
    sizes = range(50, photos // 2)
    at = bisect.bisect_left(
        sizes, True, key=lambda tested: most_that_may_differ(photos, tested, 1) <= allowed
    )
    if at == len(sizes):
        raise KitError(
            f"--agree {agree:g} allows {allowed} of {photos:,} photos to differ: to be 95 % sure "
            "of it, most of them "
            "must be run in full; take --fast alone, which changes none"
        )
    return sizes[at] // 2, sizes[at]


def allowed_to_differ(photos: int, agree: float) -> int:
    """The number of photos that may have another class, where a share of `agree` must have the same
    one.
    """
    return int(np.floor(photos * (1 - agree) + 1e-9))


def most_that_may_differ(photos: int, tested: int, differ: int) -> int:
    """With 95 % confidence at most so many of `photos` - `tested` differ, when `differ` of `tested`
    drawn at random do.

    The exact bound of the hypergeometric distribution: the most in all for which so few among those
    tested are not a 1 in 20 surprise. Those tested are not counted, for they were run in full.
    """
    low, high = differ, photos - tested + differ  # low is possible; high + 1 is not
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeom.cdf(differ, photos, middle, tested) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low - differ


def fit_stopping_rule(
    probs: np.ndarray,
    weights: np.ndarray,
    gains: np.ndarray,
    sample: np.ndarray,
    fitting: int,
    photos: int,
    agree: float,
    classes: np.ndarray,
) -> StoppingRule:
    """The margins for which at most a share of 1 - `agree` of the photos differs from the full run,
    with 95 % confidence.

    `probs` (passes, n, 18) are all passes of the photos `sample` (n,), drawn at random from
    `photos`, and `classes` (n,) theirs in the full run. The first `fitting` of them give each pass
    the least margin without a difference; the others test a ladder of margins that falls from the
    exact ones to those and below, and the last step before the first failure is taken: each is
    tested only if all before it have passed, so that the confidence is kept (fixed-sequence
    testing; Angelopoulos et al., Learn then test, 2021).
    """
    left = remaining_weights(weights)
    if not len(left):
        return exact_stopping_rule(1)
    totals = np.cumsum(weights[:, None, None] * probs.astype(np.float64), axis=0)
    room = np.stack(
        [headroom(total, gains, rest) for total, rest in zip(totals, left)]
    )  # (passes - 1, n)
    differs = (totals[:-1] * gains).argmax(axis=2) != classes
    part = np.arange(len(sample)) < fitting
    fitted = np.minimum(np.where(differs & part, room, 0.0).max(axis=1), 1.0)
    pool, allowed, tested = (
        photos - fitting,
        allowed_to_differ(photos, agree),
        len(sample) - fitting,
    )
    chosen = StoppingRule(np.ones(len(left)), sample, allowed, tested, 0)
    for step in _LADDER:
        after = fitted + step * (1 - fitted) if step >= 0 else fitted * (1 + step)
        stops = room[:, ~part] > after[:, None]
        first, stopped = stops.argmax(axis=0), stops.any(axis=0)
        differ = int(np.sum(stopped & differs[:, ~part][first, np.arange(tested)]))
        # What the step's own count bounds is less, but the step is chosen by it: the confidence is
        # of `allowed` alone.
        if most_that_may_differ(pool, tested, differ) > allowed:
            break
        chosen = StoppingRule(after, sample, allowed, tested, differ)
    return chosen
