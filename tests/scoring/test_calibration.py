"""The expected calibration error by hand."""

import numpy as np
import pytest
from helpers import NUM_CLASSES

from kit.reporting import figures as figures
from kit.scoring.metrics import calibration


def test_calibration_by_hand():
    probs = np.zeros((4, NUM_CLASSES))
    probs[:, 0] = [0.9, 0.9, 0.55, 0.3]
    probs[:, 1] = 1 - probs[:, 0]
    # Two in the bin of .9, of which one is right (.4 off), one of .55 that is wrong, one of .7
    # (class 1) that is right.
    error, bins = calibration(probs, np.array([0, 1, 1, 1]), bins=10)
    assert error == pytest.approx((2 * 0.4 + 0.55 + 0.3) / 4)
    assert [row.photos for row in bins] == [
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        0,
        2,
        0,
    ]  # .7 and .9 are upper ends, as 1 - .3 rounds
    assert calibration(np.eye(NUM_CLASSES)[[3, 5]], np.array([3, 5]))[0] == 0
