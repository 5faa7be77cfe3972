"""A few photos from anywhere, kept each by its own hash."""

import dataclasses
import shutil

import numpy as np
import pytest
from helpers import mask_folder
from networks import COMPUTE, blocks_of, tables_of_all

from kit.inference.blocks import Blocks
from kit.inference.photo_set import PhotoSet


def test_rows_of_all_are_those_of_each_pass(copy, world):
    run, rows = copy / "runs" / "small", np.array([7, 0, 2])
    blocks = blocks_of(world, run)
    few = blocks.few()
    tables = few.rows_of_all(rows)
    assert tables.shape == (6, 3, 18) and few.networks.computed == 6 * 3
    assert (few.rows_of_all(rows[1:]) == tables[:, 1:]).all() and few.networks.computed == 6 * 3
    for table, part in zip(tables_of_all(blocks_of(world, run)), tables):
        np.testing.assert_allclose(part, table[rows], atol=1e-6)


def test_each_photo_is_kept_by_its_own_hash(copy, world):
    data, blocks = mask_folder(copy / "data"), blocks_of(world, copy / "runs" / "small")
    photos = PhotoSet(data.test_images, blocks.photos.ids)

    def few(fresh=False):
        compute = dataclasses.replace(COMPUTE, fresh=fresh)
        return Blocks(blocks.passes, photos, blocks.views, compute).few()

    first = few()
    tables = first.rows_of_all(np.arange(3))
    first.close()
    second = few()
    second.rows_of_all(np.array([2, 5]))  # 5 is new
    second.close()
    assert second.networks.computed == 6
    assert len(list((copy / "runs" / "small" / "fold1").glob("few-*.npz"))) == 2
    shutil.copy(data.test_images / photos.ids[9], data.test_images / photos.ids[1])
    third = few()
    again = third.rows_of_all(np.array([5, 0, 1, 2]))
    assert third.networks.computed == 6 and (again[:, [1, 3]] == tables[:, [0, 2]]).all()
    assert not (again[:, 2] == tables[:, 1]).any()
    fresh = few(fresh=True)
    fresh.rows_of_all(np.array([0, 2]))
    assert fresh.networks.computed == 6 * 2


def test_what_is_known_is_taken_over(copy, world):
    few, rows = blocks_of(world, copy / "runs" / "small").few(), np.array([4, 8])
    probs = np.full((6, 2, 18), 1 / 18, np.float32)
    probs[3, 1] = np.nan
    few.take(rows, probs)
    tables = few.rows_of_all(rows)
    assert few.networks.computed == 1 and np.isfinite(tables).all()
    assert (tables[:3] == probs[:3]).all() and not (tables[3, 1] == probs[0, 0]).any()


def test_what_was_stopped_before_it_gave_anything_keeps_nothing(copy, world, monkeypatch):
    run, rows = copy / "runs" / "small", np.array([4, 8])

    def stop(*_):
        raise KeyboardInterrupt

    first = blocks_of(world, run).few()
    first.rows_of_all(rows)
    for again in (blocks_of(world, run).few(), first):  # nothing was kept; something was
        monkeypatch.setattr(again.networks, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            again.rows_of_all(rows + 1)
        again.close()
        assert bool(list(run.rglob("few-*.npz"))) == (again is first)
    third = blocks_of(world, run).few()
    monkeypatch.setattr(third.networks, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        third.rows_of_all(rows + 1)
    third.close()
    assert (blocks_of(world, run).few().rows_of_all(rows) == first.rows_of_all(rows)).all()
