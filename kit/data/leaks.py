"""The leak audit: the same or a near-identical photo under two people, or among those to predict.

Same bytes are found by SHA-256, near-identical photos in three steps:

1. Each of a photo's local features (SIFT; Lowe, IJCV 2004) becomes a code: the signs of its leading
   principal components. A copy shares codes with its original, however it was cropped, moved or
   turned; and mirrored, for the codes are those of the part of a feature that mirroring leaves as
   it is.
2. People who share several codes are candidates. Sorting the codes finds them (locality-sensitive
   hashing; Indyk and Motwani, STOC 1998), in a time near linear in the number of photos.
3. A candidate is laid over the other photo, by matching features (RANSAC; Fischler and Bolles, CACM
   1981), then by pixels (ECC; Evangelidis and Psarakis, TPAMI 2008), and the fine detail of the two
   is correlated. That tells one portrait with two masks from two portraits with one mask, which
   shared codes cannot.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from kit.data.alignment import _aligned
from kit.data.features import _BLOCK, _PART_BITS, _both, _features, _grey, feature_codes
from kit.data.photos import for_each_photo
from kit.system.console import Progress
from kit.system.errors import KitError
from kit.system.threads import cores

_SHARED = 4


# The three pairs of people that are one portrait had correlations of .87 to .96, and copies .86 or
# more; the best pair of different portraits reached .69. Faces that kit.sample draws are of one
# mould: a few of those are reported too, which costs them nothing but a shared fold.
_CORRELATION = 0.85


_POPULAR = 100  # a code of more people is that of a mask or a wall


_PARTNERS = 8  # candidates for a person


_PAIRS = 4  # photos of two people that are compared


_OWNER_BITS = 24  # beside a code in 64 bits


@dataclass(frozen=True)
class Link:
    """Two photos that are one: `kind` is `same bytes` or `near-identical`, `score` the correlation
    of their detail.
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
    """What an audit found: `links` between people, links from training to test photos, and which
    `damaged` test photos.
    """

    links: list[Link]
    test: list[Link]
    damaged: list[str]


