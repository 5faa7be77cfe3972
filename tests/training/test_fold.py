import dataclasses
import functools
import math
import shutil

import numpy as np
import pytest
import timm
import torch
from helpers import MASK, everywhere, mask_folder, small
from trainings import assert_same_run, make_coloured, metrics_of, on_cpu

import kit.data.photos
import kit.metrics.sums
import kit.results.run
import kit.scoring.metrics
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.inference.engine import Compute
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info
from kit.recipe import load_recipe, shipped_recipe
from kit.results.probs import read_probs
from kit.results.run import Fold, oof_key
from kit.scoring.metrics import score
from kit.system.errors import KitError
from kit.training.fold import train_fold
from kit.training.job import FoldJob, TrainOptions
from kit.training.learner import Learner
from kit.training.resume import load_state
from kit.training.run import train


def test_oof_covers_every_photo_once_and_belongs_to_its_checkpoint(world, copy):
    images = []
    for fold in range(3):
        files = Fold(copy / "runs" / "small" / f"fold{fold}")
        assert sorted(path.name for path in files.folder.iterdir()) == [
            ".lock",
            "best.safetensors",
            "metrics.csv",
            "oof.npz",
        ]
        info, oof, rows = (
            read_checkpoint_info(files.best),
            read_probs(files.oof),
            metrics_of(files),
        )
        assert (
            info.fold == fold and info.plan == world.plan.hash and info.recipe == small().describe()
        )
        assert oof.key == oof_key(files.best, world.plan, fold, "float32")
        held = world.plan.photos[world.plan.photos["fold"] == fold]
        assert oof.ids.tolist() == held["image"].tolist()
        scores = score(held["label"].to_numpy(), oof.probs.argmax(axis=1), MASK)
        last = rows[-1]
        assert info.epoch == last["epoch"] and info.score == last["val_f1_macro"] == pytest.approx(
            scores.score
        )
        assert (last["val_f1_mask"], last["val_f1_age"]) == pytest.approx(
            (scores.tasks["mask"], scores.tasks["age"])
        )
        assert len(rows) == 2 and all(math.isfinite(v) for row in rows for v in row.values())
        photos = PhotoDataset(world.folder.train_images, held["image"].tolist(), [info.geometry])
        cpu = torch.device("cpu")
        loader = make_loader(photos, batches_of(len(photos), 5), 0, cpu)
        again = predict([load(files.best)], loader, make_views("none"), cpu)[0][0, 0]
        np.testing.assert_allclose(again, oof.probs, atol=1e-5)
        images += oof.ids.tolist()
    assert sorted(images) == world.plan.photos["image"].tolist()


