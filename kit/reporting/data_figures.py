"""The figures of the data page: plain values in, one `<svg>` element out, as in `figures`."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from kit.reporting.drawing import (
    ACCENT,
    INK,
    add_legend,
    draw_edges,
    drawing,
    height_of,
    name_axes,
    new_figure,
    series,
)
from kit.task import Task

_BARS: Final = 60  # classes that have a bar each


@drawing
def photo_counts(name: str, counts: np.ndarray, labels: Sequence[str]) -> Figure:
    """Photos a class, (C,): a bar each, or of many classes a line over the rank."""
    if len(counts) > _BARS:
        figure, axis = new_figure(3.0)
        ranks = np.arange(1, len(counts) + 1)
        axis.step(ranks, np.sort(counts)[::-1], where="mid", color=ACCENT)
        axis.set_yscale("symlog")
        name_axes(axis, "classes, the most frequent first", "photos")
        return figure
    figure, axis = new_figure(height_of(len(counts)))
    axis.barh(range(len(counts)), counts, 0.72, color=ACCENT, alpha=0.75)
    for c, value in enumerate(counts.tolist()):
        axis.annotate(
            f"{value:,}",
            (value, c),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axis.set_yticks(range(len(counts)), labels)
    axis.set_ylim(len(counts) - 0.4, -0.6)
    axis.margins(x=0.12)
    name_axes(axis, "photos")
    return figure


@drawing
def histogram(name: str, parts: Mapping[str, np.ndarray], task: Task, groups: str) -> Figure:
    """Groups by a task's number: the numbers (G,) of each part of them, stacked, by its name."""
    figure, axis = new_figure(3.0)
    every = np.concatenate(list(parts.values()))
    edges = np.arange(every.min() - 0.5, every.max() + 1.0)
    axis.hist(
        list(parts.values()),
        edges,
        stacked=True,
        color=[series(n) for n in range(len(parts))],
        alpha=0.75,
        label=list(parts),
    )
    draw_edges(axis, task.edges)
    if len(parts) > 1:
        add_legend(axis)
    at = " and ".join(map(str, task.edges))
    name_axes(axis, f"{task.column}; the classes part at {at}", groups)
    return figure


@drawing
def brightness(name: str, values: Mapping[str, np.ndarray]) -> Figure:
    """The distribution of photos' mean brightness (0..255), of each set as shares of its photos."""
    figure, axis = new_figure(2.8)
    edges = np.linspace(0, 255, 52)
    for n, (label, of_set) in enumerate(values.items()):
        axis.hist(
            of_set,
            edges,
            weights=np.full(len(of_set), 100 / len(of_set)),
            histtype="step",
            linewidth=1.6,
            color=series(n),
            label=label,
        )
    add_legend(axis)
    name_axes(axis, "mean brightness, 0 black to 255 white", "% of photos")
    return figure
