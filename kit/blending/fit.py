"""Blends and decisions fitted to out-of-fold probabilities, and their honest score.

Members are arrays (M, N, C), float, of the same N photos in the same order: they were joined by id
before.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from kit.blending.biases import fit_biases
from kit.blending.cuts import fit_cuts
from kit.blending.greedy import greedy
from kit.blending.rule import (
    TINY,
    Rule,
    at_temperature,
    clipped,
    distinct_members,
    log_probs,
    logits,
    plain_rule,
)
from kit.blending.target import Target
from kit.blending.thresholds import fit_thresholds
from kit.metrics.metric import Metric
from kit.metrics.sums import log_loss
from kit.scoring.metrics import by_expectation, expected

_MOST: Final = 1 << 20  # labels of photos that weights are fitted to, at most
_CLIPS: Final = (0.0, *(10.0 ** -np.arange(6, 0.9, -0.25)))


def decision_of(metric: Metric, several: bool) -> str:
    """What is fitted to decide by a metric: `biases`, `thresholds`, `cuts`, `clip`, or nothing.

    The answer is of `several` labels or of one class.
    """
    if metric.name == "log_loss":
        return "clip"
    if metric.name == "quadratic_kappa":
        return "cuts"
    if several:
        return "thresholds" if metric.average else ""
    return "biases" if metric.counts is not None else ""


def tempers(target: Target) -> bool:
    """True if the temperature of probabilities changes their score."""
    metric = target.metric
    return metric.of_probs and has_temperature(metric) or by_expectation(target.competition)


def has_temperature(metric: Metric) -> bool:
    """False where the score is of the order of photos, or a function of which nothing is known."""
    return metric.column is None and not metric.is_function


def fit_rule(members: np.ndarray, target: Target, blend: str, decision: str) -> Rule:
    """A blend and its decision, fitted to the members' out-of-fold probabilities.

    The temperature is the one of the least log-loss (Guo et al., 2017), whatever the decision; it
    is 1 where the metric has none (`has_temperature`).
    """
    return fit_rules(members, target, blend, decision)[0]


def fit_rules(members: np.ndarray, target: Target, blend: str, decision: str) -> tuple[Rule, ...]:
    """The rule of `fit_rule` and, where a temperature changes the score, the same without one."""
    rule = plain_rule(blend, len(members), target.competition)
    if blend == "greedy":
        rule = dataclasses.replace(rule, weights=greedy(members, target))
    elif blend == "weights":
        rule = dataclasses.replace(rule, weights=convex_weights(members, target.truth))
    if not has_temperature(target.metric):
        return (rule,)
    probs, rows = rule.probs(members), target.some()
    temperature = fit_temperature(probs[rows], target.truth[rows])
    rules = [dataclasses.replace(rule, temperature=temperature), rule]
    if not tempers(target):
        rules.pop()
    if decision == "bias":
        rules = [_fit_decision(rule, probs, target) for rule in rules]
    return tuple(rules)


def _fit_decision(rule: Rule, probs: np.ndarray, target: Target) -> Rule:
    """The rule with what is fitted to decide by the metric."""
    kind = decision_of(target.metric, target.several)
    if kind == "biases":
        logs = log_probs(probs) / rule.temperature
        return dataclasses.replace(rule, biases=fit_biases(logs, target))
    if kind == "thresholds":
        odds = logits(fit_thresholds(probs, target))
        return dataclasses.replace(rule, biases=-odds / rule.temperature)
    if kind == "cuts":
        cuts = fit_cuts(
            expected(rule.calibrated(probs)), target.truth, target.groups, target.classes
        )
        return dataclasses.replace(rule, cuts=cuts)
    if kind == "clip":
        rows = target.some()
        calibrated, truth = rule.calibrated(probs[rows]), target.truth[rows]
        losses = [log_loss(truth, clipped(calibrated, c, rule.several)) for c in _CLIPS]
        return dataclasses.replace(rule, clip=float(_CLIPS[int(np.argmin(losses))]))
    return rule


def nested(
    members: np.ndarray,
    target: Target,
    fold: np.ndarray,
    fitting: Callable[[np.ndarray, Target], Rule],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The honest outcome of a fit: each fold is decided by a rule that is fitted to the others.

    `fitting` makes a rule of members and a target. Returns the answers to all photos, pooled, their
    probabilities (N, C) at the temperature, and the same with the biases and clipped, of which the
    answers follow. What is selected on photos scores too well on them (Cawley and Talbot, 2010);
    what remains is that the members that saw a fold's groups in training gave the probabilities
    that its rule was fitted to, which is the usual, slight, leak of stacking.
    """
    return nested_each(members, target, fold, lambda *part: (fitting(*part),))[0]