def audit_photos(
    root: Path,
    images: Sequence[str],
    persons: Sequence[str],
    test_root: Path = Path(),
    test_images: Sequence[str] = (),
) -> Audit:
    """Read all photos and find those that are one, at most one link for each pair of people, or
    person and test photo.

    `images` are N paths below `root`, `persons` the N people they show; `test_images` are paths
    below `test_root`, which may show anybody. Links are sorted, and do not depend on the order of
    the photos. Raises `KitError` for damaged training photos: all of them are counted and the first
    is named.
    """
    order = sorted(range(len(images)), key=lambda i: (persons[i], images[i]))
    train, test = [images[i] for i in order], sorted(test_images)
    names, paths = (
        train + test,
        [root / image for image in train] + [test_root / image for image in test],
    )
    people, who = np.unique([persons[i] for i in order], return_inverse=True)
    owner = np.concatenate(
        [who, len(people) + np.arange(len(test))]
    )  # each test photo counts as a person of its own
    digests, codes, damaged = _read_all(root, train, test_root, test)
    best: dict[tuple[int, int], Link] = {}
    for a, b in _same_bytes(digests, owner, len(people)):
        best.setdefault((int(owner[a]), int(owner[b])), Link(names[a], names[b], "same bytes", 1.0))
    every, of = (
        np.concatenate([*codes, np.zeros(0, np.uint64)]),
        np.repeat(owner.astype(np.int32), [len(own) for own in codes]),
    )
    codes = np.split(
        every, np.cumsum([len(own) for own in codes])[:-1]
    )  # as views, for less memory
    found = [pair for pair in candidates(every, of, len(people)) if pair not in best]
    photos = np.split(np.arange(len(names)), np.cumsum(np.bincount(owner))[:-1])

    def compare(pair: tuple[int, int]) -> tuple[float, int, int]:
        return _best_pair(paths, codes, photos[pair[0]], photos[pair[1]])

    with (
        Progress("comparing look-alikes", len(found), "pairs") as progress,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for pair, (score, a, b) in zip(found, pool.map(compare, found)):
            progress.advance()
            if score >= _CORRELATION:
                best[pair] = Link(names[a], names[b], "near-identical", round(score, 2))
    links = sorted(best.items(), key=lambda item: (item[1].a, item[1].b))
    return Audit(
        [link for (_, b), link in links if b < len(people)],
        [link for (_, b), link in links if b >= len(people)],
        damaged,
    )


def _read_all(
    root: Path, images: Sequence[str], test_root: Path, test_images: Sequence[str]
) -> tuple[list[bytes], list[np.ndarray], list[str]]:
    """The SHA-256 and the codes of each training and test photo, and the errors of damaged test
    photos, which have none.
    """
    cv2.setNumThreads(1)

    def one(path: Path) -> tuple[bytes, np.ndarray]:
        grey, content = _grey(path)
        return hashlib.sha256(content).digest(), feature_codes(_features(grey)[1])

    def of_test(path: Path) -> tuple[bytes, np.ndarray] | str:
        try:
            return one(path)
        except KitError as error:
            return str(error).removeprefix(f"{test_root}/").partition(";")[0]

    read = for_each_photo(
        root,
        images,
        one,
        "reading photos",
        "unpack the data again, or take these people out of train.csv",
    )
    of_tests = (
        for_each_photo(test_root, test_images, of_test, "reading test photos")
        if test_images
        else []
    )
    read += [(b"", np.zeros(0, np.uint64)) if isinstance(own, str) else own for own in of_tests]
    return (
        [digest for digest, _ in read],
        [codes for _, codes in read],
        [own for own in of_tests if isinstance(own, str)],
    )


def _same_bytes(
    digests: Sequence[bytes], owner: np.ndarray, people: int
) -> Iterator[tuple[int, int]]:
    """Photos with the same bytes: the first person's that has them with each other person's or test
    photo.
    """
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        start = first.setdefault(digest, i)
        if digest and owner[start] != owner[i] and owner[start] < people:
            yield start, i


def candidates(codes: np.ndarray, owner: np.ndarray, people: int) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, of owners who share `_SHARED` codes, sorted; for each owner the
    `_PARTNERS` with the most.

    `codes` (F,) are those of all photos, `owner` (F,) the people 0..people-1 whose they are; owners
    from `people` on are test photos, which are not paired with each other.
    """
    owners = int(owner.max(initial=-1)) + 1
    starts = range(0, owners, _BLOCK)
    found = np.zeros((0, 2), np.int64)
    with Progress("looking for look-alikes", 2**_PART_BITS + len(starts), "steps") as progress:
        row, column = _holders(codes, owner, progress)
        holders = csr_matrix(
            (np.ones(len(row), np.int16), (row, column)), shape=(owners, column.max(initial=-1) + 1)
        )
        transposed = holders.T.tocsr()
        for start in starts:
            shared = (holders[start : start + _BLOCK] @ transposed).tocoo()
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


def _holders(
    codes: np.ndarray, owner: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Who has which code, each once, as owners and the codes' numbers 0..: of codes that 2 to
    `_POPULAR` owners have.
    """
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


def _best_pair(
    paths: Sequence[Path], codes: Sequence[np.ndarray], mine: np.ndarray, theirs: np.ndarray
) -> tuple[float, int, int]:
    """The first of two people's photos that are one, else the most alike, as (correlation, a, b):
    those with most codes first.
    """
    both = {i: np.unique(_both(codes[i])) for i in [*mine.tolist(), *theirs.tolist()]}
    pairs = sorted(
        (-len(np.intersect1d(both[a], both[b], assume_unique=True)), a, b)
        for a in mine.tolist()
        for b in theirs.tolist()
    )[:_PAIRS]
    best = (0.0, -1, -1)
    for _, a, b in pairs:
        best = max(best, (_aligned(_grey(paths[a])[0], _grey(paths[b])[0]), a, b))
        if best[0] >= _CORRELATION:
            break
    return best
