"""The leak audit: the same or a near-identical photo under two people, which a split by person alone would leak.

Same bytes are found by SHA-256. Near-identical photos are found in two steps: candidates by a perceptual hash (pHash:
the signs of the 8 x 8 lowest DCT coefficients of a 32 x 32 grey thumbnail; Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010) or by the correlation of 16 x 16 thumbnails; then each candidate is aligned by an
affine warp (ECC; Evangelidis and Psarakis, TPAMI 2008) and its fine detail correlated. The second step is what tells
one portrait with two masks from two portraits before one wall, which the hash alone cannot.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.console import Progress
from kit.pixels import decode, for_each_photo

# Measured on 5,600 masked portraits of 800 people: the three pairs of people that are one portrait had hash distances
# from 4 to 8 and aligned correlations of .89, .92 and .96; the best pair of different portraits reached .72. Faces that
# kit.sample draws are of one mould: a few of those reach .90 and are reported too, which costs them nothing but a shared fold.
_HASH_DISTANCE = 8
_THUMBNAIL_CORRELATION = 0.9
_ALIGNED_CORRELATION = 0.85
_ALIGNED_SIZE = (96, 128)  # (width, height)
_PAIRS_OF_TWO = 8  # how many of two people's candidate pairs are aligned


@dataclass(frozen=True)
class Link:
    """Two photos of two people that are one: `kind` is `same bytes` or `near-identical`, `score` its correlation."""

    a: str
    b: str
    kind: str
    score: float

    def record(self) -> dict[str, str | float]:
        """The link as it stands in `folds.json`."""
        return asdict(self)


def find_links(root: Path, images: Sequence[str], persons: Sequence[str]) -> list[Link]:
    """The links between different people's photos, one for each pair of people, sorted.

    `images` are N paths below `root`, `persons` the N people they show. Every photo is read and decoded, so that a
    damaged one is found here: all of them are counted and the first is named.
    """
    digests, grey = _read_all(root, images)
    who = np.unique(np.asarray(persons), return_inverse=True)[1]
    best: dict[tuple[int, int], Link] = {}
    for a, b in _same_bytes(digests, who):
        best.setdefault(_pair(who, a, b), Link(images[a], images[b], "same bytes", 1.0))
    near: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    for a, b, likeness in _candidates(grey, who):
        if _pair(who, a, b) not in best:
            near.setdefault(_pair(who, a, b), []).append((-likeness, a, b))
    tried = [(pair, a, b) for pair, found in near.items() for _, a, b in sorted(found)[:_PAIRS_OF_TWO]]
    with Progress("comparing look-alikes", len(tried), "pairs") as progress, ThreadPoolExecutor() as pool:
        scores = pool.map(lambda t: _aligned(root / images[t[1]], root / images[t[2]]), tried)
        for (pair, a, b), score in zip(tried, scores):
            progress.advance()
            if score >= _ALIGNED_CORRELATION and (pair not in best or score > best[pair].score):
                best[pair] = Link(images[a], images[b], "near-identical", round(score, 2))
    return sorted(best.values(), key=lambda link: (link.a, link.b))


def _pair(who: np.ndarray, a: int, b: int) -> tuple[int, int]:
    first, second = sorted((int(who[a]), int(who[b])))
    return first, second


def _read_all(root: Path, images: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The SHA-256 of each file, and the photos as grey thumbnails (N, 32, 32) float32."""
    import cv2
    cv2.setNumThreads(1)

    def one(path: Path) -> tuple[str, np.ndarray]:
        photo, content = decode(path, least=64)
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        return hashlib.sha256(content).hexdigest(), cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)

    read = for_each_photo(root, images, one, "reading photos",
                          "unpack the data again, or take these people out of train.csv")
    return [digest for digest, _ in read], np.array([grey for _, grey in read], np.float32).reshape(-1, 32, 32)


def _same_bytes(digests: Sequence[str], who: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of photos of different people with the same bytes: each with the first that has them."""
    first: dict[tuple[str, int], int] = {}
    seen: dict[str, list[int]] = {}
    for i, digest in enumerate(digests):
        if (digest, int(who[i])) not in first:
            first[digest, int(who[i])] = i
            seen.setdefault(digest, []).append(i)
    for group in seen.values():
        for other in group[1:]:
            yield group[0], other


def _candidates(grey: np.ndarray, who: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs of photos of different people that look alike at 32 x 32 or 16 x 16 pixels, with how much."""
    words = _phash(grey)
    small = grey.reshape(len(grey), 16, 2, 16, 2).mean((2, 4)).reshape(len(grey), -1)
    small -= small.mean(axis=1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True) + 1e-6
    for start in range(0, len(grey), 1024):
        stop = min(start + 1024, len(grey))
        alike = small[start:stop] @ small[start:].T
        distance = np.bitwise_count(words[start:stop, None] ^ words[None, start:])
        found = (alike >= _THUMBNAIL_CORRELATION) | (distance <= _HASH_DISTANCE)
        found &= who[start:stop, None] != who[None, start:]
        rows, columns = np.nonzero(found)
        for a, b in zip(rows[rows < columns].tolist(), columns[rows < columns].tolist()):
            # One scale for both signs of likeness: the hash's distance in units in which 20 bits are a correlation of 1.
            yield start + a, start + b, float(alike[a, b]) - int(distance[a, b]) / 20


def _phash(grey: np.ndarray) -> np.ndarray:
    """The perceptual hash of grey thumbnails (N, 32, 32): uint64 (N,)."""
    import cv2
    low = np.stack([cv2.dct(image)[:8, :8].ravel() for image in grey])
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False  # the mean brightness says nothing
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def _aligned(a: Path, b: Path) -> float:
    """The correlation (-1..1) of two photos' fine detail after an affine warp lays one over the other; 0 where none fits."""
    import cv2

    def detail(path: Path) -> np.ndarray:
        grey = cv2.cvtColor(decode(path, least=128)[0], cv2.COLOR_RGB2GRAY)
        flat = cv2.resize(grey, _ALIGNED_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        flat -= cv2.GaussianBlur(flat, (0, 0), 6)
        return flat / np.sqrt(cv2.GaussianBlur(flat * flat, (0, 0), 6) + 50)  # 50: noise of flat walls stays small

    warp: Any = np.eye(2, 3, dtype=np.float32)
    no_mask: Any = None  # its type is left out of one of OpenCV's overloads
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    try:
        score, warp = cv2.findTransformECC(detail(a), detail(b), warp, cv2.MOTION_AFFINE, stop, no_mask, 5)
    except cv2.error:  # no convergence: they do not fit each other
        return 0.0
    far = np.abs(warp[:, :2] - np.eye(2)).max() > 0.25  # a warp this strong fits anything to anything
    return 0.0 if far else float(score)
