"""Photos in blocks: the same bytes, kept block by block."""

import contextlib

import numpy as np
import pytest
from helpers import everywhere, mask_folder
from networks import blocks_of, tables_of_all

import kit.inference.predict
from kit.data.folder import read_test
from kit.inference import photo_set
from kit.inference.blocks import Blocks
from kit.inference.engine import Compute
from kit.inference.member import Member, member_passes
from kit.inference.photo_set import PhotoSet
from kit.results.probs import Probs

BATCHES = Compute("cpu", 0, 4)


@pytest.fixture
def fours(monkeypatch):
    """Blocks of four photos, a batch each."""
    monkeypatch.setattr(photo_set, "BLOCK", 4)


def test_blocks_give_the_bytes_of_one_block_and_each_is_kept(copy, world, monkeypatch):
    run = copy / "runs" / "small"
    whole = tables_of_all(blocks_of(world, run, "hflip", BATCHES))
    assert len(list(run.glob("fold0/probs-*.npz"))) == 2
    for size, number, new in ((4, 3, 10), (8, 2, 8)):  # the last two photos are a block in both
        monkeypatch.setattr(photo_set, "BLOCK", size)
        blocks = blocks_of(world, run, "hflip", BATCHES)
        parts = tables_of_all(blocks)
        assert len(blocks) == number and blocks.networks.computed == 6 * new
        assert all((part == table).all() for part, table in zip(parts, whole))
        again = blocks_of(world, run, "hflip", BATCHES)
        assert again.all_known() and (tables_of_all(again)[5] == whole[5]).all()
        assert again.networks.computed == 0


def test_an_interruption_costs_the_unfinished_block_alone(fours, copy, world, monkeypatch):
    run, plain, calls = copy / "runs" / "small", kit.inference.predict.predict, []

    def interrupted(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(*args, **options)

    with monkeypatch.context() as patch:
        everywhere(patch, kit.inference.predict, "predict", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tables_of_all(blocks_of(world, run, "none", BATCHES))
    blocks = blocks_of(world, run, "none", BATCHES)
    tables_of_all(blocks)
    assert blocks.networks.computed == 3 * 2  # the last block has two photos


def test_a_changed_photo_costs_its_own_block_alone(fours, copy, world):
    run, folder = copy / "runs" / "small", mask_folder(copy / "data")
    ids, (member,) = tuple(read_test(folder)), [blocks_of(world, run).passes]
    photos = PhotoSet(folder.test_images, ids)

    def computed():
        blocks = Blocks(member, photos, blocks_of(world, run).views, BATCHES)
        tables_of_all(blocks)
        return blocks.networks.computed

    assert computed() == 6 * 10 and computed() == 0
    changed, other = folder.test_images / ids[5], folder.test_images / ids[0]
    changed.write_bytes(other.read_bytes())
    assert computed() == 6 * 4


def test_of_files_each_block_has_its_rows_by_id(fours, world):
    ids = read_test(world.folder)
    probs = np.random.default_rng(0).dirichlet(np.ones(18), 10).astype(np.float32)
    member = Member("theirs", test=Probs(np.array(ids[::-1]), probs[::-1]))
    photos = PhotoSet(world.folder.test_images, tuple(ids))
    blocks = Blocks(member_passes([member], ["plain"]), photos, {}, BATCHES)
    assert (tables_of_all(blocks)[0] == probs).all() and blocks.hashes == {}
    with blocks.placed(slice(4, 10)).open(1) as block:
        assert block.photos.ids == tuple(ids[8:]) and (block.table(0) == probs[8:]).all()


def test_what_cannot_be_kept_is_said_once(copy, world, capsys):
    with contextlib.closing(blocks_of(world, copy / "runs" / "small")) as blocks:
        blocks.say_unkept(["no space", "no space"])
        blocks.say_unkept(["again"])
    assert capsys.readouterr().err == "warning: probabilities are not kept: no space\n"
    assert len(blocks.unkept) == 3
