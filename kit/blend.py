"""Blend members' probabilities and decide classes; fit both to out-of-fold probabilities, and score what was fitted honestly.

Members are arrays (M, N, 18), float, of the same N photos in the same order: joining by id is done before, in `kit.members`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kit.labels import AGES, GENDERS, MASKS, NUM_CLASSES, decode
from kit.metrics import f1_of_counts
from kit.pixels import cores

BLENDS: Final = {"mean": "the arithmetic mean", "greedy": "greedy selection with replacement, by macro-F1, bagged",
                 "weights": "non-negative weights, by log-loss", "gmean": "the geometric mean", "vote": "a hard vote"}
FITTED: Final = ("greedy", "weights")
DECISIONS: Final = {"argmax": "the most probable class", "bias": "the same after a factor a class, fitted to macro-F1"}

_TINY = 1e-7
_SAME = 1e-3  # as far as a table of four decimals, brought to sum to 1, is from itself
_BAGS = 20
_STEPS = 20
_BIAS_BAGS = 10
_BIAS_LIMIT = 3.0
# A gain in macro-F1 too small to move a bias for: a few photos' luck.
_WORTH = 0.001
# The classes of each mask status, gender and age; the first of each task stays where it is, for a common shift changes nothing.
_GROUPS = [part == value for part, values in zip(decode(np.arange(NUM_CLASSES)), (MASKS, GENDERS, AGES))
           for value in range(1, len(values))]


@dataclass(frozen=True)
class Rule:
    """How members' probabilities become classes.

    `weights` (M,) sum to 1. The class is the argmax of log(p) / `temperature` + `biases`, which are (18,) with mean 0; the
    temperature alone changes no class, but how sure the blend is of it.
    """

    blend: str
    weights: np.ndarray
    temperature: float = 1.0
    biases: np.ndarray = field(default_factory=lambda: np.zeros(NUM_CLASSES))

    @property
    def gains(self) -> np.ndarray:
        """The factor of each class's probability before the argmax, (18,): what the biases come to."""
        return np.exp(self.temperature * self.biases)

    def probs(self, members: np.ndarray) -> np.ndarray:
        """The blended probabilities, (N, 18) float64."""
        if self.blend == "gmean":
            logs = sum(w * np.log(np.maximum(m, _TINY, dtype=np.float64)) for w, m in zip(self.weights, members))
            return _normalised(np.exp(logs))
        mean = weighted(members, self.weights)
        if self.blend == "vote":
            # The mean decides where votes are equal: it counts less than the least difference between two votes.
            share = 0.5 * self.weights.min() / (1 + self.weights.min())
            votes = sum(w * np.eye(NUM_CLASSES)[m.argmax(axis=1)] for w, m in zip(self.weights, members))
            return (1 - share) * votes + share * mean
        return mean

    def calibrated(self, blended: np.ndarray) -> np.ndarray:
        """Blended probabilities (N, 18) at the temperature and with the biases: the argmax is the class."""
        return _softmax(_log(blended) / self.temperature + self.biases)

    def classes(self, members: np.ndarray) -> np.ndarray:
        """The classes of the members' photos, (N,)."""
        return decide(self.probs(members), self.gains)


def uniform(blend: str, members: int) -> Rule:
    """The rule in which all members count alike."""
    return Rule(blend, np.full(members, 1 / members))


