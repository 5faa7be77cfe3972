"""The figures of a report on runs.

Every function takes a name for those who cannot see the figure and plain values, and returns one
`<svg>` element.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from kit.competition import Competition
from kit.metrics.metric import MetricName, metric_of
from kit.reporting.by_number import NumberRow
from kit.reporting.drawing import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    PAPER,
    add_legend,
    add_legend_above,
    draw_edges,
    drawing,
    height_of,
    name_axes,
    new_figure,
    series,
)
from kit.results.run import score_column
from kit.scoring.bootstrap import LEAST_GROUPS, Interval
from kit.scoring.metrics import CalibrationBin
from kit.task import Task

MOST_CLASSES: Final = 60  # whose scores are shown


@drawing
def intervals(
    name: str, values: Mapping[str, tuple[float, Interval | None]], title: str, groups: str
) -> Figure:
    """Scores with their intervals, where they have one, a row each, the first one stressed.

    `title` is the score's name, and `groups` is the competition's word for what intervals rest on.
    """
    figure, axis = new_figure(0.5 + 0.3 * len(values))
    for row, (value, bounds) in enumerate(values.values()):
        colour = MUTED if row else ACCENT
        if bounds:
            axis.plot(bounds, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axis.plot([value], [row], "o", color=colour, markersize=6)
        axis.annotate(
            f"{value:.3f}",
            (value, row),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
    axis.set_yticks(range(len(values)), list(values))
    axis.set_ylim(len(values) - 0.5, -0.7)
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    lacking = sum(bounds is None for _, bounds in values.values())
    name_axes(
        axis,
        f"{title}, "
        + (
            "with its 95 % interval"
            if not lacking
            else f"no interval: too few {groups}"
            if lacking == len(values)
            else f"with its 95 % interval where {groups} are enough"
        ),
    )
    return figure


@drawing
def curves(
    name: str,
    folds: Mapping[int, Sequence[Mapping[str, float]]],
    chosen: Mapping[int, int],
    metric: MetricName,
) -> Figure:
    """Learning curves of a run's folds: losses above, the validation score below.

    A dot marks each fold's `chosen` epoch.
    """
    figure, (loss, below) = new_figure(4.6, rows=2)
    for n, (fold, rows) in enumerate(folds.items()):
        epochs = [row["epoch"] for row in rows]
        scores = [row[score_column(metric)] for row in rows]
        mark = "." if len(rows) == 1 else ""
        loss.plot(
            epochs, [row["train_loss"] for row in rows], mark + ":", color=series(n), linewidth=1.3
        )
        loss.plot(
            epochs, [row["val_loss"] for row in rows], mark + "-", color=series(n), linewidth=1.5
        )
        below.plot(epochs, scores, mark + "-", color=series(n), linewidth=1.5, label=f"fold {fold}")
        at = chosen.get(fold)
        if at in epochs:
            below.plot([at], [scores[epochs.index(at)]], "o", color=series(n), markersize=6)
    loss.plot([], [], "-", color=MUTED, label="validation")
    loss.plot([], [], ":", color=MUTED, label="training")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (loss, below):
        axis.grid(color=GRID, linewidth=0.8)
    add_legend(loss)
    add_legend_above(below, columns=5, spacing=0.9)
    name_axes(loss, y="loss")
    name_axes(below, "epoch", metric.title)
    return figure


@drawing
def class_scores(
    name: str,
    title: str,
    scores: Sequence[float],
    bounds: Sequence[Interval | None],
    groups: Sequence[int],
    competition: Competition,
) -> Figure:
    """The scores of the C classes with intervals, where they have one, and how many groups.

    Classes of one answer to the first of several tasks have one colour. Of more than sixty classes
    the worst are shown.
    """
    every, metric = competition.num_classes, metric_of(competition)
    sign = metric.sign if metric.class_of_probs else 1  # of decided classes more is better
    block = every // competition.shape[0] if competition.parts else every
    shown = np.sort(np.argsort(sign * np.array(scores), kind="stable")[:MOST_CLASSES]).tolist()
    classes = len(shown)
    figure, axis = new_figure(height_of(classes))
    for row, c in enumerate(shown):
        axis.barh(row, scores[c], color=series(c // block), alpha=0.55, height=0.72)
        if (ends := bounds[c]) is not None:
            axis.plot(ends, [row, row], color=INK, linewidth=1.4)
    labels = [f"{competition.class_names[c]} ({groups[c]})" for c in shown]
    axis.set_yticks(range(classes), labels)
    axis.set_ylim(classes - 0.4, -0.6)
    axis.set_xlim(0, max(1.0, *axis.get_xlim()))
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    word, least = competition.groups, f"from {LEAST_GROUPS}"
    name_axes(axis, f"{title}, with its 95 % interval {least} {word} on\n({word} of the class)")
    return figure


@drawing
def confusion(name: str, counts: np.ndarray, labels: Sequence[str], block: int = 0) -> Figure:
    """A confusion matrix of photos (C, C), true classes down.

    Cells have their counts, and are shaded by their share of the row. A line parts every `block`
    classes.
    """
    n = len(labels)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.4, 0.5 + 0.5 * n)
    figure, axis = new_figure(side * (0.8 if n <= 3 else 0.86), side)
    for row in range(n):
        for column in range(n):
            strength = float(share[row, column])
            axis.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor=ACCENT, alpha=strength, linewidth=0
                )
            )
            if counts[row, column]:
                axis.text(
                    column,
                    row,
                    f"{counts[row, column]:,}",
                    ha="center",
                    va="center",
                    fontsize=10 if n <= 3 else 8.5,
                    color=PAPER if strength > 0.55 else INK,
                )
    axis.set_xlim(-0.5, n - 0.5)
    axis.set_ylim(n - 0.5, -0.5)
    axis.set_xticks(range(n), labels, rotation=90 if n > 3 else 0)
    axis.set_yticks(range(n), labels)
    axis.tick_params(length=0)
    for side_ in axis.spines.values():
        side_.set_visible(True)
    for at in range(block, n, block) if block else ():
        axis.axhline(at - 0.5, color=MUTED, linewidth=0.8)
        axis.axvline(at - 0.5, color=MUTED, linewidth=0.8)
    name_axes(axis, "predicted", "true")
    return figure


@drawing
def reliability(name: str, bins: Sequence[CalibrationBin]) -> Figure:
    """Accuracy by confidence, beside an honest network's diagonal; below, the photos' number."""
    figure, (axis, count) = new_figure(4.4, rows=2, ratios=[3, 1])
    axis.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1)
    for bin_ in bins:
        width = bin_.high - bin_.low
        if bin_.photos:
            axis.bar(
                bin_.low,
                bin_.accuracy,
                width,
                align="edge",
                color=ACCENT,
                alpha=0.6,
                edgecolor=PAPER,
            )
            axis.plot([bin_.confidence], [bin_.accuracy], "o", color=INK, markersize=3.5)
        count.bar(
            bin_.low, bin_.photos, width, align="edge", color=MUTED, alpha=0.6, edgecolor=PAPER
        )
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.grid(color=GRID, linewidth=0.8)
    name_axes(axis, y="share that is right")
    name_axes(count, "probability of the predicted class", "photos")
    return figure


@drawing
def by_number(name: str, rows: Sequence[NumberRow], task: Task, groups: str) -> Figure:
    """What is predicted at each of a task's numbers, as shares, with the share that is right.

    Below, how many groups have the number; `rows` are those of `numbers.by_number`.
    """
    figure, (axis, count) = new_figure(4.4, rows=2, ratios=[3, 1])
    x = np.array([row.number for row in rows])
    bottom = np.zeros(len(x))
    for c, label in enumerate(task.classes):
        height = np.array([row.predicted[c] for row in rows])
        axis.bar(
            x, height, 1.0, bottom, color=series(c), alpha=0.75, label=f"as {label}", linewidth=0
        )
        bottom += height
    axis.plot(x, [row.right for row in rows], "o", color=INK, markersize=3, label="right")
    draw_edges(axis, task.edges)
    count.bar(x, [row.groups for row in rows], 1.0, color=MUTED, alpha=0.6, linewidth=0)
    axis.set_ylim(0, 1.03)
    add_legend_above(axis, columns=len(task.classes) + 1, spacing=0.8)
    name_axes(axis, y="share of photos")
    name_axes(count, f"true {task.column}", groups)
    return figure
