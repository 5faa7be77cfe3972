"""Blends and decisions fitted to out-of-fold probabilities, and their honest score.

Members are arrays (M, N, C), float, of the same N photos in the same order: they were joined by id
before.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from kit.blending.biases import fit_biases
from kit.blending.greedy import greedy
from kit.blending.rule import (
    TINY,
    Rule,
    at_temperature,
    decide,
    distinct_members,
    log_probs,
    uniform_rule,
)


def fit_rule(
    members: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    blend: str,
    decision: str,
    shape: tuple[int, ...],
) -> Rule:
    """A blend and its decision, fitted to the members' out-of-fold probabilities.

    `truth` and `groups` are (N,), and `shape` is the number of classes of each task. The
    temperature is the one of the least log-loss (Guo et al., 2017), whatever the decision.
    """
    rule = uniform_rule(blend, len(members), members.shape[2])
    if blend == "greedy":
        rule = dataclasses.replace(rule, weights=greedy(members, truth, groups))
    elif blend == "weights":
        rule = dataclasses.replace(rule, weights=convex_weights(members, truth))
    probs = rule.probs(members)
    rule = dataclasses.replace(rule, temperature=fit_temperature(probs, truth))
    if decision == "bias":
        logs = log_probs(probs) / rule.temperature
        rule = dataclasses.replace(rule, biases=fit_biases(logs, truth, groups, shape))
    return rule


def nested(
    members: np.ndarray,
    truth: np.ndarray,
    groups: np.ndarray,
    fold: np.ndarray,
    fitting: Callable[[np.ndarray, np.ndarray, np.ndarray], Rule],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The honest outcome of a fit: each fold is decided by a rule that is fitted to the others.

    `fitting` makes a rule of members, truth and groups. Returns the classes (N,) of all photos,
    pooled, their probabilities (N, C) at the temperature, and the same with the biases, whose
    argmax are the classes. What is selected on photos scores too well on them (Cawley and Talbot,
    2010); what remains is that the members that saw a fold's groups in training gave the
    probabilities that its rule was fitted to, which is the usual, slight, leak of stacking.
    """
    shape = len(truth), members.shape[2]
    classes, (probs, decided) = np.empty(len(truth), np.int64), np.empty((2, *shape))
    for k in np.unique(fold):
        held = fold == k
        rule = fitting(members[:, ~held], truth[~held], groups[~held])
        blended = rule.probs(members[:, held])
        classes[held], decided[held] = decide(blended, rule.gains), rule.calibrated(blended)
        probs[held] = at_temperature(blended, rule.temperature)
    return classes, probs, decided


def convex_weights(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The weights (M,) of the least log-loss of the weighted mean.

    None is negative, and their sum is 1. The problem is convex. The sum needs no constraint: with
    the sum of weights added to the loss, it is 1 at the optimum.
    """
    distinct = distinct_members(members)
    sure = np.maximum(
        members[distinct][:, np.arange(len(truth)), truth].T.astype(np.float64), TINY
    )  # (N, M)

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


def fit_temperature(probs: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the least log-loss, between 1/8 and 8.

    After Guo et al., On calibration of modern neural networks, 2017.
    """
    logs = log_probs(probs)
    of_truth = logs[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        top = logs.max(axis=1) * scale
        return float(
            (
                np.log(np.exp(logs * scale - top[:, None]).sum(axis=1)) + top - of_truth * scale
            ).mean()
        )

    return float(
        np.exp(
            minimize_scalar(
                loss, bounds=(-np.log(8), np.log(8)), method="bounded", options={"xatol": 1e-3}
            ).x
        )
    )
