"""The photos of a pixel cache: whatever is damaged in the file, no wrong photo comes out."""

import random

import numpy as np
import pytest
from helpers import MASK, draw_photo

from kit.data.cache import pixel_cache
from kit.data.cached_photos import CachedPhotos
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset

GEOMETRY = Geometry((512, 384), (16, 12), MASK.frame)
NAMES = [f"{i}.jpg" for i in range(6)]


@pytest.fixture
def place(tmp_path):
    """A folder of six photos, and their cache."""
    (tmp_path / "photos").mkdir()
    for i, name in enumerate(NAMES):
        draw_photo(tmp_path / "photos" / name, i)
    return tmp_path


def cache_of(place, names=NAMES):
    return pixel_cache(place / "pixels", place / "photos", names, GEOMETRY)


def photos_of(place, cache=None):
    dataset = PhotoDataset(place / "photos", NAMES, [GEOMETRY], cache=cache)
    return [dataset[i][1][0] for i in range(len(NAMES))]


def test_damaged_photos_are_decoded_kept_anew_and_told_once(place, capsys):
    cache = cache_of(place)
    right, whole, rng = photos_of(place), cache.path.read_bytes(), random.Random(0)
    header = len(whole) - 6 * (16 * 12 * 3 + 4)
    for n in range(200):
        damaged = bytearray(whole)
        for _ in range(1 + n % 4):
            damaged[rng.randrange(header, len(whole))] ^= 1 << rng.randrange(8)
        cache.path.write_bytes(damaged)
        capsys.readouterr()
        assert np.array_equal(photos_of(place, cache), right)
        assert capsys.readouterr().err.count("is damaged in the pixel cache; such photos") == 1
        assert cache.path.read_bytes() == whole  # mended
    assert np.array_equal(photos_of(place, cache), right) and not capsys.readouterr().err


def test_a_damaged_header_or_length_makes_the_cache_anew(place, capsys):
    cache = cache_of(place)
    whole, rng = cache.path.read_bytes(), random.Random(0)
    for n in range(60):
        damaged = bytearray(whole)
        damaged[rng.randrange(128)] ^= 1 << rng.randrange(8)
        cache.path.write_bytes([damaged, whole[: rng.randrange(len(whole))], whole + b"x"][n % 3])
        made = cache_of(place)
        assert made is not None and made.path.read_bytes()[128:] == whole[128:]


def test_the_cache_of_other_photos_is_no_cache_of_these(place, capsys):
    right = photos_of(place)
    other = cache_of(place, NAMES[::-1]).path.read_bytes()
    cache = cache_of(place)
    cache.path.write_bytes(other)
    assert np.array_equal(photos_of(place, cache), right)
    assert capsys.readouterr().err.count("is damaged in the pixel cache") == 1
    assert np.array_equal(photos_of(place, cache), right) and not capsys.readouterr().err


def test_a_photo_is_checked_once_and_a_read_only_cache_is_not_mended(place, monkeypatch, capsys):
    cache = cache_of(place)
    whole = cache.path.read_bytes()
    photos, rows = CachedPhotos(cache), list(range(len(NAMES)))
    with open(cache.path, "r+b") as file:
        file.seek(len(whole) - 30)  # among the last photo's pixels
        file.write(b"\0\1\2\3")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    damaged, decoded = cache.path.read_bytes(), np.zeros((16, 12, 3), np.uint8)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        assert [photos.photo(row, lambda: decoded) is decoded for row in rows] == [False] * 5 + [
            True
        ]
    assert cache.path.read_bytes() == damaged and len(capsys.readouterr().err.splitlines()) == 1
    sums = []
    monkeypatch.setattr(type(cache), "checksum", lambda *_: sums.append(1))
    for row in rows[:5]:
        photos.photo(row, lambda: decoded)
    assert not sums
