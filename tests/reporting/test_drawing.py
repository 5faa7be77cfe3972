"""The base of figures: an SVG that stands within a page."""

import pytest

from kit.reporting.drawing import ACCENT, draw_edges, drawing, height_of, new_figure, series


@drawing
def line(name: str, edges: tuple[int, ...]):
    """A line, and edges."""
    figure, axis = new_figure(2.0)
    axis.plot([0, 9], [0, 1], color=ACCENT)
    axis.plot([0, 9], [1, 0], color=series(9))
    axis.set_title(name)
    draw_edges(axis, edges)
    return figure


def test_a_drawing_is_an_svg_with_the_page_s_colours():
    svg = line("<a> & $b$", (3,))
    assert svg.startswith("<svg viewBox=") and 'role="img" aria-label="&lt;a&gt; &amp; $b$"' in svg
    assert "var(--accent)" in svg and "var(--c1)" in svg and "#0000" not in svg
    assert (
        "&lt;a&gt; &amp; $b$</text>" in svg and "<metadata" not in svg and ' id="' not in svg[:99]
    )
    assert svg == line("<a> & $b$", (3,))


def test_an_edge_is_a_dashed_line_each():
    dashes = [line("a", edges).count("stroke-dasharray") for edges in ((), (3,), (3, 6))]
    assert dashes[1] - dashes[0] == dashes[2] - dashes[1] == 1


def test_a_figure_grows_with_its_classes():
    assert height_of(18) == pytest.approx(5.2) and height_of(3) < 2
