"""The networks whose inference is measured."""

import shutil

import pytest
import torch
from helpers import MASK, small

from kit.benchmarks.folds import recipe_folds, run_folds
from kit.models.checkpoint import load
from kit.system.errors import KitError

CPU = torch.device("cpu")


def test_a_recipe_has_five_networks_of_random_weights():
    folds = recipe_folds(small(), MASK, CPU)
    stems = [network.body.conv_stem.weight for network in folds.networks]
    assert folds.name == "small" and len(stems) == 5 and folds.checkpoints == ()
    assert not torch.equal(stems[0], stems[1]) and not folds.networks[0].training


def test_a_run_has_copies_of_its_checkpoints(world, tmp_path):
    folds = run_folds(world.runs / "small", tmp_path, CPU)
    assert [c.path.relative_to(tmp_path).as_posix() for c in folds.checkpoints] == [
        f"runs/small/fold{k}/best.safetensors" for k in range(3)
    ]
    source = load(world.runs / "small" / "fold1" / "best.safetensors")
    assert torch.equal(folds.networks[1].body.conv_stem.weight, source.body.conv_stem.weight)
    (one,) = run_folds(world.runs / "small" / "fold2", tmp_path / "one", CPU).checkpoints
    assert one.hash == folds.checkpoints[2].hash


def test_what_is_no_run_of_one_recipe_is_told(world, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KitError, match="holds no checkpoint; name a recipe's file or"):
        run_folds(tmp_path / "empty", tmp_path, CPU)
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "a" / "fold0")
    assert len(run_folds(tmp_path / "a", tmp_path / "b", CPU).networks) == 1
