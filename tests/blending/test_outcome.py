"""The blend of passes."""

import dataclasses
import shutil

import pytest
from conftest import COMPUTE, mask_folder

from kit.blending.outcome import pass_weights
from kit.blending.rule import uniform_rule
from kit.data.folder import read_test
from kit.inference.member import member_passes
from kit.inference.members import find_members
from kit.inference.pass_cache import PhotoSet
from kit.inference.passes import Passes
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info, save


def test_runs_weigh_alike_whatever_folds_they_have(copy, world):
    shutil.copytree(copy / "runs" / "small", copy / "runs" / "other")
    for fold in range(1, 3):
        shutil.rmtree(copy / "runs" / "other" / f"fold{fold}")
    best = copy / "runs" / "other" / "fold0" / "best.safetensors"
    save(best, load(best), dataclasses.replace(read_checkpoint_info(best), epoch=77))
    paths = [copy / "runs" / "small", copy / "runs" / "other"]
    members = find_members(
        paths, world.plan, read_test(mask_folder(copy / "data")), allow_missing=True
    )
    views, ids = make_views("none"), tuple(read_test(mask_folder(copy / "data")))
    photos = PhotoSet(mask_folder(copy / "data").test_images, ids)
    passes = Passes(member_passes(members, views), photos, views, COMPUTE)
    assert pass_weights(passes, uniform_rule("mean", 2, 18)).tolist() == pytest.approx(
        [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    )
