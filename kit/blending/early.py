"""Classes decided before all passes have been run: exactly, or with a bound on other classes.

A pass is one checkpoint with one view. The blend is a weighted sum of the passes' probabilities,
and the class the argmax of that sum times a gain a class, so that what the passes to come can still
do is bounded by their weight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

# Probabilities are float32, and their sums 1 within less than this: closer calls are not decided
# early.
_SLACK: Final = 1e-5


def headroom(total: np.ndarray, gains: np.ndarray, remaining: float) -> np.ndarray:
    """How safe each photo's leading class is, (N,): above 1, the passes to come cannot change it.

    `total` (N, C) is the weighted sum so far and `remaining` the weight to come. The leader a is
    ahead of c by g_a S_a - g_c S_c, of which they can take g_c x `remaining`, by giving all of it
    to c: the quotient, the least over c.
    """
    # The slack counts as more weight to come, so that it grows with the gains, as rounding does.
    return (leads_over_others(total * gains) / (gains * (remaining + _SLACK))).min(axis=1)


def leads_over_others(scaled: np.ndarray) -> np.ndarray:
    """How far each photo's leading class is ahead of each other class, (N, C).

    It is infinitely far ahead of itself.
    """
    rows, leader = np.arange(len(scaled)), scaled.argmax(axis=1)
    ahead = scaled[rows, leader][:, None] - scaled
    ahead[rows, leader] = np.inf
    return ahead


@dataclass(frozen=True)
class StoppingRule:
    """The headroom above which a photo is decided after each pass, (passes - 1,); 1 is exact.

    Other thresholds were fitted to a random `sample` of the photos (their indices), all of whose
    passes were run. With 95 % confidence at most `allowed` photos have another class than in the
    full run; `differ` of the `tested` ones did.
    """

    after: np.ndarray
    sample: np.ndarray
    allowed: int
    tested: int
    differ: int


def exact_stopping_rule(passes: int) -> StoppingRule:
    """The stopping rule that changes no class."""
    return StoppingRule(np.ones(passes - 1), np.zeros(0, np.int64), 0, 0, 0)


def remaining_weights(weights: np.ndarray) -> np.ndarray:
    """The weight to come after each pass but the last, (passes - 1,).

    It is summed from the end, so that it is never too small.
    """
    return np.cumsum(weights[::-1])[::-1][1:]


def run_passes(
    passes: Callable[[int, np.ndarray], np.ndarray],
    weights: np.ndarray,
    gains: np.ndarray,
    margins: StoppingRule,
    photos: int,
    slack: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The sums (N, C) of passes, and how many passes each photo took, (N,).

    Each pass runs only for the photos that are not decided yet. A photo's class is the argmax of
    its sum times the gains. `passes(p, rows)` gives the probabilities (len(rows), C) of pass p;
    `weights` (passes,) are positive. With `slack` a photo is decided only if its class is ahead by
    that much, whatever the passes to come give: another pass is cheaper than a close call.
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
                safe &= margins_over_next(total[rows], gains, np.full(len(rows), left[p])) > slack
            safe &= ~whole[rows]
            taken[rows[safe]] = p + 1
            rows = rows[~safe]
            if not len(rows):
                break
    return total, taken


def margins_over_next(total: np.ndarray, gains: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """How far each photo's leading class is ahead of the next one, at the least, (N,).

    It holds whatever passes of the weight `remaining` (N,) are still to give.
    """
    return (leads_over_others(total * gains) - gains * remaining[:, None]).min(axis=1)
