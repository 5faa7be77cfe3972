"""Members' out-of-fold probabilities."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from helpers import MASK, ensemble_arguments, mask_folder, theirs
from networks import COMPUTE, checkpoints_of

from kit.blending.settings import Output
from kit.blending.submit import ensemble
from kit.data.folder import read_test
from kit.data.plan import read_plan
from kit.ensemble import main
from kit.inference.member import unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs, read_oof
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key
from kit.scoring.metrics import score
from kit.system.errors import KitError


def test_the_oof_score_is_pooled_and_joined_by_id(world, tmp_path):
    _, record = ensemble(
        [world.runs / "small"],
        world.plan,
        world.folder,
        Output(path=tmp_path / "s.csv"),
        compute=COMPUTE,
    )
    oof, checkpoints = record.describe()["oof"], checkpoints_of(world.runs / "small", world)
    tables = [read_oof(c, world.plan) for c in checkpoints]
    ids, probs = np.concatenate([t.ids for t in tables]), np.concatenate([t.probs for t in tables])
    truth = world.plan.photos.set_index("image").loc[ids, "label"].to_numpy()
    own = score(truth, probs.argmax(axis=1), MASK)
    assert oof["score"] == pytest.approx(own.score) and oof["metrics"] == pytest.approx(own.metrics)
    assert {name: row["score"] for name, row in oof["tasks"].items()} == pytest.approx(own.tasks)
    assert oof["photos"] == len(world.plan.photos)
    assert sum(oof["true_counts"]) == sum(oof["predicted_counts"]) == oof["photos"]
    for checkpoint in checkpoints:
        assert oof["folds"][checkpoint.info.fold] == pytest.approx(checkpoint.info.score)


def test_oof_of_another_checkpoint_is_refused(copy, world):
    fold = Fold(copy / "runs" / "small" / "fold0")
    table, checkpoint = read_probs(fold.oof), checkpoints_of(fold.folder, world)[0]
    assert read_oof(checkpoint, world.plan).key == oof_key(fold.best, world.plan, 0, "float32")
    write_probs(fold.oof, Probs(table.ids, table.probs, "another"), force=True)
    with pytest.raises(KitError, match="belongs to another checkpoint"):
        read_oof(checkpoint, world.plan)


def test_a_bare_checkpoint_is_scored_by_its_own_fold(copy, world, capsys):
    for fold in (0, 1):
        shutil.copy(
            copy / "runs" / "small" / f"fold{fold}" / "best.safetensors",
            copy / f"b{fold}.safetensors",
        )
    plan, ids = world.plan, read_test(mask_folder(copy / "data"))
    (member,) = find_members([copy / "b0.safetensors", copy / "b1.safetensors"], plan, ids)
    assert member.name == "small" and len(member.checkpoints) == 2
    oof = oof_probs([member], plan, mask_folder(copy / "data"), "none", COMPUTE)
    kept = [read_probs(Fold(copy / "runs" / "small" / f"fold{fold}").oof) for fold in (0, 1)]
    both = Probs(np.concatenate([k.ids for k in kept]), np.concatenate([k.probs for k in kept]))
    np.testing.assert_allclose(oof.probs[0], both.at(oof.photos["image"].tolist()), atol=1e-5)
    best = copy / "runs" / "small" / "fold0" / "best.safetensors"
    assert main([str(best), *ensemble_arguments(copy, theirs(copy))[1:]]) == 0
    assert "is of 42 of 126 training photos: small has no more" in capsys.readouterr().err
    with pytest.raises(KitError, match="the same checkpoint twice"):
        find_members([best, copy / "b0.safetensors"], plan, ids)
    info = read_checkpoint_info(copy / "b0.safetensors")
    save(copy / "b2.safetensors", load(best), dataclasses.replace(info, epoch=9))
    two = find_members(
        [copy / "b0.safetensors", copy / "b2.safetensors"], plan, ids
    )  # of one fold: two members
    assert [len(m.checkpoints) for m in two] == [1, 1] and len(set(unique_names(two))) == 2
    assert main(ensemble_arguments(copy, copy / "b2.safetensors", "--fast", "--force")) == 0
    assert not (copy.parent / "pixels").exists()


def test_folders_that_are_no_folds_of_a_run_are_members_of_their_own(copy, world):
    for fold in (0, 1):
        shutil.copytree(copy / "runs" / "small" / f"fold{fold}", copy / "flat" / f"m{fold}")
    (copy / "flat" / "m1" / "oof.npz").unlink()
    members = find_members(
        [copy / "flat" / "m0", copy / "flat" / "m1"],
        world.plan,
        read_test(mask_folder(copy / "data")),
    )
    assert [m.name for m in members] == ["m0", "m1"]
    oof = oof_probs(
        members[1:], world.plan, mask_folder(copy / "data"), "none", COMPUTE
    )  # made by the network itself
    kept = read_probs(Fold(copy / "runs" / "small" / "fold1").oof)
    np.testing.assert_allclose(oof.probs[0], kept.at(oof.photos["image"].tolist()), atol=1e-5)


def test_exact_asks_for_out_of_fold_probabilities_of_fp32(copy):
    for fold in range(3):
        files, plan = (
            Fold(copy / "runs" / "small" / f"fold{fold}"),
            read_plan(copy / "runs" / "folds.csv"),
        )
        table = read_probs(files.oof)
        wrong = np.roll(table.probs, 1, axis=1)
        write_probs(
            files.oof,
            Probs(table.ids, wrong, oof_key(files.best, plan, fold, "float16")),
            force=True,
        )
    scores = []
    for option in ([], ["--exact"]):
        assert main(ensemble_arguments(copy, *option, "--force")) == 0
        scores.append(json.loads((copy / "s.json").read_text())["oof"]["score"])
    assert scores[0] != scores[1]