def test_training_learns(tmp_path):
    """Photos whose class stands in their colours are learned: the loop does what it should."""
    people = [(f"{i:06d}", ("male", "female")[i % 2], (20, 40, 60)[i // 2 % 3]) for i in range(24)]
    data = make_coloured(tmp_path / "data", people)
    plan, _ = plan_folds(
        mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=2, audit=False)
    )
    scores = train_fold(
        FoldJob(
            small(epochs=20, augment=None),
            plan,
            mask_folder(data),
            0,
            tmp_path / "runs",
            on_cpu(cache=False),
        )
    )
    assert scores.score > 0.7 and scores.tasks["gender"] > 0.9


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3")  # for two cores
def test_workers_do_not_change_a_run(data, tmp_path):
    plan, _ = plan_folds(
        mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False)
    )
    for workers in (0, 1, 2, 3):
        train_fold(
            FoldJob(
                small(epochs=2),
                plan,
                mask_folder(data),
                0,
                tmp_path / f"runs{workers}",
                TrainOptions(compute=Compute("cpu", workers), cache=False),
            )
        )
    one, *others = (Fold(tmp_path / f"runs{workers}" / "small" / "fold0") for workers in range(4))
    for other in others:
        assert_same_run(one, other)


def test_a_cache_that_is_deleted_meanwhile_ends_no_training(world, tmp_path, monkeypatch, capsys):
    real = kit.training.learner.Learner.step

    def step(*args):
        for path in (tmp_path / "pixels").glob("*.npy"):
            path.unlink()
        return real(*args)

    monkeypatch.setattr(kit.training.learner.Learner, "step", step)
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert "photos are decoded instead" in capsys.readouterr().err
    assert_same_run(*(Fold(runs / "small" / "fold0") for runs in (tmp_path, world.runs)))


BEST = {"select": "best"}


def scripted(monkeypatch, scores, losses=None):
    """Let the epochs score so, whatever they predict."""
    f1, loss = iter(scores), iter(losses or [1.0] * 99)
    everywhere(
        monkeypatch,
        kit.scoring.metrics,
        "score",
        lambda truth, predicted, competition, probs: dataclasses.replace(
            score(truth, predicted, competition, probs), score=next(f1)
        ),
    )
    everywhere(monkeypatch, kit.metrics.sums, "log_loss", lambda truth, probs: next(loss))


@pytest.mark.parametrize(
    "changes, scores, losses, epochs, kept",
    [
        ({}, [0.1, 0.3, 0.2, 0.1], None, 4, 4),
        ({"ema": 0.9}, [0.1, 0.3, 0.2, 0.1], None, 4, 4),
        (BEST, [0.1, 0.3, 0.2, 0.3], None, 4, 2),
        (BEST | {"monitor": "loss"}, [0.1, 0.3, 0.2, 0.1], [4, 3, 1, 2], 4, 3),
        (BEST | {"patience": 1}, [0.1, 0.3, 0.2, 0.5], None, 3, 2),
        (BEST | {"patience": 2}, [0.3, 0.1, 0.2, 0.5], None, 3, 1),
        (BEST | {"patience": 2}, [0.3, 0.1, 0.4, 0.1], None, 4, 3),
        (BEST | {"patience": 1, "monitor": "loss"}, [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], 2, 1),
        ({"patience": 1}, [0.3, 0.2, 0.1, 0.4], None, 2, 2),
    ],
)
def test_which_epoch_is_kept_and_when_training_ends(
    world, tmp_path, monkeypatch, capsys, changes, scores, losses, epochs, kept
):
    scripted(monkeypatch, scores, losses)
    recipe = small(name="chosen", epochs=4, **changes)
    done = train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0]
    files = Fold(tmp_path / "chosen" / "fold0")
    info, rows = read_checkpoint_info(files.best), metrics_of(files)
    assert (len(rows), info.epoch, info.select, info.averaged) == (
        epochs,
        kept,
        recipe.select,
        recipe.ema > 0,
    )
    assert (
        info.chosen_on_fold
        == recipe.chosen_on_fold
        == (recipe.select == "best" or "patience" in changes)
    )
    assert (
        info.score == scores[kept - 1] == done.score
        and [row["val_f1_macro"] for row in rows] == scores[:epochs]
    )
    assert (
        read_probs(files.oof).key == oof_key(files.best, world.plan, 0, "float32")
        and not files.last.exists()
    )
    out = capsys.readouterr().out
    assert ("ended early" in out) == (epochs < 4)
    assert train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0].score == done.score
    assert "finished before, skipped" in capsys.readouterr().out


def test_the_moving_average_is_what_is_kept(world, tmp_path):
    recipe = small(name="ema", ema=0.9)
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    assert read_checkpoint_info(Fold(tmp_path / "ema" / "fold0").best).averaged
    train(
        dataclasses.replace(recipe, name="plain", ema=0.0),
        world.plan,
        world.folder,
        [0],
        tmp_path,
        on_cpu(),
    )
    averaged, plain = (
        load(Fold(tmp_path / name / "fold0").best).body.conv_stem.weight
        for name in ("ema", "plain")
    )
    assert not torch.equal(averaged, plain) and torch.allclose(averaged, plain, atol=0.1)


def test_training_labels_and_dropped_ages_leave_validation_alone(world, tmp_path):
    recipe = small(name="ages", epochs=1, edges=(30, 46), drop=(20, 25))
    scores = train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0]
    oof = read_probs(Fold(tmp_path / "ages" / "fold0").oof)
    held = world.plan.photos[world.plan.photos["fold"] == 0]
    assert oof.ids.tolist() == held["image"].tolist()
    assert scores.score == pytest.approx(
        score(held["label"].to_numpy(), oof.probs.argmax(axis=1), MASK).score
    )
    with pytest.raises(KitError, match="photos are left to train on"):
        train(small(name="none", drop=(0, 120)), world.plan, world.folder, [0], tmp_path, on_cpu())


