"""Whether two photos are one: one laid over the other, and their fine detail correlated."""

from typing import Any

import cv2
import numpy as np

from kit.data.features import MIRROR, local_features

MATCHES = 8
_ALIKE = 0.9  # the least cosine of two descriptors that match


def aligned(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation (-1..1) of two grey photos' fine detail, `b` laid over `a`; 0 without a fit.

    `b` is tried as it is and mirrored.
    """
    (places, descriptors), (other_places, other_descriptors) = local_features(a), local_features(b)
    fits = []
    for mirrored in (False, True):
        moved = [b.shape[1] - 1, 0] + other_places * [-1, 1] if mirrored else other_places
        fits.append(
            (
                *_similarity(
                    places,
                    descriptors,
                    moved,
                    other_descriptors[:, MIRROR] if mirrored else other_descriptors,
                ),
                mirrored,
            )
        )
    matches, warp, mirrored = max(fits, key=lambda fit: fit[0])
    if matches < MATCHES:
        return 0.0
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    no_mask: Any = None  # its type is left out of one of OpenCV's overloads
    try:
        score, warp = cv2.findTransformECC(
            _detail(a),
            _detail(b[:, ::-1] if mirrored else b),
            warp,
            cv2.MOTION_AFFINE,
            stop,
            no_mask,
            5,
        )
    except cv2.error:  # no convergence: they do not fit each other
        return 0.0
    area = abs(np.linalg.det(warp[:, :2]))
    # A stronger warp fits anything to anything.
    return float(score) if 1 / 3 < area < 3 else 0.0


def _similarity(
    places: np.ndarray,
    descriptors: np.ndarray,
    other_places: np.ndarray,
    other_descriptors: np.ndarray,
) -> tuple[int, Any]:
    """The similarity transform (2, 3) that most matching features agree on, and how many they are.

    It maps places of one photo to places of the other.
    """
    alike = descriptors @ other_descriptors.T
    if alike.size:
        match = alike.argmax(axis=1)
        mutual = (alike.argmax(axis=0)[match] == np.arange(len(match))) & (
            alike.max(axis=1) > _ALIKE
        )
        if mutual.sum() >= MATCHES:
            warp, agree = cv2.estimateAffinePartial2D(
                places[mutual], other_places[match[mutual]], ransacReprojThreshold=3
            )
            if warp is not None:
                return int(agree.sum()), warp.astype(np.float32)
    return 0, None


def _detail(grey: np.ndarray) -> np.ndarray:
    """A grey photo's fine detail, at the same contrast everywhere: float32 (height, width)."""
    flat = grey.astype(np.float32)
    flat -= cv2.GaussianBlur(flat, (0, 0), 6)
    return flat / np.sqrt(
        cv2.GaussianBlur(flat * flat, (0, 0), 6) + 50
    )  # 50: noise of flat walls stays small
