"""Passes: run, grouped by memory, reused."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import MASK, everywhere
from networks import (
    COMPUTE,
    CPU,
    Symmetric,
    blocks_of,
    checkpoints_of,
    loader_of,
    photos_of,
    run_all_passes,
)

import kit.data.photos
import kit.inference.predict
import kit.models.checkpoint
import kit.system.device
from kit.blending.settings import Output
from kit.blending.submit import ensemble
from kit.data.folder import read_test
from kit.inference.engine import Compute
from kit.inference.members import find_members
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import load
from kit.results.answers import read_answers
from kit.system.disk import file_hash
from kit.system.errors import KitError
from kit.system.temporary import host_name


def test_one_checkpoint_without_tta_gives_its_own_probabilities(world, tmp_path):
    fold = world.runs / "small" / "fold0"
    ids = read_test(world.folder)
    own = predict(
        [load(fold / "best.safetensors")],
        loader_of(photos_of(world.folder)),
        make_views("none"),
        CPU,
    )[0][0, 0]
    _, record = ensemble(
        [fold], world.plan, world.folder, Output(path=tmp_path / "s.csv"), compute=COMPUTE
    )
    probs, _ = run_all_passes(
        checkpoints_of(fold, world), world.folder.test_images, ids, "none", COMPUTE
    )
    assert (probs[0, "plain"].at(ids) == own).all()
    assert read_answers(tmp_path / "s.csv", MASK).classes.tolist() == own.argmax(axis=1).tolist()
    assert read_answers(tmp_path / "s.csv", MASK).ids.tolist() == ids
    assert record.members[0].files[0].sha256 == file_hash(fold / "best.safetensors")
    assert record.sha256 == file_hash(tmp_path / "s.csv")


def test_too_little_gpu_memory_is_one_line(world, monkeypatch):
    class Greedy(Symmetric):
        def forward(self, photos):
            raise torch.OutOfMemoryError("CUDA out of memory")

    everywhere(monkeypatch, kit.models.checkpoint, "load", lambda path, device: Greedy())
    checkpoints = checkpoints_of(world.runs / "small", world)
    with pytest.raises(
        KitError, match="too small for 7 photos a batch; take a smaller --batch-size"
    ):
        run_all_passes(
            checkpoints,
            world.folder.test_images,
            read_test(world.folder),
            "bright",
            Compute("cpu", 0, 7),
        )


def test_where_memory_is_short_networks_come_in_groups_and_photos_are_decoded_once(
    copy, world, monkeypatch
):
    checkpoints = find_members([copy / "runs" / "small"], world.plan, read_test(world.folder))[
        0
    ].checkpoints
    root, ids = world.folder.test_images, read_test(world.folder)
    whole, _ = run_all_passes(checkpoints, root, ids, "hflip", Compute("cpu", 0))
    for kept in (copy / "runs").glob("small/*/p*-*.npz"):
        kept.unlink()
    count, plain, groups = [0], kit.data.photos.decode, []

    def counting(*args, **options):
        count[0] += 1
        return plain(*args, **options)

    def grouped(networks, *rest):
        networks = list(networks)
        groups.append(len(networks))
        return predict(networks, *rest)

    everywhere(monkeypatch, kit.data.photos, "decode", counting)
    everywhere(monkeypatch, kit.inference.predict, "predict", grouped)
    need = checkpoints[0].info.parameters * 4
    everywhere(monkeypatch, kit.system.device, "free_memory", lambda device: 2 * 2 * need + 10)
    parted, computed = run_all_passes(checkpoints, root, ids, "hflip", Compute("cpu", 0))
    assert groups == [2, 1] and count[0] == len(ids) and computed == 6
    for key, table in whole.items():
        np.testing.assert_allclose(parted[key].at(ids), table.at(ids), atol=1e-6)
    assert not (copy / "runs" / "pixels" / "eval").exists()  # it was in a folder of its own


def test_pixels_that_a_killed_process_left_are_removed_and_none_are_left(copy, world, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    compute = dataclasses.replace(COMPUTE, cache_dir=tmp_path / "pixels")
    left = tmp_path / "pixels" / f".kit-pixels.1a.{host_name()}.{process.pid}.tmp"
    left.mkdir(parents=True)
    (left / "pixels.npy").touch()
    with blocks_of(world, copy / "runs" / "small", compute=compute).open(0) as block:
        assert not left.exists()  # before there is any need of others
        block.rows(0, np.array([1, 4]))
        (own,) = (tmp_path / "pixels").iterdir()
        assert own.stat().st_mode & 0o777 == 0o700 and (own / "pixels.npy").exists()
    assert not list((tmp_path / "pixels").iterdir())


def test_what_some_photos_ran_for_is_kept_and_taken_up(copy, world):
    run, rows = copy / "runs" / "small", np.array([1, 4, 7])
    blocks = blocks_of(world, run)
    with blocks.open(0) as passes:
        assert passes.lacking() == 6 * 10 and not passes.known.any()
        first = passes.rows(2, rows)
        assert blocks.networks.computed == 3 and passes.lacking() == 6 * 10 - 3
        assert (passes.rows(2, rows) == first).all() and blocks.networks.computed == 3
    folder = run / "fold2"
    assert len(list(folder.glob("part-*.npz"))) == 1 and not list(folder.glob("probs-*.npz"))
    again = blocks_of(world, run)
    with again.open(0) as passes:
        assert passes.lacking() == 6 * 10 - 3 and (passes.table(2)[rows] == first).all()
        assert np.isnan(passes.table(2)[0]).all()
        passes.run_all()  # all photos of a pass that lacks some: what is kept whole is of one run
        assert again.networks.computed == 6 * 10 and passes.lacking() == 0
    assert not list(folder.glob("part-*.npz")) and len(list(folder.glob("probs-*.npz"))) == 2
    with blocks_of(world, run).open(0) as passes:
        assert passes.known.all() and (passes.seconds > 0).all()
        np.testing.assert_allclose(passes.table(2)[rows], first, atol=1e-6)


def test_probabilities_that_were_computed_elsewhere_are_taken_over_and_kept(copy, world):
    run, rows = copy / "runs" / "small", np.array([3, 5])
    probs = np.full((6, 2, 18), 1 / 18, np.float32)
    with blocks_of(world, run).open(0) as passes:
        passes.take(rows, probs)
    with blocks_of(world, run).open(0) as passes:
        assert (passes.rows(4, rows) == probs[4]).all() and passes.lacking() == 6 * 8
