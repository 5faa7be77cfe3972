"""The mean of weights by hand, and which checkpoints make one."""

import shutil

import pandas as pd
import pytest
import torch
from helpers import MASK, small

from kit.data.plan import Plan
from kit.models.checkpoint import Origin, checkpoint_info, load, read_checkpoint_info, save
from kit.models.network import build
from kit.results.run import Fold
from kit.system.errors import KitError
from kit.training.soup import average, check_ingredients, check_place, ingredients, is_mean


def test_the_mean_of_weights_by_hand():
    networks = [build(small(), MASK) for _ in range(3)]
    for value, network in zip((1.0, 2.0, 6.0), networks):
        for tensor in network.body.state_dict().values():
            tensor.fill_(value)
    mean = average(networks)
    assert mean is networks[-1]
    for tensor in mean.body.state_dict().values():  # counts of batches are the last one's
        assert (tensor == (3 if tensor.is_floating_point() else 6)).all()


def test_a_networks_mean_with_itself_is_itself():
    one, same = build(small(), MASK), build(small(), MASK)
    same.load_state_dict(one.state_dict())
    mean = average([one, same])
    assert all(torch.equal(v, one.state_dict()[name]) for name, v in mean.state_dict().items())


def test_the_kept_epochs_of_each_fold_are_ingredients(kept, tmp_path):
    run = kept / "kept"
    every = ingredients([run])
    assert list(every) == [run / f"fold{k}" for k in range(3)]
    assert every[run / "fold1"] == Fold(run / "fold1").epochs and len(every[run / "fold1"]) == 2
    assert ingredients([run], last=1)[run / "fold0"] == Fold(run / "fold0").epochs[-1:]
    best = Fold(run / "fold0").best
    assert ingredients([best, *Fold(run / "fold0").epochs]) == {
        run / "fold0": [best, *Fold(run / "fold0").epochs]
    }
    with pytest.raises(KitError, match="has no kept epochs"):
        ingredients([tmp_path])


def test_ingredients_are_two_of_one_fold_plan_and_recipe(world, kept):
    a, b = (Fold(kept / "kept" / f"fold{k}").epochs for k in (0, 1))
    assert [info.epoch for info in check_ingredients(a, world.plan)] == [2, 3]
    for paths, said in (
        ([a[0], b[0]], "is of fold 0, and others are not"),
        ([a[0]], "is one checkpoint alone"),
        ([a[0], a[0]], "the same checkpoint twice"),
        ([a[0], Fold(world.runs / "small" / "fold0").best], "by another recipe"),
    ):
        with pytest.raises(KitError, match=said):
            check_ingredients(paths, world.plan)


def test_an_epoch_under_another_s_name_is_refused(world, kept, tmp_path):
    files = Fold(shutil.copytree(kept / "kept" / "fold0", tmp_path / "fold0"))
    one, two = files.epochs
    one.rename(tmp_path / "one")
    two.rename(one)
    (tmp_path / "one").rename(two)
    with pytest.raises(KitError, match="holds epoch 3, which is epoch0003.safetensors; put a copy"):
        check_ingredients(files.epochs, world.plan)


def test_no_soup_replaces_a_training(world, kept, tmp_path):
    files = Fold(shutil.copytree(kept / "kept" / "fold0", tmp_path / "fold0"))
    with pytest.raises(KitError, match="is the folder of a training"):
        check_place(files.epochs, files.folder, world.folder, force=True)
    files.metrics.unlink()
    with pytest.raises(KitError, match="is the folder of a training"):  # its own ingredients'
        check_place(files.epochs, files.folder, world.folder, force=True)
    check_place(files.epochs, tmp_path / "soup" / "fold0", world.folder, force=False)


def test_weights_of_another_architecture_are_no_mean(kept, tmp_path):
    epochs = Fold(kept / "kept" / "fold0").epochs
    recipe = small(model="test_vit", size=(64, 48))
    network = build(recipe, MASK)
    info = checkpoint_info(recipe, network, Origin(Plan(pd.DataFrame(), "a", {}, MASK), 0), 1, 0.5)
    save(tmp_path / "best.safetensors", network, info)
    assert not is_mean(tmp_path / "best.safetensors", epochs)
    save(
        tmp_path / "best.safetensors",
        average([load(path) for path in epochs]),
        read_checkpoint_info(epochs[-1]),
    )
    assert is_mean(tmp_path / "best.safetensors", epochs)
