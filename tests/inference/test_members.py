"""The members that paths name."""

import dataclasses
import json
import shutil

import pytest
import torch
from helpers import MASK, ensemble_arguments, mask_folder, small, theirs

from kit.ensemble import main
from kit.models.architecture import architecture_of
from kit.models.checkpoint import Origin, checkpoint_info, load, read_checkpoint_info, save
from kit.models.network import Network
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key
from kit.system.versions import versions


def test_a_missing_fold_is_an_error_unless_allowed(copy, fails, capsys):
    shutil.rmtree(copy / "runs" / "small" / "fold1")
    line = fails(main, *ensemble_arguments(copy))
    assert (
        "folds without a checkpoint (1 found: fold1)" in line
        and "--fold 1, or --allow-missing-folds" in line
    )
    assert not (copy / "s.csv").exists()
    assert main(ensemble_arguments(copy, "--allow-missing-folds")) == 0
    assert len(json.loads((copy / "s.json").read_text())["members"][0]["files"]) == 2


def test_a_checkpoint_in_the_place_of_another_is_told_without_a_score(copy, fails):
    files = Fold(copy / "runs" / "small" / "fold1")
    info = dataclasses.replace(read_checkpoint_info(files.best), epoch=1)
    save(files.best, load(files.best), info)
    for options in ([], ["--no-score"]):
        line = fails(main, *ensemble_arguments(copy, *options))
        assert "fold1/best.safetensors: is damaged, or not the checkpoint that oof.npz" in line
        assert "--fold 1 makes oof.npz again, if that is wrong" in line
    files.oof.write_bytes(b"")  # says nothing, and is not needed
    assert main(ensemble_arguments(copy, "--no-score")) == 0


def test_a_checkpoint_of_another_plan(copy, fails):
    from kit.data.planning import PlanOptions, plan_folds

    options = PlanOptions(folds=3, seed=1, audit=False, force=True)
    plan_folds(mask_folder(copy / "data"), copy / "runs" / "folds.csv", options)
    assert "was trained on another fold plan" in fails(main, *ensemble_arguments(copy))


def test_a_damaged_checkpoint(copy, fails):
    best = copy / "runs" / "small" / "fold2" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:5000])
    assert "is no checkpoint of the kit" in fails(main, *ensemble_arguments(copy))


def test_a_checkpoint_in_another_folds_folder(copy, fails):
    shutil.rmtree(copy / "runs" / "small" / "fold1")
    shutil.copytree(copy / "runs" / "small" / "fold0", copy / "runs" / "small" / "fold1")
    assert "is the checkpoint of fold 0" in fails(main, *ensemble_arguments(copy))


def test_an_unfinished_fold_is_said(copy, capsys):
    Fold(copy / "runs" / "small" / "fold0").last.write_bytes(b"")
    assert main(ensemble_arguments(copy)) == 0
    assert "fold0: training is not finished (2 of 2 epochs)" in capsys.readouterr().err


def test_two_runs_of_two_geometries(copy, world, capsys):
    for fold in range(3):
        source, target = (Fold(copy / "runs" / name / f"fold{fold}") for name in ("small", "wide"))
        target.folder.mkdir(parents=True)
        recipe = small("wide", size=(48, 36))
        torch.manual_seed(fold)
        network = Network(architecture_of(recipe, MASK)).eval()
        save(
            target.best,
            network,
            checkpoint_info(recipe, network, Origin(world.plan, fold), epoch=1, score=0.0),
        )
        table = read_probs(source.oof)
        write_probs(
            target.oof,
            Probs(table.ids[::-1], table.probs, oof_key(target.best, world.plan, fold, "float32")),
        )
    assert main([str(copy / "runs" / "wide"), *ensemble_arguments(copy)]) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out


def test_a_glob_takes_the_out_of_fold_files_with_their_own(copy):
    path = theirs(copy)
    assert main(ensemble_arguments(copy, path.with_name("theirs.oof.csv"), path)) == 0
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 2


def test_a_typo_in_a_runs_name_is_told(copy, fails):
    line = fails(main, copy / "runs" / "smal", *ensemble_arguments(copy)[1:])
    assert "there is no such run (did you mean" in line and "runs/small" in line


@pytest.mark.parametrize(
    "damage",
    [
        {"versions": None},
        {"versions": []},
        {"versions": {"torch": 2}},
        {"recipe": {}},
        {"versions": {"torch": None}},
        {"recipe": {"name": "a", "epochs": 2}},
    ],
)
def test_a_checkpoint_that_says_odd_things_of_itself_is_one_line(copy, damage, fails):
    best = Fold(copy / "runs" / "small" / "fold0").best
    save(
        copy / "loose.safetensors",
        load(best),
        dataclasses.replace(read_checkpoint_info(best), **damage),
    )
    assert "is no checkpoint of the kit" in fails(
        main, copy / "loose.safetensors", *ensemble_arguments(copy)[1:], "--no-score"
    )


def test_other_versions_are_told_and_other_pixels_refused(copy, capsys, fails):
    best = Fold(copy / "runs" / "small" / "fold0").best
    info = read_checkpoint_info(best)
    assert info.versions == dict(versions()) and set(info.versions) == {
        "torch",
        "torchvision",
        "timm",
        "opencv",
        "pillow",
        "albumentations",
        "pixels",
    }
    assert all(info.versions.values())
    loose = copy / "loose.safetensors"
    line = [loose, *ensemble_arguments(copy)[1:], "--no-score"]
    save(
        loose,
        load(best),
        dataclasses.replace(
            info, versions=info.versions | {"torch": "2.0.1", "torchvision": "0.1"}
        ),
    )
    assert main([str(a) for a in line]) == 0
    err = capsys.readouterr().err
    assert err.count("was made with torch 2.0.1 (here ") == 1 and "torchvision" not in err
    own = info.versions["torch"].split("+")[0].split(".")
    save(
        loose,
        load(best),
        dataclasses.replace(info, versions=info.versions | {"torch": f"{own[0]}.{own[1]}.99"}),
    )
    assert (
        main([str(a) for a in [*line, "--force"]]) == 0
        and "was made with" not in capsys.readouterr().err
    )
    save(loose, load(best), dataclasses.replace(info, versions=info.versions | {"pixels": "1"}))
    assert "decoded or resized otherwise (pixels 1, here 2)" in fails(main, *line, "--force")


def test_a_checkpoint_of_another_competition_is_one_line(copy, fails):
    best = Fold(copy / "runs" / "small" / "fold0").best
    info = read_checkpoint_info(best)
    other = info.competition | {"name": "hats", "groups": "wearers"}
    save(copy / "loose.safetensors", load(best), dataclasses.replace(info, competition=other))
    line = fails(main, copy / "loose.safetensors", *ensemble_arguments(copy)[1:], "--no-score")
    assert "was trained for another competition (hats) than the fold plan's (mask)" in line
