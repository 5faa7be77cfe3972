"""All that a report says in numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from kit.blending.select import select_blend
from kit.competitions.mask import (
    AGE_BOUNDARIES,
    AGES,
    CLASS_NAMES,
    NUM_CLASSES,
    TASK_NAMES,
    age_class,
    decode,
)
from kit.inference.oof import Oof
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import calibration, log_loss

_ERRORS: Final = 24  # photos in the gallery of the worst errors


def years(photos: pd.DataFrame, predicted: np.ndarray) -> list[dict[str, Any]]:
    """For each age in years: its `people` and `photos`, the shares `predicted` (3,) as each age
    class, and what is `right`.
    """
    age = photos["age"].to_numpy()
    classes = decode(predicted)[2]
    found = []
    for year in np.unique(age).tolist():
        own = age == year
        shares = np.bincount(classes[own], minlength=len(AGES)) / own.sum()
        found.append(
            {
                "age": year,
                "people": int(photos["person"][own].nunique()),
                "photos": int(own.sum()),
                "predicted": shares.tolist(),
                "right": float(shares[int(age_class(np.array(year)))]),
            }
        )
    return found


def measure(oof: Oof) -> dict[str, Any]:
    """All that a report says in numbers, of members' out-of-fold probabilities, as plain values.

    Those of the mean of the members and the plain argmax: `f1`, `accuracy`, `interval`, `folds`,
    `classes`, `tasks` and the rest of `standing.select_blend`'s record, with the blends that it
    compares; `of_folds` adds intervals. `confusion` has the counts of the 18 `classes`, `mask`,
    `gender` and `age`, true ones down; `precision` and `recall` are (18,); `ece` and `bins` are
    those of `metrics.calibration`, `years` those of `years`.
    """
    numbers = dict(select_blend(oof, "mean", "argmax").record)
    asked = (
        [("mean", "bias")]
        if len(oof.probs) == 1
        else [("greedy", "bias"), ("weights", "argmax"), ("gmean", "argmax"), ("vote", "argmax")]
    )
    rows: dict[str, dict[str, Any]] = {}
    for blend, decision in asked:
        rows |= {
            row["name"]: row for row in select_blend(oof, blend, decision).record["candidates"]
        }
    numbers["candidates"] = list(rows.values())
    photos, probs = oof.photos, oof.probs.mean(axis=0)
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    person, fold = photos["person"].to_numpy(), photos["fold"].to_numpy()
    numbers["of_folds"] = {}
    for k in np.unique(fold).tolist():
        own = fold == k
        people = GroupBootstrap(person[own], truth[own])
        numbers["of_folds"][k] = {
            "f1": numbers["folds"][k],
            "people": people.number,
            "photos": int(own.sum()),
            "interval": people.interval(people.macro(predicted[own])),
        }
    precision, recall, _, _ = precision_recall_fscore_support(
        truth, predicted, labels=range(NUM_CLASSES), zero_division=0
    )
    numbers |= {"precision": precision.tolist(), "recall": recall.tolist()}
    numbers["confusion"] = {
        "classes": confusion_matrix(truth, predicted, labels=range(NUM_CLASSES)).tolist()
    }
    for (task, names), true, guess in zip(TASK_NAMES.items(), decode(truth), decode(predicted)):
        numbers["confusion"][task] = confusion_matrix(
            true, guess, labels=range(len(names))
        ).tolist()
    numbers["log_loss"] = log_loss(
        probs, truth
    )  # as it is, where the record's is that of a fitted temperature
    numbers["ece"], numbers["bins"] = calibration(probs, truth)
    numbers["years"] = years(photos, predicted)
    return numbers


def worst_errors(
    photos: pd.DataFrame, probs: np.ndarray, number: int = _ERRORS
) -> list[dict[str, Any]]:
    """The photos whose true class is the least probable, one of each person, as plain values."""
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    own = probs[np.arange(len(truth)), truth]
    found: dict[str, dict[str, Any]] = {}
    for i in np.argsort(own, kind="stable").tolist():
        person = photos["person"].iloc[i]
        if predicted[i] != truth[i] and person not in found:
            found[person] = {
                "image": photos["image"].iloc[i],
                "age": int(photos["age"].iloc[i]),
                "fold": int(photos["fold"].iloc[i]),
                "true": CLASS_NAMES[truth[i]],
                "true_prob": float(own[i]),
                "predicted": CLASS_NAMES[predicted[i]],
                "prob": float(probs[i, predicted[i]]),
            }
        if len(found) == number:
            break
    return list(found.values())


def boundary(of_years: Sequence[Mapping[str, Any]], within: int = 2) -> dict[str, float]:
    """How errors of age lie about 30 and 60: the shares of `errors` and of `photos` at the ages so
    many years around one.
    """
    near = [any(b - within <= row["age"] < b + within for b in AGE_BOUNDARIES) for row in of_years]
    photos = np.array([row["photos"] for row in of_years], dtype=np.float64)
    wrong = photos * (1 - np.array([row["right"] for row in of_years]))
    return {
        "errors": float(wrong[near].sum() / max(wrong.sum(), 1e-9)),
        "photos": float(photos[near].sum() / photos.sum()),
        "wrong": round(float(wrong.sum())),
    }
