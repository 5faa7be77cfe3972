"""Figures take their colours from the page, and are the same text each time."""

import re

import numpy as np
import pytest
from helpers import CLASS_NAMES, MASK

from kit.competition import Competition
from kit.competitions.mask_labels import AGE
from kit.metrics.metric import find_metric
from kit.reporting import data_figures, figures


def test_figures_take_their_colours_from_the_page():
    bounds = [(0.1, 0.9)] * 18
    drawn = [
        figures.class_scores("classes", "F1", [0.5] * 18, bounds, [3] * 18, MASK),
        figures.confusion("confusion", np.eye(18, dtype=int) * 5, CLASS_NAMES, 6),
        figures.intervals(
            "folds", {"all": (0.5, (0.4, 0.6)), "fold 0": (0.5, None)}, "macro-F1", "people"
        ),
        figures.class_scores("few", "F1", [0.5] * 18, [None] * 18, [3] * 18, MASK),
        figures.curves(
            "curves",
            {0: [{"epoch": 1.0, "train_loss": 1.0, "val_loss": 2.0, "val_f1_macro": 0.1}]},
            {0: 1},
            find_metric("f1_macro").named,
        ),
        data_figures.histogram(
            "ages", {"male": np.array([20]), "female": np.array([20, 60])}, AGE, "people"
        ),
        data_figures.brightness("brightness", {"train": np.array([1.0, 2.0])}),
    ]
    for svg in drawn:
        assert (
            svg.startswith("<svg viewBox=")
            and svg.rstrip().endswith("</svg>")
            and "var(--ink)" in svg
        )
        assert not re.search(r"#[0-9a-f]{6}", svg), re.findall(r"#[0-9a-f]{6}", svg)
        assert "xlink" not in svg and "http" not in svg
    assert drawn[0] == figures.class_scores(
        "classes", "F1", [0.5] * 18, bounds, [3] * 18, MASK
    )  # the same figure twice is the same text


@pytest.mark.parametrize("metric, better", [("log_loss", "c0"), ("f1_macro", "c69")])
def test_of_many_classes_the_worst_are_shown(metric, better):
    names = tuple(f"c{c}" for c in range(70))
    many = Competition(name="many", kind="classes", classes=names, metric=metric)
    scores = [c / 70 for c in range(70)]
    svg = figures.class_scores("classes", "score", scores, [None] * 70, [9] * 70, many)
    shown = [name for name in names if f">{name} (9)<" in svg]
    assert len(shown) == figures.MOST_CLASSES and better not in shown and "c35" in shown
