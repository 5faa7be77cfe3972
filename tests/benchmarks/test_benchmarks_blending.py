"""Fits of blends are timed, and their scores are those of the fits."""

import resource
import time

import numpy as np
import pandas as pd
import pytest
from draws import macro_f1

import kit.benchmarks.blending
from kit.benchmarks.blending import bench_blend
from kit.benchmarks.synthetic import drawn_members
from kit.blending.select import select_blend
from kit.competition import Competition
from kit.competitions.mask import competition as MASK
from kit.data.targets import as_texts
from kit.inference.oof import Oof


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


@pytest.mark.trial
@pytest.mark.parametrize("kind, classes, metric", [("labels", 1103, "f2_samples")])
def test_ten_members_of_twenty_thousand_photos_take_little(kind, classes, metric):
    """Blend, thresholds and bootstrap of 1,103 labels: about a minute of one core, under 4 GB."""
    rng, photos = np.random.default_rng(0), 20_000
    share = np.minimum(0.5, 0.6 / np.arange(1, classes + 1)).astype(np.float32)
    truth = (rng.random((photos, classes), np.float32) < share).astype(np.uint8)
    probs = np.empty((10, photos, classes), np.float32)
    for start in range(0, photos, 1000):
        rows = slice(start, start + 1000)
        for member in probs:
            noise = rng.standard_normal((1000, classes), np.float32)
            member[rows] = 1 / (
                1 + np.exp(-np.log(share / (1 - share)) - 4.0 * truth[rows] - noise)
            )
    names = tuple(map(str, range(classes)))
    competition = Competition(name="x", kind=kind, classes=names, metric=metric, answer="list")
    rows = pd.DataFrame({"image": map(str, range(photos)), "label": as_texts(truth)})
    rows["group"], rows["fold"] = rows["image"], rng.integers(0, 5, photos)
    started = time.process_time()
    score = select_blend(Oof({"plain": probs}, rows, competition), "greedy", "bias").score
    assert time.process_time() - started < 100
    assert score.interval is not None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4_000_000  # kB