# In the place of large networks small ones of the same family: the rest would write gigabytes.
STAND_INS = {
    "efficientnet_b3": "test_efficientnet",
    "efficientnet_b4": "test_efficientnet",
    "tf_efficientnet_b7.ns_jft_in1k": "test_efficientnet",
    "resnet50": "test_resnet",
    "resnet152": "test_resnet",
    "wide_resnet50_2": "test_resnet",
    "vgg19_bn": "vgg11_bn",
}
RECIPES = sorted(shipped_recipe("tiny").parent.glob("*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_takes_a_step_of_its_own_network(path):
    recipe = dataclasses.replace(load_recipe(path), pretrained=False, size=(64, 48))
    learner = Learner(recipe, MASK, np.full(18, 5), torch.device("cpu"))
    last = learner.network.body.get_classifier()
    before = last.weight.detach().clone()
    batch = torch.randint(256, (2, 64, 48, 3), dtype=torch.uint8), torch.tensor([3, 17])
    assert math.isfinite(
        float(learner.step([batch] * recipe.accumulate, 1e-3, range(recipe.accumulate)))
    )
    assert not torch.equal(last.weight, before) and torch.isfinite(last.weight).all()
    with torch.inference_mode():
        assert learner.network.eval()(torch.rand(1, 3, 64, 48)).shape == (1, 18)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.trial)])
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_trains_saves_goes_on_and_predicts(drawn, tmp_path, monkeypatch, path, whole):
    data, plan = drawn / "data", read_plan(drawn / "folds.csv")
    recipe = dataclasses.replace(
        load_recipe(path), pretrained=False, size=(64, 48), epochs=2, warmup=0.0, batch_size=3
    )
    if not whole:
        recipe = dataclasses.replace(recipe, model=STAND_INS.get(recipe.model, recipe.model))
        if recipe.model.startswith("vgg"):  # nine tenths of the weights are one dense layer's
            narrow = functools.partial(timm.create_model, mlp_ratio=1 / 64)
            monkeypatch.setattr(timm, "create_model", narrow)
    name, real = f"{recipe.name}-limit6", kit.results.run.write_metrics
    files = Fold(tmp_path / name / "fold0")

    def stop_after_one(path, rows, *origin):
        real(path, rows, *origin)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.results.run, "write_metrics", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, plan, mask_folder(data), [0], tmp_path, on_cpu(limit=6))
    assert len(load_state(files.last)["rows"]) == 1
    train(recipe, plan, mask_folder(data), [0], tmp_path, on_cpu(limit=6))
    assert len(metrics_of(files)) == 2 and not files.last.exists()
    oof = read_probs(files.oof)
    photos = PhotoDataset((data / "train" / "images"), oof.ids.tolist(), [recipe.geometry(MASK)])
    cpu = torch.device("cpu")
    again = predict(
        [load(files.best)], make_loader(photos, batches_of(6, 32), 0, cpu), make_views("none"), cpu
    )[0][0, 0]
    np.testing.assert_allclose(again, oof.probs, atol=1e-3)
    shutil.rmtree(tmp_path)  # of whole networks gigabytes


def test_a_run_with_the_cache_equals_one_without(data, tmp_path, monkeypatch):
    plan, _ = plan_folds(
        mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False)
    )
    count, real = [0], kit.data.photos.decode
    everywhere(
        monkeypatch,
        kit.data.photos,
        "decode",
        lambda *a, **o: (count.__setitem__(0, count[0] + 1), real(*a, **o))[1],
    )
    train(small(), plan, mask_folder(data), [0, 1], tmp_path / "with", on_cpu())
    assert count[0] == len(plan.photos)  # every photo once, for both folds and all epochs
    train(small(), plan, mask_folder(data), [0, 1], tmp_path / "without", on_cpu(cache=False))
    assert (
        count[0] == len(plan.photos) * (1 + 2 * 2)
        and not (tmp_path / "without" / "pixels").exists()
    )
    for fold in range(2):
        assert_same_run(
            *(Fold(tmp_path / name / "small" / f"fold{fold}") for name in ("with", "without"))
        )
