import dataclasses
import pickle
from pathlib import Path

import pytest
import timm
import torch
from helpers import small
from safetensors.torch import save_file
from trainings import on_cpu

from kit.data.folder import DataFolder
from kit.inference.engine import Compute
from kit.models.checkpoint import read_checkpoint_info
from kit.system.errors import KitError
from kit.training.fold import train_fold
from kit.training.job import FoldJob, TrainOptions


def test_a_job_knows_its_place_device_and_workers(world, tmp_path):
    job = FoldJob(small("mine"), world.plan, world.folder, 2, tmp_path, on_cpu())
    assert job.files.folder == tmp_path / "mine" / "fold2" and job.device == torch.device("cpu")
    assert job.workers == 0 and job.competition is world.plan.competition
    options = TrainOptions(compute=Compute("cpu", 3))
    assert dataclasses.replace(job, options=options).workers == 3


def test_a_device_that_is_not_there_is_told_when_it_is_asked_for(world, tmp_path):
    options = TrainOptions(compute=Compute("cuda:77"))
    job = FoldJob(small(), world.plan, world.folder, 0, tmp_path, options)
    with pytest.raises(KitError, match="--device cuda:77"):
        _ = job.device


def test_a_placed_job_runs_in_any_folder_with_any_environment(world, tmp_path, monkeypatch):
    """Relative paths and variables are those of where it was placed; records are as typed."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(here)
    (here / "data").symlink_to(world.data)
    weights = timm.create_model("test_efficientnet", pretrained=False).state_dict()
    save_file(weights, here / "w.safetensors")
    monkeypatch.setenv("SOME_WEIGHTS", ".")
    recipe = small(epochs=1, pretrained="$SOME_WEIGHTS/w.safetensors")
    options = on_cpu()
    options = dataclasses.replace(
        options, compute=dataclasses.replace(options.compute, cache_dir=Path("cache"))
    )
    data = DataFolder(Path("data"), world.folder.competition)
    job = FoldJob(recipe, world.plan, data, 0, Path("runs"), options)
    placed = pickle.loads(pickle.dumps(job.placed()))
    assert placed.recipe == recipe and placed.placed() == placed
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("SOME_WEIGHTS")
    train_fold(placed)
    assert not list(elsewhere.iterdir()) and len(list((here / "cache").glob("*.npy"))) == 1
    best = here / "runs" / "small" / "fold0" / "best.safetensors"
    assert read_checkpoint_info(best).recipe["pretrained"] == "$SOME_WEIGHTS/w.safetensors"
    with pytest.raises(KitError, match="SOME_WEIGHTS is not set"):
        job.placed()
