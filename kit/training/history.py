"""The epochs of a training: the one whose weights are kept, and the end of the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.metrics.metric import MetricName
from kit.recipe import Recipe
from kit.results.run import score_column, task_column
from kit.scoring.metrics import Scores

Row = dict[str, Any]  # a row of metrics.csv: the value of each column


@dataclass(frozen=True)
class History:
    """The whole epochs of a recipe's training, as `rows` of `metrics.csv`, the first one first.

    They are scored by `metric`.
    """

    recipe: Recipe
    metric: MetricName
    rows: Sequence[Row]

    @property
    def best(self) -> Row:
        """The best epoch by the recipe's `monitor`; the first of equals."""
        if self.recipe.monitor == "loss":
            return min(self.rows, key=lambda row: row["val_loss"])
        column, sign = score_column(self.metric), self.metric.sign
        return min(self.rows, key=lambda row: -sign * row[column])

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
        return scores_of(self.selected, self.metric.named)

    def describe(self) -> str:
        """The selected epoch and, where it was chosen on the fold, the last one beside it."""
        row = self.selected
        text = f"epoch {row['epoch']:.0f} of {len(self.rows)}, {self.scores.line()}"
        if row is not self.rows[-1]:
            text += f"; the last epoch {self.rows[-1][score_column(self.metric)]:.3f}"
        return text


def scores_row(scores: Scores) -> Row:
    """The columns of `metrics.csv` that scores on the fold fill; the inverse of `scores_of`."""
    column, of_task = score_column(scores.metric), task_column(scores.metric, "")
    tasks = {f"{of_task}{name}": value for name, value in scores.tasks.items()}
    return {"val_acc": scores.metrics["accuracy"], column: scores.score, **tasks}


def scores_of(row: Row, metric: MetricName) -> Scores:
    """The scores of an epoch from its row."""
    column, of_task = score_column(metric), task_column(metric, "")
    tasks = {
        name.removeprefix(of_task): value
        for name, value in row.items()
        if name.startswith(of_task) and name != column
    }
    return Scores(row[column], metric, {"accuracy": row["val_acc"]}, tasks)
