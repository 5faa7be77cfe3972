"""Local features of photos, and the codes by which copies find each other."""

import functools
from pathlib import Path

import cv2
import numpy as np

from kit.data.reading import Read, grey_photo

_SIDE = 96  # pixels of a photo's short side, as it is compared
_FEATURES = 150  # the most of a photo; masked portraits have 90
# Measured on 5,600 portraits of 800 groups and 912 copies of them, 19 kinds: 907 were found,
# and 69 pairs of groups that are no copies were compared. Copies had 12 matching features or more.
CODE_BITS = 40
PART_BITS = 6  # codes are sorted in 2**6 parts, for less memory
_POWERS = 1 << np.arange(CODE_BITS, dtype=np.uint64)
# A SIFT descriptor (4 rows x 4 columns x 8 orientations, in the feature's own frame) as the
# mirrored photo has it.
MIRROR = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


def small_photo(root: Path, image: str, read: Read | None = None) -> tuple[np.ndarray, bytes]:
    """A photo in grey, uint8 (height, width), as photos are compared, and its bytes.

    The short side has `_SIDE` pixels.
    """
    photo, content = grey_photo(root, image, read)
    scale = _SIDE / min(photo.shape[:2])
    # At most four times as long as wide, so that a strip of pixels stays small, too.
    size = [min(round(side * scale), 4 * _SIDE) for side in photo.shape[1::-1]]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA), content


def local_features(grey: np.ndarray, most: int = _FEATURES) -> tuple[np.ndarray, np.ndarray]:
    """SIFT features: places (F, 2) as x and y in pixels, and descriptors (F, 128) float32.

    The descriptors have norm 1; they are RootSIFT (Arandjelovic and Zisserman, CVPR 2012).
    """
    sift = cv2.SIFT_create(nfeatures=most, contrastThreshold=0.02)  # type: ignore[attr-defined]  # OpenCV's stubs lack it
    points, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.array(cv2.KeyPoint.convert(points)), np.sqrt(
        descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1)
    )


@functools.cache
def _principal_components() -> tuple[np.ndarray, np.ndarray]:
    """The mean (128,) of descriptors' mirror-symmetric part, and its components (128, `CODE_BITS`).

    These are the leading principal components, whitened, of drawn pictures: noise with edges and
    about the spectrum of photos. So a photo's codes do not depend on the other photos. The
    components of 6,500 portraits were no better.
    """
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    descriptors = []
    for _ in range(40):
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((256, 256))) / frequency**2)
        edges = np.tanh(4 * noise / noise.std()) + 0.2 * noise / noise.std()
        picture = 128 + 50 * (edges / edges.std()).reshape(128, 2, 128, 2).mean((1, 3))
        descriptors.append(local_features(np.clip(picture, 0, 255).astype(np.uint8), 300)[1])
    symmetric = np.concatenate(descriptors).astype(np.float64)
    symmetric = (symmetric + symmetric[:, MIRROR]) / 2
    variance, components = np.linalg.eigh(np.cov(symmetric.T))
    return symmetric.mean(axis=0), (
        components[:, : -CODE_BITS - 1 : -1] / np.sqrt(variance[: -CODE_BITS - 1 : -1])
    )


def feature_codes(descriptors: np.ndarray) -> np.ndarray:
    """The codes, uint64 (F,), of a photo's descriptors (F, 128).

    Above a code's bits stands the number of the least sure of them.
    """
    mean, components = _principal_components()
    values = ((descriptors + descriptors[:, MIRROR]) / 2 - mean) @ components
    # The lowest bits choose a part, and stay as they are.
    unsure = np.abs(values[:, PART_BITS:]).argmin(axis=1) + PART_BITS
    return (values > 0) @ _POWERS | unsure.astype(np.uint64) << np.uint64(CODE_BITS)


def both_codes(codes: np.ndarray) -> np.ndarray:
    """Codes (F,) as they are, and with the least sure bit turned: uint64 (2, F).

    A small change of a feature leaves one of the two the same.
    """
    plain = codes % np.uint64(2**CODE_BITS)
    return np.stack([plain, plain ^ np.uint64(1) << (codes >> np.uint64(CODE_BITS))])
