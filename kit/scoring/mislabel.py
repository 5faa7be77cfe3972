"""Probable label errors, by confident learning over out-of-fold probabilities, in the units that a
corrections file mends.

A gender or an age is one label of seven photos, so that it is judged by their mean; a mask status
is wrong where two of the seven have changed places. What a label should be is asked against the
thresholds of Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
labels (JAIR 70, 2021): the mean probability that a class has among those labelled so, by which a
class of which a network is seldom sure is judged by its own measure. As in Kuan and Mueller,
Model-agnostic label quality scoring to detect real-world label errors (ICML 2022, DataPerf), the
class counts that is the most above its threshold, or the least below: the paper's confident joint,
which counts those above theirs alone, leaves out half of the errors where a network is as sure of
them as of the rest. What is found is put in order by how much more probable it is than the label,
times how far that stands out among labels of its kind: a person of 29 who is taken for 31 is
nothing strange, one of 20 is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from kit.competitions.mask import (
    AGE_BOUNDARIES,
    AGES,
    GENDERS,
    MASKS,
    SHOTS,
    TASKS,
    Correction,
    decode,
    task_probs,
)

_OF_AN_AGE: Final = (
    20  # so many people nearest in age, or more, among whom an age stands out or does not
)


_LEAST: Final = 1.0  # standard deviations: what stands out less is as its kind often is


_MOST: Final = (
    4.0  # and what stands out by more is no clearer for it: kinds differ in how steady they are
)


_STEADY: Final = 0.05  # the least deviation that a kind is taken to have


@dataclass(frozen=True)
class Suspect:
    """A label that is probably wrong: its `correction`, what was `given` and is `suggested`, and
    the photos that tell.

    `given_prob` and `suggested_prob` are the mean probabilities (0..1) of both; `z_score` is how
    many standard deviations their difference lies above the mean of labels of that kind.
    """

    correction: Correction
    given: str
    suggested: str
    given_prob: float
    suggested_prob: float
    z_score: float
    images: tuple[str, ...]

    @property
    def score(self) -> float:
        """How clear it is: the difference of the two probabilities, times how far it stands out, 4
        deviations at most.
        """
        return (self.suggested_prob - self.given_prob) * min(self.z_score, _MOST)

    @property
    def line(self) -> str:
        """The line for the corrections file."""
        return f"{self.correction.path},{self.correction.field},{self.correction.value}"


def confident_classes(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class (N,) that each row of probabilities (N, C) speaks for most, measured by the
    classes' thresholds.

    A threshold is the mean probability of a class over the rows that have it as their label, of
    `labels` (N,); a class without such a row is never found.
    """
    threshold = np.array(
        [
            probs[labels == c, c].mean() if (labels == c).any() else np.inf
            for c in range(probs.shape[1])
        ]
    )
    found: np.ndarray = (probs - threshold).argmax(axis=1)
    return found


def find_mislabelled(photos: pd.DataFrame, probs: np.ndarray) -> list[Suspect]:
    """The probable label errors of a plan's `photos` (N rows of `image, person, age, label`), the
    clearest first.

    `probs` are their out-of-fold probabilities, (N, 18). Of a person at most one suspect a field; a
    swap is one where two photos together fit each other's label better than their own. What stands
    out by one standard deviation or less is left out.
    """
    truth = dict(zip(TASKS, decode(photos["label"].to_numpy())))
    found = [
        *_of_people(photos, probs, truth["gender"], "gender"),
        *_of_people(photos, probs, truth["age"], "age"),
        *_swaps(photos, probs, truth["mask"]),
    ]
    strange = [suspect for suspect in found if suspect.z_score > _LEAST]
    return sorted(strange, key=lambda suspect: (-suspect.score, suspect.line))


