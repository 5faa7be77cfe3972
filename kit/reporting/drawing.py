"""The base of a report's figures: matplotlib drawings as SVG in the colours of the page.

A figure is shown light, dark or printed, as the page is. Text stays text, in the page's font.
"""

import functools
import html
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Final, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from kit.system.errors import escaped

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
_LINES: Final = 8
_SERIES: Final = tuple(f"#00010{n}" for n in range(_LINES))
# inches: at a phone's width a figure is shown at three quarters of its size, and can be read
_WIDTH: Final = 5.0


def series(n: int) -> str:
    """The colour of the n-th of several lines."""
    return _SERIES[n % _LINES]


def new_figure(
    height: float, width: float = _WIDTH, rows: int = 1, ratios: Sequence[float] | None = None
) -> tuple[Figure, Any]:
    """An empty figure (inches) and its axes: one, or a list of several `rows`."""
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


def height_of(classes: int) -> float:
    """The height of a figure with a row a class, in inches."""
    return 0.7 + 0.25 * classes


def draw_edges(axis: Axes, edges: Sequence[int]) -> None:
    """Draw a dashed line where the classes of whole numbers part."""
    for edge in edges:
        axis.axvline(edge - 0.5, color=INK, linewidth=1.2, linestyle="--")


def name_axes(axis: Axes, x: str = "", y: str = "") -> None:
    """Write the names of both axes."""
    axis.set_xlabel(x, color=INK, fontsize=9)
    axis.set_ylabel(y, color=INK, fontsize=9)


def add_legend(axis: Axes, columns: int = 1, **options: Any) -> None:
    """Add a legend without a frame."""
    axis.legend(frameon=False, fontsize=8.5, labelcolor=INK, ncols=columns, **options)


def add_legend_above(axis: Axes, columns: int, spacing: float) -> None:
    """Add a legend in so many columns above the axes."""
    add_legend(
        axis,
        columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        handlelength=1,
        columnspacing=spacing,
        handletextpad=0.4,
    )


_P = ParamSpec("_P")


def drawing(draw: Callable[Concatenate[str, _P], Figure]) -> Callable[Concatenate[str, _P], str]:
    """A function that gives as an SVG element what `draw` draws; its first argument is the name."""

    @functools.wraps(draw)
    def svg(name: str, /, *args: _P.args, **kwargs: _P.kwargs) -> str:
        style: Any = {
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "text.parse_math": False,
        }  # a run may be called a$b$
        with matplotlib.rc_context(style), warnings.catch_warnings():
            # matplotlib measures texts in a font without Hangul. The text stays text, and the
            # page's font has Hangul.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            # Of a name that is longer than the figure is wide.
            warnings.filterwarnings("ignore", "constrained_layout not applied")
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
    svg = "\n".join(map(escaped, svg.split("\n")))  # texts of data among it
    svg = re.sub(r'style="[^"]*"', lambda style: _page_colours(style[0]), svg)
    head = f'role="img" aria-label="{html.escape(name)}"'
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', lambda tag: f"<svg {tag[1]} {head}>", svg, count=1
    )


def _page_colours(style: str) -> str:
    for colour, variable in _VARIABLES.items():
        style = style.replace(colour, f"var({variable})")
    return re.sub(r"#00010(\d)", r"var(--c\1)", style)
