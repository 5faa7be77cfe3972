"""The figures of a report, by matplotlib, as SVG that takes its colours from the page: light, dark
or printed.

Every function takes plain values and returns one `<svg>` element. Text stays text, in the page's
font.
"""

import functools
import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from kit.competitions.mask import AGE_BOUNDARIES, AGES, CLASS_NAMES, GENDERS, MASKS, NUM_CLASSES
from kit.scoring.bootstrap import Interval

# Colours that stand for the page's own: matplotlib writes them, and `_svg` puts the page's
# variables in their place.
INK, MUTED, GRID, ACCENT, PAPER = (f"#00000{n}" for n in range(1, 6))


_VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    ACCENT: "--accent",
    PAPER: "--paper",
}


_SERIES: Final = 8


SERIES: Final = tuple(f"#00010{n}" for n in range(_SERIES))


# inches: at a phone's width a figure is shown at three quarters of its size, and can be read
_WIDTH: Final = 5.0


def series(n: int) -> str:
    """The colour of the n-th of several lines."""
    return SERIES[n % _SERIES]


def _figure(
    height: float, width: float = _WIDTH, rows: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = {"height_ratios": ratios} if ratios else {}
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, gridspec_kw=grid)[:, 0]
    for axis in axes:
        axis.patch.set_visible(False)
        axis.set_axisbelow(True)
        axis.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
        for side in axis.spines.values():
            side.set_color(GRID)
        axis.spines[["top", "right"]].set_visible(False)
    figure.patch.set_visible(False)
    return figure, axes if rows > 1 else axes[0]


def _names(axis: Axes, x: str = "", y: str = "") -> None:
    axis.set_xlabel(x, color=INK, fontsize=9)
    axis.set_ylabel(y, color=INK, fontsize=9)


def _legend(axis: Axes, columns: int = 1, **options: Any) -> None:
    axis.legend(frameon=False, fontsize=8.5, labelcolor=INK, ncols=columns, **options)


_P = ParamSpec("_P")


def _drawing(draw: Callable[Concatenate[str, _P], Figure]) -> Callable[Concatenate[str, _P], str]:
    """Turn a function that draws a figure into one that gives it as an SVG element."""

    @functools.wraps(draw)
    def svg(name: str, /, *args: _P.args, **kwargs: _P.kwargs) -> str:
        style: Any = {
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "text.parse_math": False,
        }  # a run may be called a$b$
        with matplotlib.rc_context(style), warnings.catch_warnings():
            # Of measuring a text in a font that has no Hangul; the text stays text, and the page's
            # font has it.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            return _svg(draw(name, *args, **kwargs), name)

    return svg


def _svg(figure: Figure, name: str) -> str:
    """A figure as an SVG element that fits its place, with `name` for those who cannot see it."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same in every figure of a page
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'style="[^"]*"', lambda style: _page_colours(style[0]), svg)
    head = f'role="img" aria-label="{html.escape(name)}"'
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', lambda tag: f"<svg {tag[1]} {head}>", svg, count=1
    )


def _page_colours(style: str) -> str:
    for colour, variable in _VARIABLES.items():
        style = style.replace(colour, f"var({variable})")
    return re.sub(r"#00010(\d)", r"var(--c\1)", style)


@_drawing
def intervals(name: str, values: Mapping[str, tuple[float, Interval | None]]) -> Figure:
    """Scores with their intervals, where they have one, a row each, the first one stressed."""
    figure, axis = _figure(0.5 + 0.3 * len(values))
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
    _names(
        axis,
        "macro-F1, "
        + (
            "with its 95 % interval"
            if not lacking
            else "no interval: too few people"
            if lacking == len(values)
            else "with its 95 % interval where people are enough"
        ),
    )
    return figure


@_drawing
def curves(
    name: str, folds: Mapping[int, Sequence[Mapping[str, float]]], chosen: Mapping[int, int]
) -> Figure:
    """Learning curves of a run's folds: losses above, validation macro-F1 below, the `chosen` epoch
    of each marked.
    """
    figure, (loss, f1) = _figure(4.6, rows=2)
    for n, (fold, rows) in enumerate(folds.items()):
        epochs = [row["epoch"] for row in rows]
        scores = [row["val_f1_macro"] for row in rows]
        mark = "." if len(rows) == 1 else ""
        loss.plot(
            epochs, [row["train_loss"] for row in rows], mark + ":", color=series(n), linewidth=1.3
        )
        loss.plot(
            epochs, [row["val_loss"] for row in rows], mark + "-", color=series(n), linewidth=1.5
        )
        f1.plot(epochs, scores, mark + "-", color=series(n), linewidth=1.5, label=f"fold {fold}")
        at = chosen.get(fold)
        if at in epochs:
            f1.plot([at], [scores[epochs.index(at)]], "o", color=series(n), markersize=6)
    loss.plot([], [], "-", color=MUTED, label="validation")
    loss.plot([], [], ":", color=MUTED, label="training")
    f1.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (loss, f1):
        axis.grid(color=GRID, linewidth=0.8)
    _legend(loss)
    _legend(
        f1,
        columns=5,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        handlelength=1,
        columnspacing=0.9,
        handletextpad=0.4,
    )
    _names(loss, y="loss")
    _names(f1, "epoch", "macro-F1")
    return figure


@_drawing
def class_scores(
    name: str, f1: Sequence[float], bounds: Sequence[Interval | None], people: Sequence[int]
) -> Figure:
    """F1 of the 18 classes with intervals, where they have one, and the number of people that each
    rests on.
    """
    figure, axis = _figure(5.2)
    for c, (value, own) in enumerate(zip(f1, bounds)):
        colour = series(c // (NUM_CLASSES // len(MASKS)))
        axis.barh(c, value, color=colour, alpha=0.55, height=0.72)
        if own:
            axis.plot(own, [c, c], color=INK, linewidth=1.4)
    axis.set_yticks(range(NUM_CLASSES), [f"{name} ({n})" for name, n in zip(CLASS_NAMES, people)])
    axis.set_ylim(NUM_CLASSES - 0.4, -0.6)
    axis.set_xlim(0, 1)
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    _names(axis, "F1, with its 95 % interval from 8 people on (people of the class)")
    return figure


@_drawing
def confusion(name: str, counts: np.ndarray, labels: Sequence[str]) -> Figure:
    """A confusion matrix of photos (C, C), true classes down: counts, shaded by their share of the
    row.
    """
    n = len(labels)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3.4 if n <= 3 else 9.5
    figure, axis = _figure(side * (0.8 if n <= 3 else 0.86), side)
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
    if n > 3:  # the blocks of one mask status, in which only gender and age are mistaken
        for at in range(6, n, 6):
            axis.axhline(at - 0.5, color=MUTED, linewidth=0.8)
            axis.axvline(at - 0.5, color=MUTED, linewidth=0.8)
    _names(axis, "predicted", "true")
    return figure


@_drawing
def reliability(name: str, bins: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy by confidence above, against the diagonal of an honest network, and how many photos
    have it, below.
    """
    figure, (axis, count) = _figure(4.4, rows=2, ratios=[3, 1])
    axis.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1)
    for bin_ in bins:
        width = bin_["high"] - bin_["low"]
        if bin_["photos"]:
            axis.bar(
                bin_["low"],
                bin_["accuracy"],
                width,
                align="edge",
                color=ACCENT,
                alpha=0.6,
                edgecolor=PAPER,
            )
            axis.plot([bin_["confidence"]], [bin_["accuracy"]], "o", color=INK, markersize=3.5)
        count.bar(
            bin_["low"],
            bin_["photos"],
            width,
            align="edge",
            color=MUTED,
            alpha=0.6,
            edgecolor=PAPER,
        )
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.grid(color=GRID, linewidth=0.8)
    _names(axis, y="share that is right")
    _names(count, "probability of the predicted class", "photos")
    return figure


