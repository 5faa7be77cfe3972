"""Groups dealt to folds: every group in one fold, classes and numbers balanced."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kit.competitions.mask import AGES, CLASS_NAMES, GENDERS, NUM_CLASSES, decode, encode
from kit.system.errors import KitError


def assign_folds(
    photos: pd.DataFrame, folds: int, seed: int, linked: Sequence[tuple[str, str]] = ()
) -> np.ndarray:
    """The fold (0..folds-1) of each photo: int64 (N,).

    `photos` has `person, age, label`; `linked` are pairs of people who must share a fold. Every
    person lies in one fold. Within each gender x age stratum the folds' numbers of people differ by
    at most one, so that per class the photos differ by at most what one person makes (linked
    people, who move as one, can make it more; `imbalance` tells). Ages in years are spread evenly
    as well, and fold sizes differ as little as the strata allow.

    Nothing but hashes of seed and person decides ties: the result is the same on any machine,
    whatever the row order. Raises `KitError` where a stratum has fewer people than there are folds.
    """
    if folds < 2:
        raise KitError(f"--folds {folds}: there must be at least 2 folds")
    code, names = pd.factorize(photos["person"])
    first = np.full(len(names), -1)
    first[code[::-1]] = np.arange(len(code))[::-1]
    _, gender, age = decode(photos["label"].to_numpy())
    stratum = (encode(np.zeros_like(gender), gender, age))[first]
    years = photos["age"].to_numpy()[first]
    # A hash of each name is the shuffle: no random generator whose stream a library may change, and
    # no row order.
    shuffled = np.array([_hash(f"{seed}/{name}") for name in names], dtype=np.uint64)
    fold = np.full(len(names), -1)
    people = np.zeros((folds, 6), dtype=np.int64)  # per fold and stratum
    tie = np.array([_hash(f"{seed}/fold/{f}") for f in range(folds)], dtype=np.uint64)

    groups = _groups(names, linked, shuffled)
    _check_strata(stratum, folds, groups)
    for group in groups:
        own = np.bincount(stratum[group], minlength=6)
        # The fold where the group's strata are thinnest, then the emptiest.
        cost = [
            (int((people[f] * own).sum()), int(people[f].sum()), int(tie[f])) for f in range(folds)
        ]
        choice = cost.index(min(cost))
        fold[group] = choice
        people[choice] += own
    for s in range(6):
        single = np.flatnonzero((stratum == s) & (fold < 0))
        single = single[np.lexsort((shuffled[single], years[single]))]
        people[:, s] += (extra := _fill(people[:, s], people.sum(axis=1), len(single), tie))
        fold[single] = _deal(extra, seed, s)
    return fold[code]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _check_strata(stratum: np.ndarray, folds: int, groups: Sequence[np.ndarray]) -> None:
    count = np.bincount(stratum, minlength=6)
    # Linked people move as one, so that a group stands for one person in each stratum it is in.
    apart = count - sum(
        (np.maximum(np.bincount(stratum[g], minlength=6) - 1, 0) for g in groups),
        np.zeros(6, np.int64),
    )
    small = [int(s) for s in np.argsort(apart, kind="stable") if 0 < apart[s] < folds]
    if small:
        s, n = small[0], int(apart[small[0]])
        who = f"{n} {'people are' if n > 1 else 'person is'} {GENDERS[s // 3]} and {AGES[s % 3]}"
        linked = f" ({count[s]}, but the leak audit keeps some together)" if count[s] > n else ""
        raise KitError(
            f"--folds {folds}: only {who}{linked}, so some folds would have none of that class; "
            + (
                f"take --folds {n} or fewer"
                if n > 1
                else "add people of that class, or take them out of train.csv"
            )
        )


def _groups(
    names: pd.Index, linked: Sequence[tuple[str, str]], shuffled: np.ndarray
) -> list[np.ndarray]:
    """People connected by links, as arrays of their positions; the largest group first, then by the
    shuffle.
    """
    where = {name: i for i, name in enumerate(names)} if linked else {}
    parent: dict[int, int] = {}

    def top(i: int) -> int:
        while parent.setdefault(i, i) != i:
            i = parent[i]
        return i

    for a, b in linked:
        parent[top(where[a])] = top(where[b])
    groups: dict[int, list[int]] = {}
    for i in parent:
        groups.setdefault(top(i), []).append(i)
    return sorted(
        (np.array(g) for g in groups.values()), key=lambda g: (-len(g), int(shuffled[g].min()))
    )


def _fill(have: np.ndarray, total: np.ndarray, n: int, tie: np.ndarray) -> np.ndarray:
    """How many of `n` single people each fold gets, so that `have` plus them is as even as can be:
    int64 (folds,).
    """
    level = np.maximum(have.max() - have, 0)
    extra = level + (n - level.sum()) // len(have) if n >= level.sum() else np.zeros_like(have)
    for _ in range(n - int(extra.sum())):
        f = np.lexsort((tie, total + extra, have + extra))[0]
        extra[f] += 1
    return extra


def _deal(extra: np.ndarray, seed: int, stratum: int) -> np.ndarray:
    """The folds of a stratum's people in order of age, each fold's share spread evenly over that
    order: int64 (sum,).
    """
    at = [
        (np.arange(n) + _hash(f"{seed}/deal/{stratum}/{f}") / 2**64) / max(n, 1)
        for f, n in enumerate(extra)
    ]
    return np.repeat(np.arange(len(extra)), extra)[np.argsort(np.concatenate(at), kind="stable")]


def class_counts(photos: pd.DataFrame) -> np.ndarray:
    """Photos per fold and class: int64 (folds, 18)."""
    fold, label = photos["fold"].to_numpy(), photos["label"].to_numpy()
    folds = int(fold.max()) + 1
    return np.bincount(fold * NUM_CLASSES + label, minlength=folds * NUM_CLASSES).reshape(
        folds, NUM_CLASSES
    )


def imbalance(photos: pd.DataFrame) -> list[str]:
    """The classes in which the largest and smallest fold differ by more than one person's photos,
    as lines for a person.
    """
    one = photos.groupby(["person", "label"], sort=False).size().groupby("label").max()
    counts = class_counts(photos)
    spread = counts.max(axis=0) - counts.min(axis=0)
    return [
        f"class {c} ({CLASS_NAMES[c]}): {counts[:, c].min()} to {counts[:, c].max()} photos a fold"
        for c in one.index
        if spread[c] > one[c]
    ]
