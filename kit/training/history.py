"""The epochs of a training: which one is kept, and when it ends."""

from collections.abc import Sequence
from typing import Any

from kit.recipe import Recipe
from kit.scoring.metrics import Scores


def best_epoch(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best epoch of a run's metrics by the recipe's `monitor`: the first of equals."""
    return min(
        rows, key=lambda row: row["val_loss"] if recipe.monitor == "loss" else -row["val_f1_macro"]
    )


def selected_epoch(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The epoch whose weights are kept."""
    return best_epoch(recipe, rows) if recipe.select == "best" else rows[-1]


def is_finished(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether training ends after these epochs: they are all, or too many without a better one."""
    if not rows:
        return False
    return (
        len(rows) >= recipe.epochs
        or 0 < recipe.patience <= len(rows) - best_epoch(recipe, rows)["epoch"]
    )


def describe_finished(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> str:
    """What a finished fold has come to: the chosen epoch and, where it was chosen on the fold, the
    last one beside it.
    """
    row = selected_epoch(recipe, rows)
    text = f"epoch {row['epoch']:.0f} of {len(rows)}, {_scores(row).line()}"
    if row is not rows[-1]:
        text += f"; the last epoch {rows[-1]['val_f1_macro']:.3f}"
    return text


def _scores(row: dict[str, Any]) -> Scores:
    return Scores(
        *(row[c] for c in ("val_f1_macro", "val_acc", "val_f1_mask", "val_f1_gender", "val_f1_age"))
    )
