"""Photos of too many pixels are refused by their headers, and large ones wait for each other."""

import threading
from pathlib import Path

import pytest
from helpers import everywhere

import kit.data.large_photos
import kit.system.locks
from kit.data.large_photos import in_turn
from kit.system.errors import KitError


def test_too_many_pixels_are_refused():
    with in_turn(Path("a.png"), (16_384, 16_384)):
        pass
    said = "a.png: has 16,384 x 16,385 pixels, and at most 268,435,456 are decoded; make it smaller"
    with pytest.raises(KitError, match=said), in_turn(Path("a.png"), (16_384, 16_385)):
        pass


@pytest.mark.parametrize("size, most", [(8192, 6), (8193, 2), (11_586, 1)])
def test_large_photos_wait_for_each_other(size, most, tmp_path, monkeypatch):
    everywhere(monkeypatch, kit.system.locks, "user_folder", lambda: tmp_path)
    inside, peak, start = [], [], threading.Barrier(6)

    def decode():
        start.wait()
        with in_turn(Path("a.png"), (size, size)):
            inside.append(1)
            peak.append(len(inside))
            threading.Event().wait(0.05)
            inside.pop()

    threads = [threading.Thread(target=decode) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(peak) == 6 and max(peak) <= most


def test_without_a_place_for_locks_nothing_waits(monkeypatch):
    def fails():
        raise PermissionError

    everywhere(monkeypatch, kit.system.locks, "user_folder", fails)
    with in_turn(Path("a.png"), (16_384, 16_384)), in_turn(Path("a.png"), (16_384, 16_384)):
        pass
