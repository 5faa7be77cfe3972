import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_photo, make_data, small

from kit.checkpoint import load, read_card
from kit.data import Photos, batches_of, default_workers, make_loader, train_images
from kit.errors import KitError
from kit.folds import plan_folds
from kit.metrics import score
from kit.predict import predict
from kit.recipe import shipped_recipe
from kit.tables import Fold, locked, oof_key, read_metrics, read_plan, read_probs
from kit.train import EpochBatches, chosen_folds, learning_rate, main, train, train_fold
from kit.views import make_views

RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe

recipe = replace(load_recipe({tiny!r}), name="{name}", size=(32, 24), batch_size=8{more})
"""


def recipe_file(folder: Path, name: str = "mine", more: str = ", epochs=2") -> Path:
    path = folder / f"{name}.py"
    path.write_text(RECIPE.format(tiny=str(shipped_recipe("tiny")), name=name, more=more))
    return path


# ------------------------------------------------------------ the pieces

def test_the_learning_rate_warms_up_and_falls_to_zero():
    recipe = small(epochs=10, warmup=2, lr=1e-3)
    assert learning_rate(recipe, 0) == 0 and learning_rate(recipe, 1) == 5e-4 and learning_rate(recipe, 2) == 1e-3
    assert learning_rate(recipe, 6) == pytest.approx(5e-4) and learning_rate(recipe, 10) == pytest.approx(0, abs=1e-12)
    assert learning_rate(small(epochs=1, warmup=0), 0) == small().lr


def test_an_epoch_is_a_shuffle_that_follows_from_seed_fold_and_epoch():
    batches = EpochBatches(20, 8, seed=0, fold=1)
    first = [i for batch in batches for i, _ in batch]
    assert len(batches) == 2 and len(first) == 16 and len(set(first)) == 16
    assert [list(b) for b in batches] == [list(b) for b in EpochBatches(20, 8, 0, 1)]
    assert [list(b) for b in batches] != [list(b) for b in EpochBatches(20, 8, 1, 1)]
    seen = set()
    for epoch in range(10):
        batches.epoch = epoch
        seen |= {i for batch in batches for i, _ in batch}
    assert seen == set(range(20))
    assert [len(b) for b in EpochBatches(5, 8, 0, 0)] == [5]


def test_the_same_photos_do_not_meet_again_in_the_next_epoch():
    """Of 32 photos in a batch, two or three meet again in the fullest batch of another epoch, as chance has it."""
    batches = EpochBatches(1024, 32, seed=0, fold=0)

    def epoch(number):
        batches.epoch = number
        return [{i for i, _ in batch} for batch in batches]
    first = epoch(0)
    for number in range(1, 6):
        assert np.mean([max(len(a & b) for b in epoch(number)) for a in first]) < 5


def test_chosen_folds():
    assert chosen_folds("all", 3) == [0, 1, 2] and chosen_folds("2,0,2", 3) == [2, 0]
    for text in ("3", "x", "", "0,", "-1", "0-2"):
        with pytest.raises(KitError, match="the folds 0 to 2"):
            chosen_folds(text, 3)


def test_default_workers():
    cores = len(os.sched_getaffinity(0))
    assert default_workers("cpu") == 0 and 1 <= default_workers("cuda") <= max(1, cores)


# ------------------------------------------------------------ what a run writes

def test_oof_covers_every_photo_once_and_belongs_to_its_checkpoint(world):
    images = []
    for fold in range(3):
        files = Fold(world.runs / "small" / f"fold{fold}")
        assert sorted(p.name for p in files.folder.iterdir() if not p.name.startswith("probs")) == [
            ".lock", "best.safetensors", "metrics.csv", "oof.npz"]
        card, oof, rows = read_card(files.best), read_probs(files.oof), read_metrics(files.metrics)
        assert card.fold == fold and card.plan == world.plan.hash and card.recipe == small().describe()
        assert oof.key == oof_key(files.best, world.plan, fold)
        held = world.plan.photos[world.plan.photos["fold"] == fold]
        assert oof.ids.tolist() == held["image"].tolist()
        scores = score(held["label"].to_numpy(), oof.probs.argmax(axis=1))
        best = max(rows, key=lambda row: row["val_f1_macro"])
        assert card.epoch == best["epoch"] and card.score == best["val_f1_macro"] == pytest.approx(scores.f1)
        assert (best["val_f1_mask"], best["val_f1_age"]) == pytest.approx((scores.mask, scores.age))
        assert len(rows) == 2 and all(math.isfinite(v) for row in rows for v in row.values())
        photos = Photos(train_images(world.data), held["image"].tolist(), [card.geometry])
        cpu = torch.device("cpu")
        loader = make_loader(photos, batches_of(len(photos), 5), 0, cpu)
        again = predict([load(files.best)], loader, make_views("none"), cpu)[0, 0]
        np.testing.assert_allclose(again, oof.probs, atol=1e-5)
        images += oof.ids.tolist()
    assert sorted(images) == world.plan.photos["image"].tolist()


def test_training_learns(tmp_path):
    """Photos whose class stands in their colours are learned: the loop does what it should."""
    from PIL import Image

    from kit.labels import SHOTS
    people = [(f"{i:06d}", ("male", "female")[i % 2], (20, 40, 60)[i // 2 % 3]) for i in range(24)]
    data = make_data(tmp_path / "data", people)
    for ident, gender, age in people:
        for shot, mask in SHOTS.items():
            colour = (40 + 80 * mask, 40 + 150 * (gender == "female"), 40 + 80 * (age // 20 - 1))
            Image.new("RGB", (96, 128), colour).save(train_images(data) / f"{ident}_{gender}_Asian_{age}" / f"{shot}.jpg")
    plan, _ = plan_folds(data, tmp_path / "folds.csv", folds=2, audit=False)
    scores = train_fold(small(epochs=20, augment=None), plan, data, 0, tmp_path / "runs", "cpu", 0)
    assert scores.f1 > 0.7 and scores.gender > 0.9


def test_workers_do_not_change_a_run(data, tmp_path):
    plan, _ = plan_folds(data, tmp_path / "folds.csv", folds=3, audit=False)
    for workers in (0, 2):
        train_fold(small(epochs=2), plan, data, 0, tmp_path / f"runs{workers}", "cpu", workers)
    a, b = (tmp_path / f"runs{w}" / "small" / "fold0" for w in (0, 2))
    assert (a / "best.safetensors").read_bytes() == (b / "best.safetensors").read_bytes()
    assert (a / "oof.npz").read_bytes() == (b / "oof.npz").read_bytes()


# ------------------------------------------------------------ interruptions

def without_times(path: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if not k.startswith("time")} for row in read_metrics(path)]


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(data, tmp_path):
    plan_path = tmp_path / "runs" / "folds.csv"
    plan, _ = plan_folds(data, plan_path, folds=3, audit=False)
    recipe = recipe_file(tmp_path, more=", epochs=6")
    command = [sys.executable, "-m", "kit.train", str(recipe), "--data", str(data), "--plan", str(plan_path), "--runs",
               str(tmp_path / "runs"), "--device", "cpu", "--workers", "0"]
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_metrics(files.metrics)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_after = len(read_metrics(files.metrics))
    assert 2 <= killed_after < 6 and files.last.exists()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "going on after epoch" in done.stdout, done.stderr
    assert not files.last.exists()
    whole = subprocess.run([*command, "--runs", str(tmp_path / "whole")], capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    other = Fold(tmp_path / "whole" / "mine" / "fold0")
    assert files.best.read_bytes() == other.best.read_bytes() and files.oof.read_bytes() == other.oof.read_bytes()
    assert without_times(files.metrics) == without_times(other.metrics)


@pytest.mark.parametrize("stop", range(1, 13))
def test_an_interruption_between_any_two_writes_changes_nothing(world, tmp_path, monkeypatch, stop):
    """The n-th file is not written and the process ends there; the next start makes the same run of it."""
    import kit.checkpoint
    import kit.train
    count = [0]

    def dying(writer):
        def write(*args, **options):
            count[0] += 1
            if count[0] == stop:
                raise KeyboardInterrupt
            return writer(*args, **options)
        return write
    recipe = small(epochs=3)
    with monkeypatch.context() as patch:
        for module, name in ((kit.checkpoint, "save"), (kit.checkpoint, "save_state"), (kit.train, "write_probs"),
                             (kit.train, "write_metrics")):
            patch.setattr(module, name, dying(getattr(module, name)))
        try:
            train(recipe, world.plan, world.data, [0], tmp_path / "a", "cpu", 0)
        except KeyboardInterrupt:
            pass
        else:
            assert count[0] < stop  # a run writes fewer files than that, and was whole
    train(recipe, world.plan, world.data, [0], tmp_path / "a", "cpu", 0)
    train(recipe, world.plan, world.data, [0], tmp_path / "b", "cpu", 0)
    a, b = (Fold(tmp_path / name / "small" / "fold0") for name in ("a", "b"))
    assert a.best.read_bytes() == b.best.read_bytes() and a.oof.read_bytes() == b.oof.read_bytes()
    assert without_times(a.metrics) == without_times(b.metrics) and not a.last.exists()


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(world, tmp_path, monkeypatch):
    import os as system
    real, calls = system.fsync, [0]

    def full(descriptor):
        calls[0] += 1
        if calls[0] > 4:
            raise OSError(28, "No space left on device")
        real(descriptor)
    with monkeypatch.context() as patch:
        patch.setattr(system, "fsync", full)
        with pytest.raises(KitError, match="last.pt: cannot be written: No space left on device"):
            train(small(), world.plan, world.data, [0], tmp_path, "cpu", 0)
    train(small(), world.plan, world.data, [0], tmp_path, "cpu", 0)
    assert Fold(tmp_path / "small" / "fold0").oof.read_bytes() == Fold(world.runs / "small" / "fold0").oof.read_bytes()


def test_a_fold_is_trained_by_one_process(world, tmp_path):
    with locked(tmp_path / "small" / "fold0"):
        (tmp_path / "small" / "fold0" / ".best.safetensors.123.tmp").write_bytes(b"half")
        with pytest.raises(KitError, match="another process is training this fold"):
            train(small(), world.plan, world.data, [0], tmp_path, "cpu", 0)
    train(small(epochs=1), world.plan, world.data, [0], tmp_path, "cpu", 0)
    assert not list((tmp_path / "small" / "fold0").glob(".*.tmp"))


def test_files_of_another_fold_are_refused(world, tmp_path):
    import shutil
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold1")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.data, [1], tmp_path, "cpu", 0)


def test_lost_and_damaged_files_of_a_finished_fold(world, tmp_path, capsys):
    import shutil
    shutil.copytree(world.runs / "small", tmp_path / "small")
    files, whole = Fold(tmp_path / "small" / "fold0"), Fold(world.runs / "small" / "fold0")

    def again():
        train(small(), world.plan, world.data, [0], tmp_path, "cpu", 0)
    for harm in (lambda: files.oof.unlink(), lambda: files.oof.write_bytes(b"damaged")):
        harm()
        again()
        assert "making it again" in capsys.readouterr().err and files.oof.read_bytes() == whole.oof.read_bytes()
    content = bytearray(files.best.read_bytes())
    content[-1] ^= 1
    files.best.write_bytes(bytes(content))
    with pytest.raises(KitError, match="it was changed or is damaged"):
        again()
    files.oof.unlink()
    files.metrics.write_text(whole.metrics.read_text().replace(f"{read_metrics(whole.metrics)[0]['val_loss']}", "0.1").replace(
        f"{read_metrics(whole.metrics)[1]['val_loss']}", "0.1"))
    with pytest.raises(KitError, match="has the loss .*, not the 0.100 it was saved with"):
        again()
    lines = whole.metrics.read_text().splitlines(keepends=True)
    for rows in (lines[:2], lines[:0]):
        shutil.copy(whole.best, files.best)
        files.metrics.write_text("".join(rows)) if rows else files.metrics.unlink()
        with pytest.raises(KitError, match=f"metrics of {len(rows[1:])} of 2 epochs, and no last.pt"):
            again()
    assert files.best.read_bytes() == whole.best.read_bytes()


def test_a_best_checkpoint_that_went_is_told_when_going_on(world, tmp_path, monkeypatch):
    import kit.train
    recipe = small(epochs=4, name="going")
    files = Fold(tmp_path / "going" / "fold0")
    real = kit.train.write_metrics

    def stop_after_three(path, rows):
        real(path, rows)
        if len(rows) == 3:
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        # The first epoch is the best.
        scores = iter([0.9, 0.1, 0.1, 0.1])
        patch.setattr(kit.train, "score", lambda truth, predicted: dataclasses.replace(score(truth, predicted), f1=next(scores)))
        patch.setattr(kit.train, "write_metrics", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, world.plan, world.data, [0], tmp_path, "cpu", 0)
    content = files.best.read_bytes()
    for harm in (lambda: files.best.unlink(), lambda: files.best.write_bytes(content[:-1] + b"x")):
        harm()
        with pytest.raises(KitError, match="is gone or damaged; put it back"):
            train(recipe, world.plan, world.data, [0], tmp_path, "cpu", 0)
        assert files.last.exists()
    files.best.write_bytes(content)
    train(recipe, world.plan, world.data, [0], tmp_path, "cpu", 0)
    assert files.best.read_bytes() == content and not files.last.exists()


def test_what_one_fold_would_refuse_is_told_before_the_others_are_trained(world, tmp_path):
    import shutil
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold2")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.data, [0, 1, 2], tmp_path, "cpu", 0)
    assert not (tmp_path / "small" / "fold0").exists()


def test_labels_changed_after_planning_are_said(data, tmp_path, capsys):
    plan, _ = plan_folds(data, tmp_path / "folds.csv", folds=3, audit=False)
    csv = data / "train" / "train.csv"
    csv.write_text(csv.read_text() + "\n")
    train(small(epochs=1), plan, data, [0], tmp_path / "runs", "cpu", 0)
    assert "the plan's labels are used" in capsys.readouterr().err


def test_force_deletes_nothing_before_all_is_well(world, tmp_path):
    import shutil
    shutil.copytree(world.runs / "small", tmp_path / "small")
    for options, recipe in (({"device": "cuda:77"}, small()), ({}, small(pretrained="$NOT_SET_AT_ALL/w.pth")),
                            ({}, small(model="resnet5O"))):
        with pytest.raises(KitError):
            train(recipe, world.plan, world.data, [0], tmp_path, **{"device": "cpu", "workers": 0, **options}, force=True)
    assert (tmp_path / "small" / "fold0" / "best.safetensors").exists()


def test_a_finished_fold_is_skipped_and_another_recipe_or_plan_refused(data, tmp_path, capsys, fails):
    plan_path = tmp_path / "runs" / "folds.csv"
    plan_folds(data, plan_path, folds=3, audit=False)
    recipe = recipe_file(tmp_path, more=", epochs=1")
    arguments = [recipe, "--data", data, "--plan", plan_path, "--runs", tmp_path / "runs", "--device", "cpu", "--workers", "0"]
    assert main([str(a) for a in arguments]) == 0
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    before = files.best.read_bytes()
    assert main([str(a) for a in arguments]) == 0
    assert "finished before, skipped" in capsys.readouterr().out
    recipe_file(tmp_path, more=", epochs=1, lr=0.123")
    assert "another recipe: lr was 0.005, is 0.123" in fails(main, *arguments)
    recipe_file(tmp_path, more=", epochs=1")
    plan_folds(data, plan_path, folds=3, seed=7, audit=False, force=True)
    assert "another fold plan" in fails(main, *arguments)
    assert files.best.read_bytes() == before
    assert main([str(a) for a in [*arguments, "--force"]]) == 0
    assert files.best.read_bytes() != before


# ------------------------------------------------------------ bad input

def test_bad_input_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    recipe = recipe_file(tmp_path)
    line = fails(main, recipe, "--data", data, "--plan", plan_path)
    assert "there is no fold plan" in line and "kit.folds" in line
    plan_folds(data, plan_path, folds=3, audit=False)
    common = ["--data", data, "--plan", plan_path, "--runs", tmp_path / "runs", "--workers", "0"]
    assert "the folds 0 to 2" in fails(main, recipe, *common, "--fold", "3")
    assert "--device tpu" in fails(main, recipe, *common, "--device", "tpu")
    assert "--workers -1" in fails(main, recipe, *common[:-1], "-1")
    assert "did you mean" in fails(main, tmp_path / "mime.py", *common)
    assert "no such architecture" in fails(main, recipe_file(tmp_path, "odd", ", model='resnet5O'"), *common)
    plan = read_plan(plan_path)
    photo = train_images(data) / plan.photos["image"].iloc[0]
    draw_photo(photo, "another", (100, 130))
    assert "holds other photos than the fold plan" in fails(main, recipe, *common)
    photo.unlink()
    assert "photos of the fold plan that are not there" in fails(main, recipe, *common)
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.name != ".lock"]


def test_a_photo_that_breaks_later_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    plan, _ = plan_folds(data, plan_path, folds=3, audit=False)
    photo = train_images(data) / plan.photos.loc[plan.photos["fold"] == 1, "image"].iloc[0]
    photo.write_bytes(bytes(photo.stat().st_size))
    line = fails(main, recipe_file(tmp_path), "--data", data, "--plan", plan_path, "--runs", tmp_path / "runs", "--workers", "1")
    assert f"{photo}: is no image" in line


def test_a_loss_that_is_no_number_stops_the_run(world, tmp_path):
    with pytest.raises(KitError, match="not a finite number; lower lr"):
        train(small("wild", lr=1e6, warmup=0.0), world.plan, world.data, [0], tmp_path, "cpu", 0)
