"""Two photos that are one, laid over each other."""

import cv2
import numpy as np
import pytest
from draws import texture

from kit.data.alignment import aligned


def grey(seed):
    """A photo of noise in grey at the size in which photos are compared."""
    return cv2.cvtColor(cv2.resize(texture(seed), (96, 128)), cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo,
        lambda photo: photo[:, ::-1],
        lambda photo: cv2.convertScaleAbs(photo, alpha=0.8, beta=30),
        lambda photo: photo[10:120, 8:90],
    ],
)
def test_a_copy_correlates_in_either_order(change):
    photo = grey(0)
    copied = np.ascontiguousarray(change(photo))
    assert aligned(photo, copied) > 0.85 and aligned(copied, photo) > 0.85


def test_itself_correlates_by_1_and_another_photo_does_not():
    assert aligned(grey(1), grey(1)) == pytest.approx(1, abs=1e-3)
    assert max(aligned(grey(seed), grey(seed + 1)) for seed in range(5)) < 0.7


def test_what_has_no_features_fits_nothing():
    flat = np.full((128, 96), 90, np.uint8)
    assert aligned(flat, flat) == aligned(flat, grey(0)) == aligned(grey(0), flat) == 0