@_drawing
def by_age(name: str, years: Sequence[Mapping[str, Any]]) -> Figure:
    """What is predicted at each age in years, as shares, with the share that is right; below, how
    many people are of it.
    """
    figure, (axis, count) = _figure(4.4, rows=2, ratios=[3, 1])
    x = np.array([year["age"] for year in years])
    bottom = np.zeros(len(x))
    for c, label in enumerate(AGES):
        height = np.array([year["predicted"][c] for year in years])
        axis.bar(
            x, height, 1.0, bottom, color=series(c), alpha=0.75, label=f"as {label}", linewidth=0
        )
        bottom += height
    axis.plot(x, [year["right"] for year in years], "o", color=INK, markersize=3, label="right")
    for edge in AGE_BOUNDARIES:
        axis.axvline(edge - 0.5, color=INK, linewidth=1.2, linestyle="--")
    count.bar(x, [year["people"] for year in years], 1.0, color=MUTED, alpha=0.6, linewidth=0)
    axis.set_ylim(0, 1.03)
    _legend(
        axis,
        columns=4,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        handlelength=1,
        columnspacing=0.8,
        handletextpad=0.4,
    )
    _names(axis, y="share of photos")
    _names(count, "true age in years", "people")
    return figure


@_drawing
def photo_counts(name: str, counts: np.ndarray) -> Figure:
    """Photos a class, (18,)."""
    figure, axis = _figure(5.2)
    axis.barh(range(NUM_CLASSES), counts, 0.72, color=ACCENT, alpha=0.75)
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
    axis.set_yticks(range(NUM_CLASSES), CLASS_NAMES)
    axis.set_ylim(NUM_CLASSES - 0.4, -0.6)
    axis.margins(x=0.12)
    _names(axis, "photos")
    return figure


@_drawing
def ages(name: str, years: np.ndarray, gender: np.ndarray) -> Figure:
    """People by age in years (N,), and by gender (N,), 0 male and 1 female."""
    figure, axis = _figure(3.0)
    edges = np.arange(years.min() - 0.5, years.max() + 1.0)
    axis.hist(
        [years[gender == g] for g in range(len(GENDERS))],
        edges,
        stacked=True,
        color=[series(g) for g in range(2)],
        alpha=0.75,
        label=GENDERS,
    )
    for edge in AGE_BOUNDARIES:
        axis.axvline(edge - 0.5, color=INK, linewidth=1.2, linestyle="--")
    _legend(axis)
    _names(axis, "age in years; the classes part at 30 and 60", "people")
    return figure


@_drawing
def brightness(name: str, values: Mapping[str, np.ndarray]) -> Figure:
    """The distribution of the photos' mean brightness (0..255), of each set as shares of its
    photos.
    """
    figure, axis = _figure(2.8)
    edges = np.linspace(0, 255, 52)
    for n, (label, own) in enumerate(values.items()):
        axis.hist(
            own,
            edges,
            weights=np.full(len(own), 100 / len(own)),
            histtype="step",
            linewidth=1.6,
            color=series(n),
            label=label,
        )
    _legend(axis)
    _names(axis, "mean brightness, 0 black to 255 white", "% of photos")
    return figure
