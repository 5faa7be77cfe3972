"""What `last.pt` says, checked: a file of others must not stop a training midway."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kit.metrics.metric import MetricName
from kit.models.metadata import check_versions, recorded_recipe
from kit.results.run import score_column
from kit.system.typed import is_plain

# The keys of `last.pt`: the training's origin, its position, and the states that it has changed.
_TYPES: Final[dict[str, type]] = {
    "recipe": str,
    "plan": str,
    "fold": int,
    "rows": list,
    "step": int,
    "loss": float,
    "seconds": float,
    "waited": float,
    "learner": dict,
    "versions": dict,
    "version": int,
    "threads": int,
    "precision": str,
    "device": str,
}


def check_state(state: Any) -> None:
    """Raise `ValueError` unless a state has every key, of the type that it is written with.

    Its networks and optimizers are held against the recipe's own when they are loaded.
    """
    if not isinstance(state, dict):
        raise ValueError("it is no dict")
    lacking = _TYPES.keys() - state.keys()
    if lacking:
        raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
    wrong = [n for n, kind in _TYPES.items() if not _is_of(kind, state[n])]
    wrong += [n for n in ("fold", "step", "threads") if n not in wrong and state[n] < 0]
    if wrong:
        raise ValueError(f"{wrong[0]} is {state[wrong[0]]!r:.60}")
    recorded_recipe(json.loads(state["recipe"]))
    check_versions(state["versions"])


def _is_of(kind: type, value: Any) -> bool:
    """True if a value is of a type; numbers are finite, and lists of plain values."""
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind and (kind is not list or is_plain(value))


def check_rows(rows: Sequence[Any], metric: MetricName) -> None:
    """Raise `ValueError` unless rows are those of whole epochs, from the first on."""
    needed = {"epoch", "lr", "train_loss", "val_loss", "val_acc", score_column(metric)}
    for number, row in enumerate(rows):
        whole = isinstance(row, Mapping) and needed <= row.keys() and row["epoch"] == number + 1
        if not whole or not all(type(value) in (int, float) for value in row.values()):
            raise ValueError(f"row {number + 1} of its metrics is {row!r:.60}")
