"""In full, early, and in 16 bits: the same classes."""

import json

import numpy as np
import pytest
import torch
from helpers import ensemble_arguments, everywhere, theirs
from networks import COMPUTE, CPU, checkpoints_of, members_of, photos_of, run_all_passes

import kit.blending.margins
import kit.inference.predict
from kit.blending.classify import classify
from kit.blending.rule import uniform_rule
from kit.data.folder import read_test
from kit.ensemble import main
from kit.inference.blocks import Blocks
from kit.inference.member import member_passes
from kit.inference.photo_set import PhotoSet
from kit.inference.views import make_views
from kit.models.checkpoint import load
from kit.system.device import to_device


def test_softmax_comes_before_the_mean_over_folds_and_views(world):
    checkpoints, ids = checkpoints_of(world.runs / "small", world), read_test(world.folder)
    by_hand = []
    for checkpoint in checkpoints:
        network = load(checkpoint.path)
        for flip in (False, True):
            images = photos_of(world.folder)
            photos = to_device(
                torch.stack([torch.from_numpy(images[i][1][0]) for i in range(len(ids))]), CPU
            )
            with torch.no_grad():
                by_hand.append(network(photos.flip(3) if flip else photos).softmax(dim=1).numpy())
    views = make_views("hflip")
    photos = PhotoSet(world.folder.test_images, tuple(ids))
    blocks = Blocks(member_passes(members_of(world), views), photos, views, COMPUTE)
    outcome = classify(blocks, uniform_rule("mean", 1, 18))
    assert (
        len(by_hand) == 6
        and outcome.classes.tolist() == np.mean(by_hand, axis=0).argmax(axis=1).tolist()
    )
    probs, _ = run_all_passes(checkpoints, world.folder.test_images, ids, "hflip", COMPUTE)
    np.testing.assert_allclose(
        np.mean([p.at(ids) for p in probs.values()], axis=0), np.mean(by_hand, axis=0), atol=1e-5
    )


def test_fast_writes_the_same_file_and_tells_what_it_saved(copy, capsys):
    path = theirs(copy)
    common = [path, "--tta", "hflip", "--blend", "greedy", "--force-blend", "--decide", "bias"]
    assert main(ensemble_arguments(copy, *common, "--out", copy / "fast.csv", "--fast")) == 0
    assert "of the passes not known before saved" in capsys.readouterr().out
    assert main(ensemble_arguments(copy, *common)) == 0
    assert (copy / "s.csv").read_bytes() == (copy / "fast.csv").read_bytes()
    record = json.loads((copy / "fast.json").read_text())
    assert 0 <= record["saved"] < 1 and sum(record["decided_after"]) == record["photos"]
    full = json.loads((copy / "s.json").read_text())
    assert (
        full["passes"] == 6 and full["passes_computed"] < 6
    )  # the first pass ran on all photos, and was kept
    assert main(ensemble_arguments(copy, *common, "--out", copy / "third.csv", "--fast")) == 0
    assert json.loads((copy / "third.json").read_text())["passes_computed"] == 0
    assert (copy / "s.csv").read_bytes() == (copy / "third.csv").read_bytes()


def test_fast_runs_each_pass_on_the_undecided_photos_alone(copy, monkeypatch):
    plain, seen = kit.inference.predict.predict, []

    def counting(networks, loader, views, *rest):
        seen.append(len(loader.dataset))
        return plain(networks, loader, views, *rest)

    everywhere(monkeypatch, kit.inference.predict, "predict", counting)
    assert (
        main(
            ensemble_arguments(
                copy, theirs(copy, sure=6.0), "--fast", "--tta", "hflip+shift", "--batch-size", "4"
            )
        )
        == 0
    )
    record = json.loads((copy / "s.json").read_text())
    assert record["passes_computed"] == pytest.approx(sum(seen) / 10, abs=0.01) and len(seen) <= 30


