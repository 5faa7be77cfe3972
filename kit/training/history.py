"""The epochs of a training: the one whose weights are kept, and the end of the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.recipe import Recipe
from kit.scoring.metrics import Scores

Row = dict[str, Any]  # a row of metrics.csv: the value of each column


@dataclass(frozen=True)
class History:
    """The whole epochs of a recipe's training, as `rows` of `metrics.csv`, the first one first."""

    recipe: Recipe
    rows: Sequence[Row]

    @property
    def best(self) -> Row:
        """The best epoch by the recipe's `monitor`; the first of equals."""
        loss = self.recipe.monitor == "loss"
        return min(self.rows, key=lambda row: row["val_loss"] if loss else -row["val_f1_macro"])

    @property
    def selected(self) -> Row:
        """The epoch whose weights are kept."""
        return self.best if self.recipe.select == "best" else self.rows[-1]

    @property
    def finished(self) -> bool:
        """True if training ends now: after all epochs, or after too many without a better one."""
        if not self.rows:
            return False
        since = len(self.rows) - self.best["epoch"]
        return len(self.rows) >= self.recipe.epochs or 0 < self.recipe.patience <= since

    @property
    def scores(self) -> Scores:
        """The scores of the selected epoch."""
        return scores_of(self.selected)

    def describe(self) -> str:
        """The selected epoch and, where it was chosen on the fold, the last one beside it."""
        row = self.selected
        text = f"epoch {row['epoch']:.0f} of {len(self.rows)}, {scores_of(row).line()}"
        if row is not self.rows[-1]:
            text += f"; the last epoch {self.rows[-1]['val_f1_macro']:.3f}"
        return text


def scores_row(scores: Scores) -> Row:
    """The columns of `metrics.csv` that scores on the fold fill; the inverse of `scores_of`."""
    tasks = {f"val_f1_{name}": value for name, value in scores.tasks.items()}
    return {"val_acc": scores.metrics["accuracy"], "val_f1_macro": scores.f1, **tasks}


def scores_of(row: Row) -> Scores:
    """The scores of an epoch from its row."""
    f1 = {name[7:]: value for name, value in row.items() if name.startswith("val_f1_")}
    return Scores(f1.pop("macro"), {"accuracy": row["val_acc"]}, f1)
