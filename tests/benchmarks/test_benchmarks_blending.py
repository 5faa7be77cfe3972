"""Fits of blends are timed, and their scores are those of the fits."""

import numpy as np
from draws import macro_f1

import kit.benchmarks.blending
from kit.benchmarks.blending import bench_blend
from kit.benchmarks.synthetic import drawn_members
from kit.competitions.mask import competition as MASK


def test_every_fit_is_timed_and_scored():
    table = bench_blend(50, 2)
    names = ["mean + argmax", "mean + bias", "weights + argmax", "greedy + argmax"]
    assert list(table.numbers["seconds_nested"])[:4] == names
    assert "Blending 2 members x 350 photos x 18 classes" in table.title
    probs, photos = drawn_members(50, 2, MASK)
    mean = macro_f1(photos["label"], probs.mean(axis=0, dtype=np.float64).argmax(axis=1), 18)
    assert table.rows[0][3] == table.rows[0][4] == f"{mean:.4f}"  # a mean is not fitted


def test_what_deciding_early_saves_by_hand():
    saved = kit.benchmarks.blending._saved_by_deciding_early
    sure = np.zeros((4, 3, 5), np.float32)
    sure[:, :, 1] = 1
    # After two of four the other two can at best draw level, after three they cannot.
    assert saved(sure) in (0.25, 0.5)
    assert saved(np.full((4, 3, 5), 0.2, np.float32)) == 0  # all are ties