@pytest.mark.parametrize(
    "options",
    [(), ("--fast",), ("--tta", "hflip"), ("--tta", "hflip", "--fast"), ("--blend", "gmean")],
)
def test_a_submission_of_16_bits_has_the_classes_of_fp32(copy, world, halved, capsys, options):
    assert main(ensemble_arguments(copy, "--exact", *options)) == 0
    exact, record = (copy / "s.csv").read_text(), json.loads((copy / "s.json").read_text())
    assert "close" not in record and {way["precision"] for way in record["modes"].values()} == {
        "float32"
    }
    for kept in (copy / "runs").glob("small/*/p*-*.npz"):
        kept.unlink()
    assert main(ensemble_arguments(copy, "--force", *options)) == 0
    out, record = capsys.readouterr().out, json.loads((copy / "s.json").read_text())
    assert (copy / "s.csv").read_text() == exact
    assert record["modes"] == {"test_efficientnet 32 x 24": {"precision": "bfloat16", "photos": 4}}
    assert (
        record["close"]["photos"] == record["close"]["drawn"] == 10
        and 0 < record["close"]["error"] < 0.1
    )  # all of so few
    # What is proven of the others is said where there are some.
    assert (record["close"]["confidence"], record["close"]["share"]) == (
        0.99,
        0.01,
    ) and "99% confidence" not in out
    assert 0 < record["close"]["passes_computed"] <= record["passes"]
    assert "networks run in bfloat16, 4 photos at once" in out and "run again in fp32" in out
    # A second one runs no network: what was run again is kept, too.
    assert main(ensemble_arguments(copy, "--force", *options)) == 0
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 0
    assert (copy / "s.csv").read_text() == exact


def test_agree_is_held_against_the_classes_that_a_full_run_writes(copy, world, halved, monkeypatch):
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    plain, given = kit.blending.margins.fit_stopping_rule, []

    def fitting(*args):
        given.append(args)
        return plain(*args)

    everywhere(monkeypatch, kit.blending.margins, "fit_stopping_rule", fitting)
    assert main(ensemble_arguments(copy, "--exact")) == 0
    classes = [int(line.split(",")[1]) for line in (copy / "s.csv").read_text().splitlines()[1:]]
    for kept in (copy / "runs").glob("small/*/p*-*.npz"):
        kept.unlink()
    assert main(ensemble_arguments(copy, "--agree", ".7", "--force")) == 0
    ((*_, sample, final),) = given
    assert final.tolist() == [
        classes[row] for row in sample.rows
    ]  # those of fp32, for all of so few are close calls
    assert json.loads((copy / "s.json").read_text())["close"]["photos"] == 10


def test_a_vote_runs_in_fp32(copy, world, halved):
    assert main(ensemble_arguments(copy, "--blend", "vote")) == 0
    record = json.loads((copy / "s.json").read_text())
    assert "close" not in record and [way["precision"] for way in record["modes"].values()] == [
        "float32"
    ]


def test_agree_saves_nothing_where_everything_is_kept_and_says_so(copy, capsys, monkeypatch):
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    assert main(ensemble_arguments(copy, "--tta", "shift", "--agree", ".7")) == 0
    assert "with 95 % confidence at most 3 of 10 classes differ" in capsys.readouterr().out
    assert main(ensemble_arguments(copy, "--tta", "shift", "--out", copy / "full.csv")) == 0
    capsys.readouterr()
    assert (
        main(ensemble_arguments(copy, "--tta", "shift", "--agree", ".7", "--out", copy / "t.csv"))
        == 0
    )
    assert "there is nothing to save" in capsys.readouterr().err
    assert (copy / "t.csv").read_bytes() == (copy / "full.csv").read_bytes()
    assert json.loads((copy / "t.json").read_text())["settings"]["agree"] is None
    place = [
        "--data",
        copy / "data",
        "--plan",
        copy / "runs" / "folds.csv",
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    assert (
        main(list(map(str, ["--from", copy / "s.json", "--out", copy / "again.csv", *place]))) == 0
    )
    assert (copy / "again.csv").read_bytes() == (copy / "s.csv").read_bytes()