def nested_each(
    members: np.ndarray,
    target: Target,
    fold: np.ndarray,
    fitting: Callable[[np.ndarray, Target], Sequence[Rule]],
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The outcomes of `nested` for each of several rules that `fitting` makes together."""
    folds = np.unique(fold)
    fitted = [fitting(members[:, fold != k], target.part(fold != k)) for k in folds]
    return [_decide_folds(members, target, fold, dict(zip(folds, rules))) for rules in zip(*fitted)]


def _decide_folds(
    members: np.ndarray, target: Target, fold: np.ndarray, rules: Mapping[int, Rule]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `nested` returns, by each fold's rule."""
    answers = np.empty(target.truth.shape, np.uint8 if target.several else np.int64)
    probs = np.empty(members.shape[1:])
    decided = probs
    for k, rule in rules.items():
        held = fold == k
        blended = rule.probs(members[:, held])
        answers[held] = rule.decide(blended)
        probs[held] = at_temperature(blended, rule.temperature, rule.several)
        if rule.biases.any() or rule.clip:
            if decided is probs:
                decided = probs.copy()
            decided[held] = rule.calibrated(blended)
        elif decided is not probs:
            decided[held] = probs[held]
    return answers, probs, decided


def convex_weights(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The weights (M,) of the least log-loss of the weighted mean.

    None is negative, and their sum is 1. The problem is convex. The sum needs no constraint: with
    the sum of weights added to the loss, it is 1 at the optimum. Of several labels it is the mean
    log-loss of all labels.
    """
    distinct = distinct_members(members)
    sure = np.maximum(_sure(members, truth, distinct).astype(np.float64), TINY)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(sure @ weights, 1e-12)
        return float(weights.sum() - np.log(mixed).mean()), 1 - sure.T @ (1 / mixed) / len(mixed)

    fitted = minimize(
        loss,
        np.full(len(distinct), 1 / len(distinct)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(distinct),
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8},
    ).x
    weights = np.zeros(len(members))
    weights[distinct] = fitted / fitted.sum()
    return weights


def _sure(members: np.ndarray, truth: np.ndarray, of: list[int]) -> np.ndarray:
    """The probability that some members give to what is true, (n, M).

    Of several labels it is that of each label of each photo, or of as many of them, drawn.
    """
    if truth.ndim == 1:
        return np.asarray(members[of][:, np.arange(len(truth)), truth].T)
    cells = np.arange(truth.size)
    if len(cells) > _MOST:
        cells = np.sort(np.random.default_rng(0).integers(0, truth.size, _MOST))
    true = truth.ravel()[cells] > 0
    given = np.stack([members[m].reshape(-1)[cells] for m in of], axis=1)
    return np.where(true[:, None], given, 1 - given)


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the least log-loss, between 1/8 and 8.

    After Guo et al., On calibration of modern neural networks, 2017.
    """
    if truth.ndim == 2:
        odds = logits(probs) * np.where(truth > 0, -1.0, 1.0)
        return _least(lambda scale: float(np.logaddexp(0, odds * scale).mean()))
    logs = log_probs(probs)
    of_truth = logs[np.arange(len(truth)), truth]

    def loss(scale: float) -> float:
        top = logs.max(axis=1) * scale
        return float(
            (
                np.log(np.exp(logs * scale - top[:, None]).sum(axis=1)) + top - of_truth * scale
            ).mean()
        )

    return _least(loss)


def _least(loss: Callable[[float], float]) -> float:
    """The temperature of the least loss, a function of its inverse."""
    return float(
        np.exp(
            minimize_scalar(
                lambda log_temperature: loss(np.exp(-log_temperature)),
                bounds=(-np.log(8), np.log(8)),
                method="bounded",
                options={"xatol": 1e-3},
            ).x
        )
    )
