"""Random members, predictions and photos that tests share."""

import cv2
import numpy as np
import pandas as pd

from kit.blending.early import run_passes
from kit.blending.rule import decide, weighted
from kit.competitions.mask import competition as MASK
from kit.inference.oof import Oof
from kit.metrics.metric import find_metric

macro_f1 = find_metric("f1_macro").value


def softmax(logits):
    """The softmax of logits (..., C), float32."""
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exp / exp.sum(axis=-1, keepdims=True)).astype(np.float32)


def simulated(seed, members=4, people=60, signal=2.0, noise=1.0):
    """Members (M, N, 18) whose errors correlate, with seven photos a person: `(members, truth,
    person, fold)`.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 7)
    truth = (
        rng.integers(0, 6, people)[person] // 3 * 3
        + np.tile([0, 0, 0, 0, 0, 6, 12], people)
        + rng.choice(3, people, p=[0.5, 0.4, 0.1])[person]
    )
    shared = rng.normal(size=(people, MASK.num_classes))[person]
    logits = shared + noise * rng.normal(
        size=(members, len(person), MASK.num_classes)
    ) * rng.uniform(0.5, 2, (members, 1, 1))
    logits[:, np.arange(len(person)), truth] += signal
    return softmax(logits), truth, person, rng.permutation(people)[person] % 5


def random_passes(rng, count, photos, correlation, sharpness):
    """Probabilities (passes, photos, 18) float32 that agree as much as `correlation` says."""
    shared = rng.normal(size=(photos, 18)).astype(np.float32)
    shared[np.arange(photos), rng.integers(0, 18, photos)] += rng.choice([1.0, 4.0], photos)
    own = rng.normal(size=(count, photos, 18)).astype(np.float32)
    exp = np.exp(sharpness * (correlation * shared + np.sqrt(1 - correlation**2) * own))
    return exp / exp.sum(axis=2, keepdims=True)


def grouped_predictions(
    seed: int, people: int = 40, better: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Seven photos a person that succeed and fail together: truth, person, and two predictions of
    which b is better.
    """
    rng = np.random.default_rng(seed)
    person, truth = np.repeat(np.arange(people), 7), rng.integers(0, 18, people * 7)
    hard = rng.random(people)
    a, b = (
        np.where((hard + noise)[person] > 0.9, (truth + 1) % 18, truth)
        for noise in (0.4 * rng.random(people), 0.4 * rng.random(people) - better)
    )
    return truth, person, a, b


def oof_of(seed, better, people=150):
    """Two members' out-of-fold probabilities, of which one is noise, and the plan's photos."""
    rng = np.random.default_rng(seed)
    person, label = np.repeat(np.arange(people), 7), rng.integers(0, 18, 7 * people)
    logits = rng.normal(size=(2, len(label), 18))
    logits[1] *= 3
    logits[0, np.arange(len(label)), label] += better
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    photos = pd.DataFrame(
        {
            "image": [f"{p}/{i}" for i, p in enumerate(person)],
            "group": person.astype(str),
            "label": label,
            "fold": rng.permutation(people)[person] % 5,
        }
    )
    return Oof({"plain": probs.astype(np.float32)}, photos, MASK)


def decided_early(probs, weights, gains, margins):
    """The classes and passes taken, and the photos that each pass was asked for."""
    asked = []

    def rows(p, rows):
        asked.append(len(rows))
        return probs[p, rows]

    total, taken = run_passes(rows, weights, gains, margins, probs.shape[1])
    whole = taken == len(weights)
    total[whole] = weighted(probs[:, whole], weights)
    assert sum(asked) == taken.sum()
    return decide(total, gains), taken


def texture(seed: int, height: int = 256, width: int = 192) -> np.ndarray:
    """Noise with details of all sizes, as photos have: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.normal(size=(height // k, width // k, 3)),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
        * k
        for k in (2, 4, 8, 16, 32)
    ]
    return np.clip(128 + 4 * sum(layers), 0, 255).astype(np.uint8)
