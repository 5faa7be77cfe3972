"""Blend probabilities of several members by id."""

from collections.abc import Sequence

import numpy as np

from kit.errors import KitError
from kit.tables import Probs


def mean(members: Sequence[Probs], ids: Sequence[str], weights: np.ndarray | None = None) -> np.ndarray:
    """The arithmetic mean of the members' probabilities for `ids`, in their order: float32 (N, 18).

    `weights` are (members,), positive; without them all members count alike.

    Members are joined by id, never by position. Raises `KitError` where one lacks an id.
    """
    weights = np.ones(len(members)) if weights is None else weights
    total = np.zeros((len(ids), members[0].probs.shape[1]), np.float64)
    for number, (member, weight) in enumerate(zip(members, weights)):
        try:
            total += weight * member.at(ids)
        except KeyError as error:
            raise KitError(f"member {number + 1} of {len(members)}: {error.args[0]}") from error
    return (total / weights.sum()).astype(np.float32)


def pool(folds: Sequence[Probs]) -> Probs:
    """The out-of-fold probabilities of a run's folds as one table."""
    ids = np.concatenate([f.ids for f in folds])
    if len(np.unique(ids)) != len(ids):
        raise KitError("two folds of a run hold out-of-fold probabilities of the same photos; each fold has its own")
    return Probs(ids, np.concatenate([f.probs for f in folds]))
