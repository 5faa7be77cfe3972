"""Margins by which photos are decided early, with a bound on how many differ from the full run."""

import bisect
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import hypergeom

from kit.blending.early import StoppingRule, exact_stopping_rule, headroom, remaining_weights
from kit.system.errors import KitError

CONFIDENCE: Final = 0.95
# The margins between the exact bound (1), the fitted one (0) and none (-1), as they are tested.
_LADDER: Final = np.round(np.arange(1, -1.001, -0.05), 2)


@dataclass(frozen=True)
class Sample:
    """Photos `rows` (n,), drawn at random from `photos` ones, all of whose passes are run.

    The first `fitting` of them give the margins, and the others test them. A share of `agree` of
    all photos must have the full run's class.
    """

    rows: np.ndarray
    fitting: int
    photos: int
    agree: float


def draw_sample(photos: int, agree: float) -> Sample:
    """The sample for a share `agree`; always the same. Raises `KitError` as `sample_size` does."""
    fitting, tested = sample_size(photos, agree)
    rows = np.random.default_rng(0).choice(photos, fitting + tested, replace=False)
    return Sample(rows, fitting, photos, agree)


def sample_size(photos: int, agree: float) -> tuple[int, int]:
    """How many photos to run in full: to fit the margins, and to test them.

    Enough that one photo with another class among those tested still leaves the bound. Raises
    `KitError` where it would be most photos.
    """
    allowed = allowed_to_differ(photos, agree)
    sizes = range(50, photos // 2)
    at = bisect.bisect_left(
        sizes, True, key=lambda tested: most_that_may_differ(photos, tested, 1) <= allowed
    )
    if at == len(sizes):
        raise KitError(
            f"--agree {agree:g} allows {allowed} of {photos:,} photos to differ: to be 95 % sure "
            "of it, most of them must be run in full; take --fast alone, which changes none"
        )
    return sizes[at] // 2, sizes[at]


def allowed_to_differ(photos: int, agree: float) -> int:
    """The number of photos that may have another class than the full run's."""
    return int(np.floor(photos * (1 - agree) + 1e-9))


def most_that_may_differ(photos: int, tested: int, differ: int) -> int:
    """How many photos differ at most, with 95 % confidence, when `differ` of `tested` ones do.

    They are of `photos` - `tested`; the tested ones were drawn at random. The exact bound of the
    hypergeometric distribution: the most in all for which so few among those tested are not a 1 in
    20 surprise. Those tested are not counted, for they were run in full.
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
    probs: np.ndarray, weights: np.ndarray, gains: np.ndarray, sample: Sample, classes: np.ndarray
) -> StoppingRule:
    """The margins for which at most a share of 1 - `agree` of the photos differs from the full run.

    That is with 95 % confidence. `probs` (passes, n, C) are all passes of the sample's photos, and
    `classes` (n,) theirs in the full run. The first ones give each pass the least margin without a
    difference; the others test a ladder of margins that falls from the exact ones to those and
    below, and the last step before the first failure is taken: each is tested only if all before it
    have passed, so that the confidence is kept (fixed-sequence testing; Angelopoulos et al., Learn
    then test, 2021).
    """
    left = remaining_weights(weights)
    if not len(left):
        return exact_stopping_rule(1)
    totals = np.cumsum(weights[:, None, None] * probs.astype(np.float64), axis=0)
    room = np.stack([headroom(total, gains, rest) for total, rest in zip(totals, left)])
    differs = (totals[:-1] * gains).argmax(axis=2) != classes  # shaped as `room`: (passes - 1, n)
    part = np.arange(len(sample.rows)) < sample.fitting
    fitted = np.minimum(np.where(differs & part, room, 0.0).max(axis=1), 1.0)
    pool, tested = sample.photos - sample.fitting, len(sample.rows) - sample.fitting
    allowed = allowed_to_differ(sample.photos, sample.agree)
    chosen = StoppingRule(np.ones(len(left)), sample.rows, allowed, tested, 0)
    for step in _LADDER:
        after = fitted + step * (1 - fitted) if step >= 0 else fitted * (1 + step)
        stops = room[:, ~part] > after[:, None]
        first, stopped = stops.argmax(axis=0), stops.any(axis=0)
        differ = int(np.sum(stopped & differs[:, ~part][first, np.arange(tested)]))
        # The step's own count would bound less, but the step is chosen by that count: the
        # confidence holds for `allowed` alone.
        if most_that_may_differ(pool, tested, differ) > allowed:
            break
        chosen = StoppingRule(after, sample.rows, allowed, tested, differ)
    return chosen
