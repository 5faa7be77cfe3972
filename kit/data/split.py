"""Groups dealt to folds: every group in one fold, classes and numbers balanced."""

import hashlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from kit.competition import Competition
from kit.data.balance import balanced_folds
from kit.data.targets import labelled
from kit.system.errors import KitError
from kit.task import STRATUM


def assign_folds(
    photos: pd.DataFrame,
    competition: Competition,
    folds: int,
    seed: int,
    linked: Sequence[tuple[str, str]] = (),
) -> np.ndarray:
    """The fold (0..folds-1) of each photo: int64 (N,).

    `photos` has `group, label` and the competition's columns of numbers; `linked` are pairs of
    groups that must share a fold. Every group lies in one fold. A stratum is one answer to each of
    the tasks that a group has one answer to. Within each stratum the folds' numbers of groups
    differ by at most one, so that per class the photos differ by at most what one group makes
    (linked groups, which move as one, can make it more; `imbalance` tells). The numbers of the
    first column are spread evenly as well, and fold sizes differ as little as the strata allow.
    Where groups have different numbers of photos, or several classes or labels, and where `strata`
    are to be balanced besides, the photos of each are, as evenly as whole groups allow
    (`balance.py`).

    Nothing but hashes of seed and group decides ties: the result is the same on any machine, and
    in whatever order the rows come. Raises `KitError` if there are fewer groups than folds, or of
    several tasks if a stratum has; of one, a rare class may be absent from folds.
    """
    if folds < 2:
        raise KitError(f"--folds {folds}: is no number of folds; take 2 or more")
    code, names = pd.factorize(photos["group"])
    first = np.full(len(names), -1)
    first[code[::-1]] = np.arange(len(code))[::-1]
    # A hash of each name is the shuffle: no random generator whose stream a library may change, and
    # no row order.
    shuffled = np.array([_hash(f"{seed}/{name}") for name in names], dtype=np.uint64)
    tie = np.array([_hash(f"{seed}/fold/{f}") for f in range(folds)], dtype=np.uint64)
    clusters = _clusters(names, linked, shuffled)
    alone = not competition.several_labels and any(task.of_group for task in competition.tasks)
    if alone:
        stratum, strata = _strata(photos["label"].to_numpy()[first], competition)
        if len(competition.tasks) > 1:
            _check_strata(stratum, strata, folds, clusters, competition)
    cluster, order = _whole_clusters(clusters, shuffled)
    if len(order) < folds:
        raise KitError(
            f"--folds {folds}: only {len(order)} {competition.groups} can be parted; "
            f"take --folds {len(order)} or fewer"
        )
    sizes = np.bincount(code)
    if not alone or sizes.min() < sizes.max() or _beside(photos):
        return _balanced(photos, competition, cluster[code], order, tie)
    numbers = photos[list(competition.columns[:1])].to_numpy()[first].sum(axis=1)
    fold = np.full(len(names), -1)
    have = np.zeros((folds, len(strata)), dtype=np.int64)  # groups per fold and stratum
    for cluster in clusters:
        count = np.bincount(stratum[cluster], minlength=len(strata))
        # The fold that has least of the cluster's strata, then the emptiest one.
        cost = [
            (int((have[f] * count).sum()), int(have[f].sum()), int(tie[f])) for f in range(folds)
        ]
        choice = cost.index(min(cost))
        fold[cluster] = choice
        have[choice] += count
    for s in range(len(strata)):
        single = np.flatnonzero((stratum == s) & (fold < 0))
        single = single[np.lexsort((shuffled[single], numbers[single]))]
        have[:, s] += (extra := _fill(have[:, s], have.sum(axis=1), len(single), tie))
        fold[single] = _deal(extra, seed, s)
    return fold[code]


def _beside(photos: pd.DataFrame) -> list[str]:
    """The columns that are balanced besides the classes."""
    return [name for name in map(str, photos) if name.startswith(STRATUM)]


def _whole_clusters(
    clusters: Sequence[np.ndarray], shuffled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cluster 0.. of each group (G,), and the smallest hash of each cluster's groups."""
    first = np.arange(len(shuffled))
    for members in clusters:
        first[members] = members.min()
    _, cluster = np.unique(first, return_inverse=True)
    order = np.full(cluster.max() + 1, np.iinfo(np.uint64).max)
    np.minimum.at(order, cluster, shuffled)
    return cluster, order


def _balanced(
    photos: pd.DataFrame,
    competition: Competition,
    row: np.ndarray,
    order: np.ndarray,
    tie: np.ndarray,
) -> np.ndarray:
    """The fold of each photo (N,), which is of cluster `row` (N,), by all labels of clusters."""
    at, label = labelled(photos, competition)
    answers = [label] if competition.several_labels else list(competition.decode(label))
    sizes = [competition.num_classes] if competition.several_labels else list(competition.shape)
    parts = [(at, answer) for answer in answers]
    for name in _beside(photos):
        values, codes = np.unique(photos[name].to_numpy(dtype=str), return_inverse=True)
        parts.append((np.arange(len(photos)), codes))
        sizes.append(len(values))
    parts.append((np.arange(len(photos)), np.zeros(len(photos), np.int64)))  # all photos
    start = np.cumsum([0, *sizes])
    rows = np.concatenate([row[at] for at, _ in parts])
    columns = np.concatenate([codes + first for (_, codes), first in zip(parts, start)])
    shape = (len(order), int(start[-1]) + 1)
    counts = coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape).tocsr()
    return balanced_folds(counts, len(tie), order, tie)[row]


