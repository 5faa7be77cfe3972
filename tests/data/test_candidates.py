"""The search for look-alikes: codes, and which pairs share them."""

import numpy as np
import pytest
from helpers import everywhere

import kit.data.alignment
import kit.data.candidates
import kit.data.features
from kit.data.candidates import candidates
from kit.data.features import CODE_BITS


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_what_comparing_all_with_all_finds(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, 60, 4000)
    codes = rng.integers(0, 6000, len(owner), np.uint64) | rng.integers(
        6, 13, len(owner), np.uint64
    ) << np.uint64(CODE_BITS)
    everywhere(monkeypatch, kit.data.candidates, "_BLOCK", 7)
    everywhere(monkeypatch, kit.data.candidates, "_PARTNERS", 1000)
    of: list[set[int]] = [set() for _ in range(60)]
    for code, i in zip(codes.tolist(), owner.tolist()):
        plain = code % 2**CODE_BITS
        of[i] |= {plain, plain ^ 1 << (code >> CODE_BITS)}
    alike = [
        (a, b)
        for a in range(50)
        for b in range(a + 1, 60)
        if len(of[a] & of[b]) >= kit.data.candidates._SHARED
    ]
    assert 100 < len(alike) < 1600
    assert (
        candidates(codes, owner, 50) == alike
    )  # owners 50..59 are test photos: not among each other
    everywhere(monkeypatch, kit.data.candidates, "_POPULAR", 1)
    assert candidates(codes, owner, 50) == []


def test_candidates_are_bounded_and_the_most_alike_come_first():
    unsure = np.uint64(20 << CODE_BITS)
    owner = np.repeat(np.arange(60), [4 + i % 40 for i in range(60)])
    codes = np.concatenate([np.arange(4 + i % 40, dtype=np.uint64) for i in range(60)]) | unsure
    found = candidates(codes, owner, 60)
    assert 60 <= len(found) <= 60 * kit.data.candidates._PARTNERS
    assert (38, 39) in found and (0, 1) in found
    # What all share is no sign of a copy.
    many = np.repeat(np.arange(kit.data.candidates._POPULAR + 1), 10)
    assert (
        candidates(
            np.tile(np.arange(10, dtype=np.uint64), kit.data.candidates._POPULAR + 1) | unsure,
            many,
            many[-1] + 1,
        )
        == []
    )
