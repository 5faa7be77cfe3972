"""Trainings of every kind of competition: sides in a mirror, grades, several labels, channels."""

import dataclasses
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import pytest
from helpers import small
from kinds import GRADES, LABELS, SIDES, draw_grade, draw_labels, draw_side, drawn
from PIL import Image
from trainings import assert_same_run, on_cpu

import kit.training.trainer
from kit.data.folder import DataFolder, read_test
from kit.data.folder import test_photos as photos_to_predict
from kit.data.planning import PlanOptions, plan_folds
from kit.data.targets import targets
from kit.inference.engine import Compute
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.models.checkpoint import read_checkpoint_info
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.system.errors import KitError
from kit.training.run import train
from kit.training.soup import soup


def flip():
    return A.Compose([A.HorizontalFlip(p=0.5)])


def recipe(name, **changes):
    usual = {"crop": None, "size": 32, "augment": flip, "epochs": 12, "batch_size": 8, "lr": 0.01}
    return small(name, **usual | changes)


def of_folds(root: Path, folder, plan, tta="hflip"):
    """The out-of-fold probabilities of each view, and the truth."""
    members = find_members([root / "runs" / "mine"], plan, read_test(folder), allow_missing=True)
    oof = oof_probs(members, plan, folder, tta, Compute("cpu", 0))
    return {v: p[0] for v, p in oof.views.items()}, targets(oof.photos, plan.competition)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A run of one fold of arrows to the left and right, whose flips swap them."""
    root = tmp_path_factory.mktemp("sides")
    folder, plan = drawn(root, SIDES, draw_side, photos=120)
    train(recipe("mine", epochs=20), plan, folder, [0], root / "runs", on_cpu())
    return root, folder, plan


def test_with_its_mirror_a_network_learns_sides_and_a_mirrored_view_keeps_them(sides):
    views, truth = of_folds(*sides)
    for probs in views.values():
        assert (probs.argmax(axis=1) == truth).mean() > 0.85
        assert np.abs(probs.sum(axis=1) - 1).max() < 1e-5
    mean = (views["plain"] + views["hflip"]) / 2
    assert (mean.argmax(axis=1) == truth).mean() > 0.85


def test_without_its_mirror_it_cannot_tell_the_sides(tmp_path):
    wrong = dataclasses.replace(SIDES, mirror={})
    folder, plan = drawn(tmp_path, wrong, draw_side, photos=120)
    train(recipe("mine"), plan, folder, [0], tmp_path / "runs", on_cpu())
    views, truth = of_folds(tmp_path, folder, plan, "none")
    sides = truth < 2
    assert (views["plain"].argmax(axis=1) == truth)[~sides].mean() > 0.8
    assert (views["plain"].argmax(axis=1) == truth)[sides].mean() < 0.8


def test_a_competition_without_a_mirror_takes_neither_flips_nor_mirrored_views(tmp_path, sides):
    none = dataclasses.replace(SIDES, mirror=None)
    folder, plan = drawn(tmp_path, none, draw_side, photos=12)
    with pytest.raises(KitError, match="recipe mine: augment has HorizontalFlip, and .* is None"):
        train(recipe("mine"), plan, folder, [0], tmp_path / "runs", on_cpu())
    train(recipe("mine", augment=None, epochs=1), plan, folder, [0], tmp_path / "runs", on_cpu())
    with pytest.raises(KitError, match="--tta hflip: hflip mirrors photos, and the mirror .* None"):
        of_folds(tmp_path, folder, plan, "hflip")


def test_a_stopped_training_of_sides_goes_on_to_the_same_bytes(sides, monkeypatch):
    root, folder, plan = sides
    short = recipe("mine", epochs=2)
    train(short, plan, folder, [0], root / "whole", on_cpu())
    calls, plain = [0], kit.training.trainer.Trainer.train_step

    def stopping(self, step):
        calls[0] += 1
        if calls[0] == 9:
            raise KeyboardInterrupt
        plain(self, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kit.training.trainer.Trainer, "train_step", stopping)
        train(short, plan, folder, [0], root / "parts", on_cpu(save_minutes=0))
    train(short, plan, folder, [0], root / "parts", on_cpu(save_minutes=0))
    assert_same_run(Fold(root / "whole/mine/fold0"), Fold(root / "parts/mine/fold0"))


@pytest.mark.parametrize("head", ["classes", "ordinal"])
def test_grades_are_learned(tmp_path, head):
    folder, plan = drawn(tmp_path, GRADES, draw_grade)
    train(recipe("mine", head=head, epochs=6), plan, folder, [0], tmp_path / "runs", on_cpu())
    views, truth = of_folds(tmp_path, folder, plan)
    assert np.abs(views["plain"] @ np.arange(4) - truth).mean() < 0.6
    info = read_checkpoint_info(Fold(tmp_path / "runs/mine/fold0").best)
    assert info.architecture.outputs == (3 if head == "ordinal" else 4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "asl", "sampler": "sqrt", "class_weights": "effective"},
        {"loss": "focal", "mix": "cutmix", "mix_prob": 0.3, "label_smoothing": 0.05},
        {"loss": "f1", "mix": "half", "mix_prob": 0.3, "sampler": "balanced", "ema": 0.9},
        {"loss": "bce", "mix": "mixup", "mix_prob": 0.3, "accumulate": 2, "batch_size": 4},
    ],
    ids=lambda changes: changes.get("loss", "ce"),
)
def test_labels_are_learned(tmp_path, changes):
    folder, plan = drawn(tmp_path, LABELS, draw_labels)
    mine = recipe("mine", **{"epochs": 10} | changes)
    train(mine, plan, folder, [0], tmp_path / "runs", on_cpu(keep_epochs=2))
    views, truth = of_folds(tmp_path, folder, plan)
    assert truth.shape == (30, 5) and truth.dtype == np.uint8
    for probs in views.values():
        assert ((probs > 0.5) == truth).mean() > 0.8 and probs.min() >= 0 and probs.max() <= 1
    assert np.abs(views["plain"].sum(axis=1) - 1).max() > 0.1
    fold = Fold(tmp_path / "runs/mine/fold0")
    assert (read_probs(fold.oof).probs == views["plain"]).all()
    if changes:
        return
    fold.oof.unlink()
    train(mine, plan, folder, [0], tmp_path / "runs", on_cpu())  # makes it again
    assert np.allclose(read_probs(fold.oof).probs, views["plain"], atol=1e-5)
    made = soup(fold.epochs, plan, folder, tmp_path / "runs" / "soup", Compute("cpu", 0))
    assert made.metrics is not None


def split_channels(place: Path) -> None:
    """Put the red, green and mean channel of each photo into files of their own."""
    for path in sorted(place.glob("*/*.png")):
        photo = np.asarray(Image.open(path))
        for name, channel in (("r", photo[..., 0]), ("g", photo[..., 1])):
            Image.fromarray(channel).save(path.with_name(f"{path.stem}_{name}.png"))


def test_files_of_channels_are_trained_on_and_cached(tmp_path):
    drawn(tmp_path / "rgb", GRADES, draw_grade, photos=30)
    split_channels(tmp_path / "rgb" / "data")
    pair = tuple(f"train/{{stem}}_{c}.png" for c in "rg")
    both = tuple(f"sample_submission/{{image}}_{c}.png" for c in "rg")
    competition = dataclasses.replace(
        GRADES, name="pairs", image=pair, test_image=both, channels=0, frame=(24, 32)
    )
    assert competition.channels == 2
    data = tmp_path / "rgb" / "data"
    for part in ("train", "sample_submission"):
        table = pd.read_csv(data / f"{part}.csv", dtype=str)
        table["image"] = table["image"].str.removesuffix(".png")
        table.assign(stem=table["image"]).to_csv(data / f"{part}.csv", index=False)
    folder = DataFolder(data, competition)
    plan, _ = plan_folds(folder, tmp_path / "folds.csv", PlanOptions(folds=3))
    train(recipe("mine", epochs=2), plan, folder, [0], tmp_path / "runs", on_cpu())
    info = read_checkpoint_info(Fold(tmp_path / "runs/mine/fold0").best)
    assert info.geometry.channels == 2 and len(info.mean) == len(info.std) == 2
    cache = list((tmp_path / "runs" / "pixels").glob("*x2-*.npy"))
    assert len(cache) == 1 and np.load(cache[0]).shape == (30, 24, 32, 2)
    views, _ = of_folds(tmp_path, folder, plan)
    assert set(views) == {"plain", "hflip"} and len(photos_to_predict(folder)) == 9
