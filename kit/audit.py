"""The leak audit: the same or a near-identical photo under two people, or among those to predict.

Same bytes are found by SHA-256, near-identical photos in three steps:

1. Each of a photo's local features (SIFT; Lowe, IJCV 2004) becomes a code: the signs of its leading principal components.
   A copy shares codes with its original, however it was cropped, moved or turned; and mirrored, for the codes are those of
   the part of a feature that mirroring leaves as it is.
2. People who share several codes are candidates. Sorting the codes finds them (locality-sensitive hashing; Indyk and
   Motwani, STOC 1998), in a time near linear in the number of photos.
3. A candidate is laid over the other photo, by matching features (RANSAC; Fischler and Bolles, CACM 1981), then by pixels
   (ECC; Evangelidis and Psarakis, TPAMI 2008), and the fine detail of the two is correlated. That tells one portrait with
   two masks from two portraits with one mask, which shared codes cannot.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.console import Progress
from kit.errors import KitError
from kit.pixels import cores, decode, for_each_photo

_SIDE = 96  # pixels of a photo's short side, as it is compared
_FEATURES = 150  # the most of a photo; masked portraits have 90
# Measured on 5,600 masked portraits of 800 people and 912 copies of them, 19 kinds: 907 were found, and 69 pairs of people
# who are no copies were compared. Copies had 12 matching features or more.
CODE_BITS = 40
_SHARED = 4
_MATCHES = 8
# The three pairs of people that are one portrait had correlations of .87 to .96, and copies .86 or more; the best pair of
# different portraits reached .69. Faces that kit.sample draws are of one mould: a few of those are reported too, which
# costs them nothing but a shared fold.
_CORRELATION = 0.85
_POPULAR = 100  # a code of more people is that of a mask or a wall
_PARTNERS = 8  # candidates for a person
_PAIRS = 4  # photos of two people that are compared
_OWNER_BITS = 24  # beside a code in 64 bits
_PART_BITS, _BLOCK = 6, 1024  # codes are sorted in 2**6 parts and compared by so many owners, for less memory
_POWERS = 1 << np.arange(CODE_BITS, dtype=np.uint64)
_ALIKE = 0.9  # the least cosine of two descriptors that match
# A SIFT descriptor (4 rows x 4 columns x 8 orientations, in the feature's own frame) as the mirrored photo has it.
_MIRROR = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


@dataclass(frozen=True)
class Link:
    """Two photos that are one: `kind` is `same bytes` or `near-identical`, `score` the correlation of their detail."""

    a: str
    b: str
    kind: str
    score: float

    def record(self) -> dict[str, str | float]:
        """The link as it stands in `folds.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Audit:
    """What an audit found: `links` between people, links from training to test photos, and which `damaged` test photos."""

    links: list[Link]
    test: list[Link]
    damaged: list[str]


def audit_photos(root: Path, images: Sequence[str], persons: Sequence[str], test_root: Path = Path(),
                 test_images: Sequence[str] = ()) -> Audit:
    """Read all photos and find those that are one, at most one link for each pair of people, or person and test photo.

    `images` are N paths below `root`, `persons` the N people they show; `test_images` are paths below `test_root`, which may
    show anybody. Links are sorted, and do not depend on the order of the photos. Raises `KitError` for damaged training
    photos: all of them are counted and the first is named.
    """
    order = sorted(range(len(images)), key=lambda i: (persons[i], images[i]))
    train, test = [images[i] for i in order], sorted(test_images)
    names, paths = train + test, [root / image for image in train] + [test_root / image for image in test]
    people, who = np.unique([persons[i] for i in order], return_inverse=True)
    owner = np.concatenate([who, len(people) + np.arange(len(test))])  # each test photo counts as a person of its own
    digests, codes, damaged = _read_all(root, train, test_root, test)
    best: dict[tuple[int, int], Link] = {}
    for a, b in _same_bytes(digests, owner, len(people)):
        best.setdefault((int(owner[a]), int(owner[b])), Link(names[a], names[b], "same bytes", 1.0))
    every, of = np.concatenate([*codes, np.zeros(0, np.uint64)]), np.repeat(owner.astype(np.int32), [len(own) for own in codes])
    codes = np.split(every, np.cumsum([len(own) for own in codes])[:-1])  # as views, for less memory
    found = [pair for pair in candidates(every, of, len(people)) if pair not in best]
    photos = np.split(np.arange(len(names)), np.cumsum(np.bincount(owner))[:-1])

    def compare(pair: tuple[int, int]) -> tuple[float, int, int]:
        return _best_pair(paths, codes, photos[pair[0]], photos[pair[1]])

    with Progress("comparing look-alikes", len(found), "pairs") as progress, ThreadPoolExecutor(cores()) as pool:
        for pair, (score, a, b) in zip(found, pool.map(compare, found)):
            progress.advance()
            if score >= _CORRELATION:
                best[pair] = Link(names[a], names[b], "near-identical", round(score, 2))
    links = sorted(best.items(), key=lambda item: (item[1].a, item[1].b))
    return Audit([link for (_, b), link in links if b < len(people)], [link for (_, b), link in links if b >= len(people)],
                 damaged)


def _read_all(root: Path, images: Sequence[str], test_root: Path,
              test_images: Sequence[str]) -> tuple[list[bytes], list[np.ndarray], list[str]]:
    """The SHA-256 and the codes of each training and test photo, and the errors of damaged test photos, which have none."""
    import cv2
    cv2.setNumThreads(1)

    def one(path: Path) -> tuple[bytes, np.ndarray]:
        grey, content = _grey(path)
        return hashlib.sha256(content).digest(), feature_codes(_features(grey)[1])

    def of_test(path: Path) -> tuple[bytes, np.ndarray] | str:
        try:
            return one(path)
        except KitError as error:
            return str(error).removeprefix(f"{test_root}/").partition(";")[0]

    read = for_each_photo(root, images, one, "reading photos", "unpack the data again, or take these people out of train.csv")
    of_tests = for_each_photo(test_root, test_images, of_test, "reading test photos") if test_images else []
    read += [(b"", np.zeros(0, np.uint64)) if isinstance(own, str) else own for own in of_tests]
    return [digest for digest, _ in read], [codes for _, codes in read], [own for own in of_tests if isinstance(own, str)]


def _same_bytes(digests: Sequence[bytes], owner: np.ndarray, people: int) -> Iterator[tuple[int, int]]:
    """Photos with the same bytes: the first person's that has them with each other person's or test photo."""
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        start = first.setdefault(digest, i)
        if digest and owner[start] != owner[i] and owner[start] < people:
            yield start, i


# ---------------------------------------------------------------- features and their codes

def _grey(path: Path) -> tuple[np.ndarray, bytes]:
    """A photo in grey with a short side of `_SIDE` pixels, uint8 (height, width), and its file's bytes."""
    import cv2
    photo, content = decode(path, least=128)
    scale = _SIDE / min(photo.shape[:2])
    size = [min(round(side * scale), 4 * _SIDE) for side in photo.shape[1::-1]]  # a strip of pixels stays small, too
    return cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA), content


def _features(grey: np.ndarray, most: int = _FEATURES) -> tuple[np.ndarray, np.ndarray]:
    """SIFT features: places (F, 2) as x and y in pixels, and descriptors (F, 128) of norm 1, float32.

    The descriptors are RootSIFT (Arandjelovic and Zisserman, CVPR 2012).
    """
    import cv2
    sift = cv2.SIFT_create(nfeatures=most, contrastThreshold=0.02)  # type: ignore[attr-defined]  # OpenCV's stubs lack it
    points, found = sift.detectAndCompute(grey, None)
    if found is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.array(cv2.KeyPoint.convert(points)), np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1))


@functools.cache
def _principal_components() -> tuple[np.ndarray, np.ndarray]:
    """The mean (128,) of the mirror-symmetric part of descriptors, and its leading components (128, `CODE_BITS`), whitened.

    They are those of drawn pictures, noise with edges and about the spectrum of photos: so a photo's codes do not depend on
    the other photos. Those of 6,500 portraits were no better.
    """
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    found = []
    for _ in range(40):
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((256, 256))) / frequency**2)
        edges = np.tanh(4 * noise / noise.std()) + 0.2 * noise / noise.std()
        picture = 128 + 50 * (edges / edges.std()).reshape(128, 2, 128, 2).mean((1, 3))
        found.append(_features(np.clip(picture, 0, 255).astype(np.uint8), 300)[1])
    symmetric = np.concatenate(found).astype(np.float64)
    symmetric = (symmetric + symmetric[:, _MIRROR]) / 2
    variance, components = np.linalg.eigh(np.cov(symmetric.T))
    return symmetric.mean(axis=0), (components[:, :-CODE_BITS - 1:-1] / np.sqrt(variance[:-CODE_BITS - 1:-1]))


def feature_codes(descriptors: np.ndarray) -> np.ndarray:
    """The codes of a photo's descriptors (F, 128): uint64 (F,), above the bits of each the number of the least sure one."""
    mean, components = _principal_components()
    values = ((descriptors + descriptors[:, _MIRROR]) / 2 - mean) @ components
    unsure = np.abs(values[:, _PART_BITS:]).argmin(axis=1) + _PART_BITS  # the lowest bits choose a part, and stay
    return (values > 0) @ _POWERS | unsure.astype(np.uint64) << np.uint64(CODE_BITS)


def _both(codes: np.ndarray) -> np.ndarray:
    """Codes (F,) as they are and with the least sure bit turned, so that a small change of a feature is none: uint64 (2, F)."""
    plain = codes % np.uint64(2**CODE_BITS)
    return np.stack([plain, plain ^ np.uint64(1) << (codes >> np.uint64(CODE_BITS))])


# ---------------------------------------------------------------- candidates

def candidates(codes: np.ndarray, owner: np.ndarray, people: int) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, of owners who share `_SHARED` codes, sorted; for each owner the `_PARTNERS` with the most.

    `codes` (F,) are those of all photos, `owner` (F,) the people 0..people-1 whose they are; owners from `people` on are test
    photos, which are not paired with each other.
    """
    from scipy.sparse import csr_matrix
    owners = int(owner.max(initial=-1)) + 1
    starts = range(0, owners, _BLOCK)
    found = np.zeros((0, 2), np.int64)
    with Progress("looking for look-alikes", 2**_PART_BITS + len(starts), "steps") as progress:
        row, column = _holders(codes, owner, progress)
        holders = csr_matrix((np.ones(len(row), np.int16), (row, column)), shape=(owners, column.max(initial=-1) + 1))
        transposed = holders.T.tocsr()
        for start in starts:
            shared = (holders[start:start + _BLOCK] @ transposed).tocoo()
            a, b, number = shared.row + start, shared.col, shared.data
            kept = (number >= _SHARED) & (a != b) & (np.minimum(a, b) < people)
            a, b, number = a[kept], b[kept], number[kept]
            order = np.lexsort((b, -number, a))
            a, b = a[order], b[order]
            rank = np.arange(len(a)) - np.searchsorted(a, a)
            pairs = np.sort(np.stack([a, b], axis=1)[rank < _PARTNERS], axis=1)
            found = np.concatenate([found, pairs])
            progress.advance()
    return [(a, b) for a, b in np.unique(found, axis=0).tolist()]


def _holders(codes: np.ndarray, owner: np.ndarray, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Who has which code, each once, as owners and the codes' numbers 0..: of codes that 2 to `_POPULAR` owners have."""
    part_of = codes.astype(np.uint8) % 2**_PART_BITS
    rows, columns, count = [], [], 0
    for part in range(2**_PART_BITS):
        own = part_of == part
        keys = np.unique(_both(codes[own]) << np.uint64(_OWNER_BITS) | owner[own].astype(np.uint64))
        code = keys >> np.uint64(_OWNER_BITS)
        column = np.cumsum(np.diff(code, prepend=code[:1]) != 0)
        size = np.bincount(column)
        kept = (size[column] > 1) & (size[column] <= _POPULAR)
        rows.append((keys[kept] % np.uint64(2**_OWNER_BITS)).astype(np.int32))
        columns.append((column[kept] + count).astype(np.int32))
        count += len(size)
        progress.advance()
    return np.concatenate(rows), np.concatenate(columns)


# ---------------------------------------------------------------- comparing two photos

def _best_pair(paths: Sequence[Path], codes: Sequence[np.ndarray], mine: np.ndarray,
               theirs: np.ndarray) -> tuple[float, int, int]:
    """The first of two people's photos that are one, else the most alike, as (correlation, a, b): those with most codes first."""
    both = {i: np.unique(_both(codes[i])) for i in [*mine.tolist(), *theirs.tolist()]}
    pairs = sorted((-len(np.intersect1d(both[a], both[b], assume_unique=True)), a, b)
                   for a in mine.tolist() for b in theirs.tolist())[:_PAIRS]
    best = (0.0, -1, -1)
    for _, a, b in pairs:
        best = max(best, (_aligned(_grey(paths[a])[0], _grey(paths[b])[0]), a, b))
        if best[0] >= _CORRELATION:
            break
    return best


def _aligned(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation (-1..1) of two grey photos' fine detail where `b`, mirrored or not, is laid over `a`; 0 if none fits."""
    import cv2
    (places, mine), (others, theirs) = _features(a), _features(b)
    found = []
    for mirrored in (False, True):
        at = [b.shape[1] - 1, 0] + others * [-1, 1] if mirrored else others
        found.append((*_similarity(places, mine, at, theirs[:, _MIRROR] if mirrored else theirs), mirrored))
    matches, warp, mirrored = max(found, key=lambda way: way[0])
    if matches < _MATCHES:
        return 0.0
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    no_mask: Any = None  # its type is left out of one of OpenCV's overloads
    try:
        score, warp = cv2.findTransformECC(_detail(a), _detail(b[:, ::-1] if mirrored else b), warp, cv2.MOTION_AFFINE, stop,
                                           no_mask, 5)
    except cv2.error:  # no convergence: they do not fit each other
        return 0.0
    area = abs(np.linalg.det(warp[:, :2]))
    return float(score) if 1 / 3 < area < 3 else 0.0  # a warp this strong fits anything to anything


def _similarity(places: np.ndarray, mine: np.ndarray, others: np.ndarray, theirs: np.ndarray) -> tuple[int, Any]:
    """The similarity (2, 3) from one photo's places to another's on which most matching features agree, and how many do."""
    import cv2
    alike = mine @ theirs.T
    if alike.size:
        match = alike.argmax(axis=1)
        mutual = (alike.argmax(axis=0)[match] == np.arange(len(match))) & (alike.max(axis=1) > _ALIKE)
        if mutual.sum() >= _MATCHES:
            warp, agree = cv2.estimateAffinePartial2D(places[mutual], others[match[mutual]], ransacReprojThreshold=3)
            if warp is not None:
                return int(agree.sum()), warp.astype(np.float32)
    return 0, None


def _detail(grey: np.ndarray) -> np.ndarray:
    """A grey photo's fine detail, at the same contrast everywhere: float32 (height, width)."""
    import cv2
    flat = grey.astype(np.float32)
    flat -= cv2.GaussianBlur(flat, (0, 0), 6)
    return flat / np.sqrt(cv2.GaussianBlur(flat * flat, (0, 0), 6) + 50)  # 50: noise of flat walls stays small