def weighted(members: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """The weighted sum of (N, 18) probabilities in float64, row by row the same whatever rows are with it."""
    total = np.zeros(members[0].shape)
    for member, weight in zip(members, weights):
        if weight:
            total += weight * member.astype(np.float64)
    return total


def decide(probs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The classes (N,) of blended probabilities (N, 18): the argmax after each class's gain, the lower class of equals."""
    return (probs * gains).argmax(axis=1)


def _normalised(positive: np.ndarray) -> np.ndarray:
    return positive / positive.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- fitting

def fit(members: np.ndarray, truth: np.ndarray, person: np.ndarray, blend: str, decision: str) -> Rule:
    """Fit a blend and its decision to the members' out-of-fold probabilities; `truth` and `person` are (N,).

    The temperature is the one of the least log-loss (Guo et al., 2017), whatever the decision.
    """
    count = len(members)
    rule = uniform(blend, count)
    if blend == "greedy":
        rule = dataclasses.replace(rule, weights=greedy(members, truth, person))
    elif blend == "weights":
        rule = dataclasses.replace(rule, weights=convex_weights(members, truth))
    probs = rule.probs(members)
    rule = dataclasses.replace(rule, temperature=fit_temperature(probs, truth))
    if decision == "bias":
        rule = dataclasses.replace(rule, biases=fit_biases(_log(probs) / rule.temperature, truth, person))
    return rule


def nested(members: np.ndarray, truth: np.ndarray, person: np.ndarray, fold: np.ndarray,
           fitting: Callable[[np.ndarray, np.ndarray, np.ndarray], Rule]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The honest outcome of a fit: each fold decided by the rule that `fitting` made from the other folds' people.

    Returns the classes (N,) of all photos, pooled, their probabilities (N, 18) at the temperature, and the same with the biases,
    whose argmax are the classes. What is selected on photos scores
    too well on them (Cawley and Talbot, 2010); what remains is that the members that saw a fold's people in training gave the
    probabilities that its rule was fitted to, which is the usual, slight, leak of stacking.
    """
    classes, (probs, decided) = np.empty(len(truth), np.int64), np.empty((2, len(truth), NUM_CLASSES))
    for k in np.unique(fold):
        held = fold == k
        rule = fitting(members[:, ~held], truth[~held], person[~held])
        blended = rule.probs(members[:, held])
        classes[held], decided[held] = decide(blended, rule.gains), rule.calibrated(blended)
        probs[held] = tempered(blended, rule.temperature)
    return classes, probs, decided


def distinct(members: np.ndarray) -> list[int]:
    """The members that are not copies of an earlier one, by their indices; four decimals do not tell two apart."""
    kept: list[int] = []
    for m, member in enumerate(members):
        if not any(np.abs(member[:50] - members[k][:50]).max() < _SAME and np.abs(member - members[k]).max() < _SAME
                   for k in kept):
            kept.append(m)
    return kept


# ---------------------------------------------------------------- weights

def convex_weights(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The weights (M,), none negative and their sum 1, of the least log-loss of the weighted mean.

    The problem is convex. The sum needs no constraint: with the sum of weights added to the loss, it is 1 at the optimum.
    """
    from scipy.optimize import minimize
    kept = distinct(members)
    sure = np.maximum(members[kept][:, np.arange(len(truth)), truth].T.astype(np.float64), _TINY)  # (N, M)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(sure @ weights, 1e-12)
        return float(weights.sum() - np.log(mixed).mean()), 1 - sure.T @ (1 / mixed) / len(mixed)

    found = minimize(loss, np.full(len(kept), 1 / len(kept)), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(kept),
                     options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}).x
    weights = np.zeros(len(members))
    weights[kept] = found / found.sum()
    return weights


def greedy(members: np.ndarray, truth: np.ndarray, person: np.ndarray, bags: int = _BAGS, steps: int = _STEPS) -> np.ndarray:
    """The weights (M,) of greedy ensemble selection with replacement, by macro-F1, ties by log-loss, bagged.

    After Caruana et al., Ensemble selection from libraries of models, 2004. Each bag draws half of the members, three at
    least, and half of the people; the bags' weights are averaged. Copies of a member are left out, or a member would be drawn
    more often for having some. In-sample the result is never below the best single member.
    """
    kept = distinct(members)
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
        return plain_f1(weighted(members[kept], weights).argmax(axis=1), truth)

    with ThreadPoolExecutor(cores()) as pool:
        mixed = np.mean(list(pool.map(bag, range(bags))), axis=0)
    singles = [plain_f1(members[m].argmax(axis=1), truth) for m in kept]
    if reached(mixed) < max(singles):
        mixed = _climb(probs, truth, steps)
        if reached(mixed) < max(singles):  # by the rounding of fixed-point numbers
            mixed = np.eye(len(kept))[int(np.argmax(singles))]
    weights = np.zeros(len(members))
    weights[kept] = mixed
    return weights


def plain_f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Macro-F1 as `kit.metrics.macro_f1` has it, in a hundredth of the time."""
    counts = [np.bincount(labels, minlength=NUM_CLASSES) for labels in (truth[predicted == truth], truth, predicted)]
    return float(f1_of_counts(np.stack(counts)).mean())


# A probability as an int32 in units of 2^-21, times 32: 31 of them can be added, and the lowest five bits are free for a
# class, so that the largest of 18 numbers tells its class, too. Numpy takes ten times as long for an argmax.
_UNIT, _CODES, _MOST_STEPS = 1 << 21, 32, 31


def _fixed_point(members: np.ndarray) -> np.ndarray:
    """Probabilities (M, N, 18) as (M, 18, N) int32, long rows of one class."""
    fixed = np.empty((len(members), NUM_CLASSES, members.shape[1]), np.int32)
    for target, member in zip(fixed, members):
        target[:] = np.round(member.T * np.float32(_UNIT))
    return np.multiply(fixed, _CODES, out=fixed)


def _climb(probs: np.ndarray, truth: np.ndarray, steps: int) -> np.ndarray:
    """One greedy selection from `_fixed_point` probabilities (M, 18, N): the weights (M,) of its best prefix.

    The first pick is the best single member, so that no prefix chosen is below it.
    """
    size, _, n = probs.shape
    every = np.arange(n)
    true_counts = np.bincount(truth, minlength=NUM_CLASSES)
    sure = probs[:, truth, every].astype(np.float32) / (_UNIT * _CODES)
    codes = np.arange(NUM_CLASSES - 1, -1, -1, dtype=np.int32)[:, None]  # of equals, the lowest class has the highest
    wanted = codes[truth, 0]
    total, picks = np.repeat(codes, n, axis=1), np.zeros(size)
    rows: np.ndarray | slice = slice(None)
    fixed = np.zeros((2, NUM_CLASSES), np.int64)  # wrong and right photos by code, of those whose class no member changes
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
        losses = [-float(np.log(np.maximum((mass + sure[m]) / step, _TINY)).mean(dtype=np.float64)) for m in tied]
        pick = tied[int(np.argmin(losses))]
        picks[pick] += 1
        total += probs[pick]
        standing = (float(f1[pick]), -min(losses))
        if best is None or standing[0] > best[0][0] + 1e-12 or (standing[0] > best[0][0] - 1e-12 and standing[1] > best[0][1]):
            best = standing, picks / step
        # One more member adds at most 1 to any class: photos with a larger margin keep theirs, whichever it is.
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
    return np.bincount(codes + NUM_CLASSES * (codes == wanted), minlength=2 * NUM_CLASSES).reshape(2, NUM_CLASSES)


# ---------------------------------------------------------------- decisions

def _log(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, _TINY))


def tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, 18) at another temperature: above 1 less sure."""
    return _softmax(_log(probs) / temperature)


def _softmax(logs: np.ndarray) -> np.ndarray:
    return _normalised(np.exp(logs - logs.max(axis=1, keepdims=True)))


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the least log-loss, between 1/8 and 8 (Guo et al., On calibration of modern neural networks, 2017)."""
    from scipy.optimize import minimize_scalar
    logs = _log(probs)
    own = logs[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        top = logs.max(axis=1) * scale
        return float((np.log(np.exp(logs * scale - top[:, None]).sum(axis=1)) + top - own * scale).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(8), np.log(8)), method="bounded", options={"xatol": 1e-3}).x))


def fit_biases(logs: np.ndarray, truth: np.ndarray, person: np.ndarray, bags: int = _BIAS_BAGS) -> np.ndarray:
    """The biases (18,), mean 0, with which the argmax of `logs` (N, 18) + biases has a high macro-F1.

    Each class's bias is the sum of one for its mask status, one for its gender and one for its age, as the logarithms of class
    frequencies nearly are. A free one for each class scores higher in-sample and lower nested: its best value hangs on a few
    photos of a rare class. Fitted by coordinate ascent with exact line searches to halves of the people, and averaged. Zeros
    where the plain argmax scores as high in-sample.
    """
    people = np.unique(np.asarray(person), return_inverse=True)[1]
    count = int(people.max()) + 1

    def bag(number: int) -> np.ndarray:
        rows = (np.random.default_rng([number, count]).permutation(count) < (count + 1) // 2)[people]
        return _ascend(logs[rows], truth[rows])

    with ThreadPoolExecutor(cores()) as pool:
        biases = np.mean(list(pool.map(bag, range(bags))), axis=0)
    better = plain_f1((logs + biases).argmax(axis=1), truth) > plain_f1(logs.argmax(axis=1), truth)
    return biases if better else np.zeros(NUM_CLASSES)


def _ascend(logs: np.ndarray, truth: np.ndarray, sweeps: int = 10) -> np.ndarray:
    """Biases (18,), mean 0, by coordinate ascent on macro-F1: the bias of each task's classes in turn."""
    values, biases = np.zeros(len(_GROUPS)), np.zeros(NUM_CLASSES)
    reached = plain_f1(logs.argmax(axis=1), truth)
    for _ in range(sweeps):
        before = reached
        for g, group in enumerate(_GROUPS):
            shift, f1 = line_search(logs + biases, truth, group)
            if f1 > reached + _WORTH / 2 and abs(values[g] + shift) <= _BIAS_LIMIT:
                values[g] += shift
                biases[group] += shift
                reached = f1
        if reached == before:
            break
    return biases - biases.mean()


def line_search(logs: np.ndarray, truth: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """The least shift of a group of classes (18,) bool whose macro-F1 is within 0.001 of the highest, and that macro-F1.

    As the shift grows, photos move from their best class outside the group to their best within it, one by one, each at its
    own threshold: the macro-F1 between any two thresholds follows from running counts.
    """
    n = len(truth)
    inside, outside = np.where(group, logs, -np.inf), np.where(group, -np.inf, logs)
    to, off = inside.argmax(axis=1), outside.argmax(axis=1)
    threshold = outside[np.arange(n), off] - inside[np.arange(n), to]
    order = np.argsort(threshold, kind="stable")
    threshold, to, off, own = threshold[order], to[order], off[order], truth[order]
    true_counts = np.bincount(truth, minlength=NUM_CLASSES)

    def changes(classes: np.ndarray, sign: int) -> tuple[float, np.ndarray]:
        """The sum of F1 of the classes that photos leave (-1) before any has, or enter (1), and its change with each photo."""
        hit = classes == own
        counts, hits = np.bincount(classes, minlength=NUM_CLASSES), np.bincount(classes[hit], minlength=NUM_CLASSES)
        grouping = np.argsort(classes, kind="stable")
        grouped = classes[grouping]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[grouped]
        moved = np.arange(n) - starts + 1  # of the class's photos, up to and with this one
        moved_hits = np.concatenate([[0], np.cumsum(hit[grouping])])
        moved_hits = moved_hits[1:] - moved_hits[starts]
        after_counts, after_hits = (counts[grouped] - moved, hits[grouped] - moved_hits) if sign < 0 else (moved, moved_hits)
        after = 2 * after_hits / np.maximum(after_counts + true_counts[grouped], 1)
        before = 2 * (after_hits - sign * hit[grouping]) / np.maximum(after_counts - sign + true_counts[grouped], 1)
        change = np.empty(n)
        change[grouping] = after - before
        return float((2 * hits / np.maximum(counts + true_counts, 1)).sum()) if sign < 0 else 0.0, change

    start, leaving = changes(off, -1)
    _, entering = changes(to, 1)
    f1 = np.concatenate([[start], start + np.cumsum(leaving + entering)]) / NUM_CLASSES
    edges = np.concatenate([[threshold[0] - 1], threshold, [threshold[-1] + 1]])
    f1[np.diff(edges) <= 1e-9] = -1  # photos of one threshold move together
    middles = (edges[:-1] + edges[1:]) / 2
    good = np.flatnonzero(f1 >= f1.max() - _WORTH)
    best = good[np.abs(middles[good]).argmin()]
    return float(middles[best]), float(f1[best])
