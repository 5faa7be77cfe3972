"""The leak audit: the same or a near-identical photo in two groups, or among those to predict.

Same bytes are found by SHA-256, near-identical photos in three steps:

1. Each of a photo's local features (SIFT; Lowe, IJCV 2004) becomes a code: the signs of its leading
   principal components. A copy shares codes with its original, however it was cropped, moved or
   turned; and mirrored, for the codes are those of the part of a feature that mirroring leaves as
   it is.
2. Groups that share several codes are candidates. Sorting the codes finds them (locality-sensitive
   hashing; Indyk and Motwani, STOC 1998), in a time near linear in the number of photos.
3. A candidate is laid over the other photo, by matching features (RANSAC; Fischler and Bolles, CACM
   1981), then by pixels (ECC; Evangelidis and Psarakis, TPAMI 2008), and the fine detail of the two
   is correlated. That tells one face behind two things from two faces behind one thing, which
   shared codes cannot.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from kit.data.alignment import aligned
from kit.data.candidates import candidates
from kit.data.features import both_codes, feature_codes, local_features, small_photo
from kit.data.photos import for_each_photo
from kit.data.reading import Read
from kit.system.console import Progress
from kit.system.errors import KitError
from kit.system.threads import cores

# The three pairs of groups that are one portrait had correlations of .87 to .96, and copies .86 or
# more; the best pair of different portraits reached .69. Faces that kit.sample draws are of one
# mould: a few of those are reported too, which costs them nothing but a shared fold.
_CORRELATION = 0.85
_PAIRS = 4  # photos of two groups that are compared


@dataclass(frozen=True)
class Link:
    """Two photos that show the same picture.

    `kind` is `same bytes` or `near-identical`, and `score` the correlation of their detail.
    """

    a: str
    b: str
    kind: str
    score: float

    def record(self) -> dict[str, str | float]:
        """The link as it stands in `folds.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    `links` are between groups, `test` are those from training to test photos, and `damaged` are
    test photos.
    """

    links: list[Link]
    test: list[Link]
    damaged: list[str]


def audit_photos(
    root: Path,
    images: Sequence[str],
    groups: Sequence[str],
    test_root: Path = Path(),
    test_images: Sequence[str] = (),
    read: Read | None = None,
) -> Audit:
    """Read all photos and link those that are one picture.

    Each pair of groups has at most one link, and so has each pair of a group and a test photo.
    `images` are N paths below `root`, `groups` the N groups they are of; `test_images` are paths
    below `test_root`, which may show anybody; `read` is a competition's own reader. Links are
    sorted, and do not depend on the order of the photos. Raises `KitError` with the number of
    damaged training photos and the first of them.
    """
    order = sorted(range(len(images)), key=lambda i: (groups[i], images[i]))
    train, test = [images[i] for i in order], sorted(test_images)
    names, roots = train + test, [root] * len(train) + [test_root] * len(test)
    names_of_groups, who = np.unique([groups[i] for i in order], return_inverse=True)
    # Each photo to predict counts as a group of its own.
    owner = np.concatenate([who, len(names_of_groups) + np.arange(len(test))])
    digests, codes, damaged = _read_all(root, train, test_root, test, read)
    best: dict[tuple[int, int], Link] = {}
    for a, b in _same_bytes(digests, owner, len(names_of_groups)):
        best.setdefault((int(owner[a]), int(owner[b])), Link(names[a], names[b], "same bytes", 1.0))
    every, of = (
        np.concatenate([*codes, np.zeros(0, np.uint64)]),
        np.repeat(owner.astype(np.int32), [len(of_photo) for of_photo in codes]),
    )
    # As views, for less memory.
    codes = np.split(every, np.cumsum([len(of_photo) for of_photo in codes])[:-1])
    look_alikes = [pair for pair in candidates(every, of, len(names_of_groups)) if pair not in best]
    photos = np.split(np.arange(len(names)), np.cumsum(np.bincount(owner))[:-1])

    def grey(i: int) -> np.ndarray:
        return small_photo(roots[i], names[i], read)[0]

    def compare(pair: tuple[int, int]) -> tuple[float, int, int]:
        first, second = photos[pair[0]], photos[pair[1]]
        return _best_pair(grey, codes, first, second)

    with (
        Progress("comparing look-alikes", len(look_alikes), "pairs") as progress,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for pair, (score, a, b) in zip(look_alikes, pool.map(compare, look_alikes)):
            progress.advance()
            if score >= _CORRELATION:
                best[pair] = Link(names[a], names[b], "near-identical", round(score, 2))
    links = sorted(best.items(), key=lambda item: (item[1].a, item[1].b))
    return Audit(
        [link for (_, b), link in links if b < len(names_of_groups)],
        [link for (_, b), link in links if b >= len(names_of_groups)],
        damaged,
    )


def _read_all(
    root: Path,
    images: Sequence[str],
    test_root: Path,
    test_images: Sequence[str],
    reader: Read | None,
) -> tuple[list[bytes], list[np.ndarray], list[str]]:
    """The SHA-256 and the codes of each training and test photo, and the errors of damaged ones.

    Only test photos may be damaged; these have no codes.
    """
    cv2.setNumThreads(1)

    def one(path: Path, place: Path = root) -> tuple[bytes, np.ndarray]:
        grey, content = small_photo(place, path.relative_to(place).as_posix(), reader)
        return hashlib.sha256(content).digest(), feature_codes(local_features(grey)[1])

    def of_test(path: Path) -> tuple[bytes, np.ndarray] | str:
        try:
            return one(path, test_root)
        except KitError as error:
            return str(error).removeprefix(f"{test_root}/").partition(";")[0]

    remedy = "unpack the data again, or take their rows out of the training table"
    read = for_each_photo(root, images, one, "reading photos", remedy)
    of_tests = for_each_photo(test_root, test_images, of_test, "reading test photos")
    read += [
        (b"", np.zeros(0, np.uint64)) if isinstance(result, str) else result for result in of_tests
    ]
    return (
        [digest for digest, _ in read],
        [codes for _, codes in read],
        [result for result in of_tests if isinstance(result, str)],
    )


def _same_bytes(
    digests: Sequence[bytes], owner: np.ndarray, groups: int
) -> Iterator[tuple[int, int]]:
    """Photos with the same bytes.

    They are those of the first group that has them, with those of each other group or test photo.
    """
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        start = first.setdefault(digest, i)
        if digest and owner[start] != owner[i] and owner[start] < groups:
            yield start, i


def _best_pair(
    grey: Callable[[int], np.ndarray],
    codes: Sequence[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
) -> tuple[float, int, int]:
    """The first pair of two groups' photos that is one picture, else the most alike pair.

    It is (correlation, a, b); `grey` gives a photo by its number. Photos that share most codes are
    compared first.
    """
    both = {i: np.unique(both_codes(codes[i])) for i in [*first.tolist(), *second.tolist()]}
    pairs = sorted(
        (-len(np.intersect1d(both[a], both[b], assume_unique=True)), a, b)
        for a in first.tolist()
        for b in second.tolist()
    )[:_PAIRS]
    best = (0.0, -1, -1)
    for _, a, b in pairs:
        best = max(best, (aligned(grey(a), grey(b)), a, b))
        if best[0] >= _CORRELATION:
            break
    return best
