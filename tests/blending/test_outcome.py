"""The blend of passes."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import mask_folder
from networks import COMPUTE

from kit.blending.choices import BLENDS
from kit.blending.classify import classify
from kit.blending.outcome import ExactSums, Taken, blend, pass_weights
from kit.blending.rule import Rule, uniform_rule
from kit.data.folder import read_test
from kit.inference.blocks import Blocks
from kit.inference.member import Member, member_passes
from kit.inference.members import find_members
from kit.inference.photo_set import PhotoSet
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.probs import Probs


def test_runs_weigh_alike_whatever_folds_they_have(copy, world):
    shutil.copytree(copy / "runs" / "small", copy / "runs" / "other")
    for fold in range(1, 3):
        shutil.rmtree(copy / "runs" / "other" / f"fold{fold}")
    best = copy / "runs" / "other" / "fold0" / "best.safetensors"
    save(best, load(best), dataclasses.replace(read_checkpoint_info(best), epoch=77))
    best.with_name("oof.npz").unlink()
    paths = [copy / "runs" / "small", copy / "runs" / "other"]
    members = find_members(
        paths, world.plan, read_test(mask_folder(copy / "data")), allow_missing=True
    )
    views, ids = make_views("none"), tuple(read_test(mask_folder(copy / "data")))
    photos = PhotoSet(mask_folder(copy / "data").test_images, ids)
    blocks = Blocks(member_passes(members, views), photos, views, COMPUTE)
    assert pass_weights(blocks.passes, uniform_rule("mean", 2, 18)).tolist() == pytest.approx(
        [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    )


def file_passes(*tables):
    """The passes of members that are files, over the photos a, b, ... of three classes."""
    ids = np.array(list("abcdefgh"[: len(tables[0])]))
    members = [Member(str(m), test=Probs(ids, table)) for m, table in enumerate(tables)]
    photos = PhotoSet(Path("nowhere"), tuple(ids.tolist()))
    return Blocks(member_passes(members, ["plain"]), photos, make_views("none"), COMPUTE)


def drawn_tables(members, photos):
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(3), (members, photos)).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in BLENDS if name != "rank"])
def test_the_blend_of_files_is_the_rules(name):
    tables = drawn_tables(4, 8)
    rule = Rule(name, np.array([0.1, 0.2, 0.3, 0.4]), 1.3, np.array([-0.5, 0.5, 0.0]))
    outcome = classify(file_passes(*tables), rule)
    np.testing.assert_allclose(outcome.blended, rule.probs(tables), atol=1e-12)
    assert outcome.classes.tolist() == rule.classes(tables).tolist()
    assert (outcome.passes, outcome.passes_computed, outcome.close) == (0, 0, None)
    assert blend(rule, np.arange(4), tables, 8).tolist() == outcome.blended.tolist()


def test_exact_sums_are_of_the_passes_that_a_photo_took_and_of_all():
    tables, weights = drawn_tables(3, 4), np.array([0.5, 0.3, 0.2])
    rule, blocks = Rule("mean", weights, 1.0, np.zeros(3)), file_passes(*tables)
    order, taken = [2, 0, 1], np.array([1, 2, 3, 1])
    sums = ExactSums(blocks.few(), rule, Taken(taken, np.argsort(order)[None], 4))
    same, whole = sums.sums(np.array([0, 1, 2]))
    np.testing.assert_allclose(same[0], 0.2 * tables[2, 0])
    np.testing.assert_allclose(same[1], 0.2 * tables[2, 1] + 0.5 * tables[0, 1])
    np.testing.assert_allclose(same[2], whole[2])
    np.testing.assert_allclose(whole, np.tensordot(weights, tables[:, :3], 1))
    assert ExactSums(blocks.few(), rule).sums(np.array([1]))[1].tolist() == whole[1:2].tolist()
