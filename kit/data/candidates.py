"""Groups of photos that may share a photo, found by the codes of local features."""

import numpy as np
from scipy.sparse import csr_matrix

from kit.data.features import PART_BITS, both_codes
from kit.system.console import Progress

_SHARED = 4  # codes that two groups must have in common
_POPULAR = 100  # a code of more groups is that of a common thing, such as a wall
_PARTNERS = 8  # candidates for a group
_OWNER_BITS = 24  # beside a code in 64 bits
_BLOCK = 1024  # owners that are compared with all others at once, for less memory


def candidates(codes: np.ndarray, owner: np.ndarray, groups: int) -> list[tuple[int, int]]:
    """Pairs (a, b), a < b, of owners who share `_SHARED` codes or more, sorted.

    Each owner's `_PARTNERS` best ones are taken, by the number of shared codes. `codes` (F,) are
    those of all photos, and `owner` (F,) the groups 0..groups-1 that they are of; owners from
    `groups` on are test photos, which are not paired with each other.
    """
    owners = int(owner.max(initial=-1)) + 1
    starts = range(0, owners, _BLOCK)
    best_pairs = np.zeros((0, 2), np.int64)
    with Progress("looking for look-alikes", 2**PART_BITS + len(starts), "steps") as progress:
        row, column = _holders(codes, owner, progress)
        holders = csr_matrix(
            (np.ones(len(row), np.int16), (row, column)), shape=(owners, column.max(initial=-1) + 1)
        )
        transposed = holders.T.tocsr()
        for start in starts:
            shared = (holders[start : start + _BLOCK] @ transposed).tocoo()
            a, b, number = shared.row + start, shared.col, shared.data
            is_pair = (number >= _SHARED) & (a != b) & (np.minimum(a, b) < groups)
            a, b, number = a[is_pair], b[is_pair], number[is_pair]
            order = np.lexsort((b, -number, a))
            a, b = a[order], b[order]
            rank = np.arange(len(a)) - np.searchsorted(a, a)
            pairs = np.sort(np.stack([a, b], axis=1)[rank < _PARTNERS], axis=1)
            best_pairs = np.concatenate([best_pairs, pairs])
            progress.advance()
    return [(a, b) for a, b in np.unique(best_pairs, axis=0).tolist()]


def _holders(
    codes: np.ndarray, owner: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Which owner has which code, each pair once: owners, and numbers of codes from 0.

    Codes are left out unless 2 to `_POPULAR` owners have them.
    """
    part_of = codes.astype(np.uint8) % 2**PART_BITS
    rows, columns, count = [], [], 0
    for part in range(2**PART_BITS):
        in_part = part_of == part
        keys = np.unique(
            both_codes(codes[in_part]) << np.uint64(_OWNER_BITS) | owner[in_part].astype(np.uint64)
        )
        code = keys >> np.uint64(_OWNER_BITS)
        column = np.cumsum(np.diff(code, prepend=code[:1]) != 0)
        size = np.bincount(column)
        shared = (size[column] > 1) & (size[column] <= _POPULAR)
        rows.append((keys[shared] % np.uint64(2**_OWNER_BITS)).astype(np.int32))
        columns.append((column[shared] + count).astype(np.int32))
        count += len(size)
        progress.advance()
    return np.concatenate(rows), np.concatenate(columns)