def _of_people(
    photos: pd.DataFrame, probs: np.ndarray, truth: np.ndarray, field: str
) -> list[Suspect]:
    """People whose gender or age class is probably wrong, by the mean over their photos."""
    names, first, at = np.unique(
        photos["person"].to_numpy(str), return_index=True, return_inverse=True
    )
    mean = (
        np.stack([np.bincount(at, column) for column in task_probs(probs, field).T], axis=1)
        / np.bincount(at)[:, None]
    )
    given, years, images = (
        truth[first],
        photos["age"].to_numpy()[first],
        photos["image"].to_numpy(str),
    )
    found = []
    for i, (old, new) in enumerate(zip(given.tolist(), confident_classes(mean, given).tolist())):
        if new == old or mean[i, new] <= mean[i, old]:
            continue
        alike = given == old if field == "gender" else _of_about(years, i)
        alike[i] = False
        margins = mean[:, new] - mean[:, old]
        found.append(
            Suspect(
                Correction(
                    str(names[i]),
                    field,
                    GENDERS[new] if field == "gender" else str(_years_of(old, new)),
                ),
                GENDERS[old] if field == "gender" else f"{AGES[old]} ({years[i]})",
                (GENDERS if field == "gender" else AGES)[new],
                float(mean[i, old]),
                float(mean[i, new]),
                _z_score(margins[i], margins[alike]),
                tuple(
                    sorted(
                        images[at == i].tolist(),
                        key=lambda image: (_stem(image) != "normal", image),
                    )
                ),
            )
        )
    return found


def _of_about(years: np.ndarray, i: int) -> np.ndarray:
    """Who of people (N,) is of about the age of one of them: as many years around it as twenty of
    them need.
    """
    apart = np.abs(years - years[i])
    near: np.ndarray = apart <= np.sort(apart)[min(_OF_AN_AGE, len(years) - 1)]
    return near


def _years_of(old: int, new: int) -> int:
    """The nearest age, in years, of another age class; only the class counts."""
    return AGE_BOUNDARIES[new - 1] if new > old else AGE_BOUNDARIES[new] - 1


def _swaps(photos: pd.DataFrame, probs: np.ndarray, given: np.ndarray) -> list[Suspect]:
    """The pairs of a person's photos that have probably changed places."""
    own = task_probs(probs, "mask")
    doubtful = confident_classes(own, given) != given
    images = photos["image"].to_numpy(str)
    # Each pair of a person's photos of two statuses: what swapping them gains, for all people by
    # the two statuses.
    gains: dict[tuple[int, int], list[float]] = {}
    best: dict[str, tuple[float, int, int]] = {}
    for name, rows in photos.groupby("person", sort=True).indices.items():
        fits = own[rows][:, given[rows]]  # of each photo, the probabilities of each one's label
        gain = (fits + fits.T - np.diag(fits)[:, None] - np.diag(fits)) / 2
        for i, j in zip(*np.nonzero(given[rows][:, None] < given[rows])):
            a, b, value = int(rows[i]), int(rows[j]), float(gain[i, j])
            gains.setdefault((int(given[a]), int(given[b])), []).append(value)
            if (doubtful[a] or doubtful[b]) and value > max(0.0, best.get(str(name), (0.0,))[0]):
                best[str(name)] = value, a, b
    found = []
    for person, (value, a, b) in best.items():
        shots = sorted((_stem(images[i]) for i in (a, b)), key=list(SHOTS).index)
        before = float(own[a, given[a]] + own[b, given[b]]) / 2
        was, now = (
            f"{_stem(images[a])} as {MASKS[given[x]]}, {_stem(images[b])} as {MASKS[given[y]]}"
            for x, y in ((a, b), (b, a))
        )
        found.append(
            Suspect(
                Correction(person, "swap", ":".join(shots)),
                was,
                now,
                before,
                before + value,
                _z_score(value, gains[int(given[a]), int(given[b])]),
                (str(images[a]), str(images[b])),
            )
        )
    return found


def _z_score(margin: float, alike: Sequence[float] | np.ndarray) -> float:
    return float((margin - np.mean(alike)) / max(np.std(alike), _STEADY)) if len(alike) else 0.0


def _stem(image: str) -> str:
    return PurePosixPath(image).stem
