"""Blocks run here and by other processes: the same classes."""

import json

import numpy as np
import pytest
from helpers import ensemble_arguments, everywhere
from networks import ELSEWHERE, blocks_of

import kit.blending.margins
import kit.inference.elsewhere
import kit.inference.pass_cache
import kit.inference.predict
from kit.blending.block_runs import BlockRun, check_known, run_blocks, run_elsewhere, sum_block
from kit.blending.classify import classify
from kit.blending.rule import uniform_rule
from kit.ensemble import main
from kit.inference import photo_set
from kit.system.errors import KitError

RULE = uniform_rule("mean", 1, 18)


@pytest.fixture
def fours(monkeypatch):
    """Blocks of four photos."""
    monkeypatch.setattr(photo_set, "BLOCK", 4)


def forget(root):
    for kept in root.glob("runs/small/*/*-*.npz"):
        kept.unlink()


@pytest.mark.parametrize("options", [(), ("--fast",), ("--agree", ".7"), ("--blend", "gmean")])
def test_blocks_and_other_processes_write_the_same_file(copy, halved, monkeypatch, options):
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    line = ensemble_arguments(copy, "--tta", "hflip", "--batch-size", "4", "--force", *options)
    assert main(line) == 0
    whole = (copy / "s.csv").read_bytes()
    record = json.loads((copy / "s.json").read_text())
    monkeypatch.setattr(photo_set, "BLOCK", 4)
    for place in (None, ELSEWHERE.place):
        forget(copy)
        everywhere(monkeypatch, kit.inference.elsewhere, "find_place", lambda *_, p=place: p)
        assert main(line) == 0 and (copy / "s.csv").read_bytes() == whole
        again = json.loads((copy / "s.json").read_text())
        for name in ("close", "passes_computed", "saved", "modes", "counts"):
            assert again.get(name) == record.get(name), name

    def never(*args, **options):
        raise AssertionError("a network ran")

    everywhere(monkeypatch, kit.inference.predict, "predict", never)
    everywhere(monkeypatch, kit.inference.elsewhere, "find_place", lambda *_: None)
    assert main(line) == 0 and (copy / "s.csv").read_bytes() == whole
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 0


def test_a_block_that_another_process_has_not_kept_here_is_named(fours, copy, world):
    run = copy / "runs" / "small"
    blocks = blocks_of(world, run, "none", ELSEWHERE)
    runs = run_elsewhere(blocks, None)
    assert list(runs) == [0, 1, 2] and [one.computed for one in runs.values()] == [12, 12, 6]
    with blocks.open(1, runs[1].photos) as block:
        check_known(block, runs[1])
    forget(copy)
    with blocks.open(1, runs[1].photos) as block:
        with pytest.raises(KitError, match=r"fold0: lacks probabilities .* of photos \(4 found"):
            check_known(block, runs[1])


def test_where_nothing_can_be_kept_other_processes_are_of_no_use(copy, world, monkeypatch):

    def full(path, *args, **options):
        raise KitError(f"{path}: cannot be written: Read-only file system; name another place")

    everywhere(monkeypatch, kit.inference.pass_cache, "write_kept", full)
    blocks = blocks_of(world, copy / "runs" / "small", "none", ELSEWHERE)
    with pytest.raises(KitError, match="Read-only file system; probabilities .* copy the runs"):
        classify(blocks, RULE)
    assert classify(blocks_of(world, copy / "runs" / "small", "none"), RULE).passes_computed == 3


def test_a_run_that_was_lost_goes_on_after_its_last_block(fours, copy, world, monkeypatch, capsys):
    plain, calls = kit.inference.predict.predict, []

    def killed(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise MemoryError
        return plain(*args, **options)

    with monkeypatch.context() as patch:
        everywhere(patch, kit.inference.predict, "predict", killed)
        with pytest.raises(MemoryError):
            run_blocks(blocks_of(world, copy / "runs" / "small", "none"), None)
    runs = run_blocks(blocks_of(world, copy / "runs" / "small", "none"), None)
    assert [run.computed for run in runs] == [0, 0, 6]
    assert "  block 3/3  2 photos, 3 passes" in capsys.readouterr().out


def test_sums_are_of_the_passes_that_each_photo_took(copy, world):
    with blocks_of(world, copy / "runs" / "small", "none").open(0) as block:
        block.run_all()
        tables = np.stack([block.table(p) for p in range(3)]).astype(np.float64)
        taken = np.array([1, 2, 3, 1, 1, 1, 1, 1, 1, 3])
        sums = sum_block(block, RULE, BlockRun("", 0, 0, np.array([2, 0, 1]), taken))
    np.testing.assert_allclose(sums[0], tables[2, 0] / 3)
    np.testing.assert_allclose(sums[1], (tables[2, 1] + tables[0, 1]) / 3)
    np.testing.assert_allclose(sums[[2, 9]], tables[:, [2, 9]].mean(axis=0))
