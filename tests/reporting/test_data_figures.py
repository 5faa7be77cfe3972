"""The figures of the data page have a row a class, and a part a colour."""

import numpy as np

from kit.reporting.data_figures import brightness, histogram, photo_counts
from kit.task import Task

TASK = Task("size", ("small", "large"), column="cm", edges=(10,))


def test_each_class_has_its_count():
    svg = photo_counts("counts", np.array([5, 1234, 0]), ["circle", "square", "triangle"])
    assert all(text in svg for text in ("circle</text>", "triangle</text>", "1,234</text>"))


def test_many_classes_are_a_line():
    svg = photo_counts("counts", np.arange(100), [f"c{n}" for n in range(100)])
    assert "classes, the most frequent first</text>" in svg and "c7</text>" not in svg


def test_numbers_are_parted_by_colour_and_the_axis_says_where_classes_part():
    alone = histogram("sheets", {"sheets": np.array([3, 12])}, TASK, "sheets")
    assert "cm; the classes part at 10</text>" in alone and "sheets</text>" in alone
    assert "var(--c1)" not in alone
    parted = {"red": np.array([3, 12]), "blue": np.array([12])}
    svg = histogram("sheets", parted, TASK, "sheets")
    assert "var(--c1)" in svg and "red</text>" in svg and "blue</text>" in svg


def test_brightness_has_a_line_a_set():
    svg = brightness("light", {"train": np.array([1.0, 2.0]), "test": np.array([9.0])})
    assert "train</text>" in svg and "test</text>" in svg and "var(--c1)" in svg
