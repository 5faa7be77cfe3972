"""Blend members' probabilities and decide classes; fit both to out-of-fold probabilities, and score
what was fitted honestly.

Members are arrays (M, N, 18), float, of the same N photos in the same order: joining by id is done
before, in `kit.members`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from kit.blending.biases import fit_biases
from kit.blending.greedy import greedy
from kit.blending.rule import (
    _TINY,
    Rule,
    _log,
    at_temperature,
    decide,
    distinct_members,
    uniform_rule,
)
from kit.competitions.mask import NUM_CLASSES


def fit_rule(
    members: np.ndarray, truth: np.ndarray, person: np.ndarray, blend: str, decision: str
) -> Rule:
    """Fit a blend and its decision to the members' out-of-fold probabilities; `truth` and `person`
    are (N,).

    The temperature is the one of the least log-loss (Guo et al., 2017), whatever the decision.
    """
    count = len(members)
    rule = uniform_rule(blend, count)
    if blend == "greedy":
        rule = dataclasses.replace(rule, weights=greedy(members, truth, person))
    elif blend == "weights":
        rule = dataclasses.replace(rule, weights=convex_weights(members, truth))
    probs = rule.probs(members)
    rule = dataclasses.replace(rule, temperature=fit_temperature(probs, truth))
    if decision == "bias":
        rule = dataclasses.replace(
            rule, biases=fit_biases(_log(probs) / rule.temperature, truth, person)
        )
    return rule


def nested(
    members: np.ndarray,
    truth: np.ndarray,
    person: np.ndarray,
    fold: np.ndarray,
    fitting: Callable[[np.ndarray, np.ndarray, np.ndarray], Rule],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The honest outcome of a fit: each fold decided by the rule that `fitting` made from the other
    folds' people.

    Returns the classes (N,) of all photos, pooled, their probabilities (N, 18) at the temperature,
    and the same with the biases, whose argmax are the classes. What is selected on photos scores
    too well on them (Cawley and Talbot, 2010); what remains is that the members that saw a fold's
    people in training gave the probabilities that its rule was fitted to, which is the usual,
    slight, leak of stacking.
    """
    classes, (probs, decided) = (
        np.empty(len(truth), np.int64),
        np.empty((2, len(truth), NUM_CLASSES)),
    )
    for k in np.unique(fold):
        held = fold == k
        rule = fitting(members[:, ~held], truth[~held], person[~held])
        blended = rule.probs(members[:, held])
        classes[held], decided[held] = decide(blended, rule.gains), rule.calibrated(blended)
        probs[held] = at_temperature(blended, rule.temperature)
    return classes, probs, decided


def convex_weights(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The weights (M,), none negative and their sum 1, of the least log-loss of the weighted mean.

    The problem is convex. The sum needs no constraint: with the sum of weights added to the loss,
    it is 1 at the optimum.
    """
    kept = distinct_members(members)
    sure = np.maximum(
        members[kept][:, np.arange(len(truth)), truth].T.astype(np.float64), _TINY
    )  # (N, M)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(sure @ weights, 1e-12)
        return float(weights.sum() - np.log(mixed).mean()), 1 - sure.T @ (1 / mixed) / len(mixed)

    found = minimize(
        loss,
        np.full(len(kept), 1 / len(kept)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(kept),
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8},
    ).x
    weights = np.zeros(len(members))
    weights[kept] = found / found.sum()
    return weights


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the least log-loss, between 1/8 and 8 (Guo et al., On calibration of
    modern neural networks, 2017).
    """
    logs = _log(probs)
    own = logs[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        top = logs.max(axis=1) * scale
        return float(
            (np.log(np.exp(logs * scale - top[:, None]).sum(axis=1)) + top - own * scale).mean()
        )

    return float(
        np.exp(
            minimize_scalar(
                loss, bounds=(-np.log(8), np.log(8)), method="bounded", options={"xatol": 1e-3}
            ).x
        )
    )