def _strata(labels: np.ndarray, competition: Competition) -> tuple[np.ndarray, list[str]]:
    """The stratum of each group by the label (G,) of one of its photos, and the strata's names."""
    answers = competition.decode(labels)
    tasks = [(task, part) for task, part in zip(competition.tasks, answers) if task.of_group]
    shape = tuple(len(task.classes) for task, _ in tasks)
    names = [" and ".join(words) for words in product(*(task.classes for task, _ in tasks))]
    return np.ravel_multi_index(tuple(part for _, part in tasks), shape), names


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _check_strata(
    stratum: np.ndarray,
    strata: Sequence[str],
    folds: int,
    clusters: Sequence[np.ndarray],
    competition: Competition,
) -> None:
    """Raise `KitError` if a stratum has fewer groups that can be parted than there are folds."""
    count = np.bincount(stratum, minlength=len(strata))
    # Linked groups move as one: a cluster stands for one group in each stratum it is in.
    linked_too = [np.bincount(stratum[c], minlength=len(strata)) - 1 for c in clusters]
    apart = count - sum((np.maximum(more, 0) for more in linked_too), np.zeros_like(count))
    small = [int(s) for s in np.argsort(apart, kind="stable") if 0 < apart[s] < folds]
    if not small:
        return
    s, n = small[0], int(apart[small[0]])
    who = f"{competition.groups} are" if n > 1 else f"{competition.group} is"
    linked = f" ({count[s]}, but the leak audit keeps some together)" if count[s] > n else ""
    raise KitError(
        f"--folds {folds}: only {n} {who} {strata[s]}{linked}, so some folds would have none of "
        "that class; "
        + (
            f"take --folds {n} or fewer"
            if n > 1
            else f"add {competition.groups} of that class, or take them out of "
            f"{Path(competition.train).name}"
        )
    )


def _clusters(
    names: pd.Index, linked: Sequence[tuple[str, str]], shuffled: np.ndarray
) -> list[np.ndarray]:
    """Groups that links connect, as arrays of their positions.

    The largest cluster comes first; equally large ones come by the shuffle.
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
    """The number of `n` single groups that each fold gets: int64 (folds,).

    Together with `have` they are as even as possible.
    """
    level = np.maximum(have.max() - have, 0)
    extra = level + (n - level.sum()) // len(have) if n >= level.sum() else np.zeros_like(have)
    for _ in range(n - int(extra.sum())):
        f = np.lexsort((tie, total + extra, have + extra))[0]
        extra[f] += 1
    return extra


def _deal(extra: np.ndarray, seed: int, stratum: int) -> np.ndarray:
    """The folds of a stratum's groups, in the order of their numbers: int64 (sum,).

    Each fold's share is spread evenly over that order.
    """
    at = [
        (np.arange(n) + _hash(f"{seed}/deal/{stratum}/{f}") / 2**64) / max(n, 1)
        for f, n in enumerate(extra)
    ]
    return np.repeat(np.arange(len(extra)), extra)[np.argsort(np.concatenate(at), kind="stable")]


def class_counts(photos: pd.DataFrame, competition: Competition) -> np.ndarray:
    """Photos per fold and class, or label: int64 (folds, C)."""
    fold, classes = photos["fold"].to_numpy(), competition.num_classes
    at, label = labelled(photos, competition)
    folds = int(fold.max()) + 1
    flat = np.bincount(fold[at] * classes + label, minlength=folds * classes)
    return flat.reshape(folds, classes)


def imbalance(photos: pd.DataFrame, competition: Competition) -> list[str]:
    """The classes whose folds differ by more photos than one group makes, as lines for the user."""
    at, label = labelled(photos, competition)
    table = pd.DataFrame({"group": photos["group"].to_numpy()[at], "label": label})
    one = table.groupby(["group", "label"], sort=False).size().groupby("label").max()
    counts = class_counts(photos, competition)
    spread = counts.max(axis=0) - counts.min(axis=0)
    return [
        f"class {c} ({competition.class_names[c]}): {counts[:, c].min()} to {counts[:, c].max()} "
        "photos a fold"
        for c in one.index
        if spread[c] > one[c]
    ]
