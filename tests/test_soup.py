import dataclasses
import shutil

import pytest
import torch
from helpers import MASK

from kit.data.folder import read_test
from kit.data.plan import read_plan
from kit.inference.members import find_members
from kit.inference.oof import read_oof
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.run import Fold
from kit.scoring.metrics import score
from kit.soup import main


def arguments(world, runs, *more):
    return [
        *map(str, more),
        "--data",
        str(world.data),
        "--plan",
        str(runs / "folds.csv"),
        "--device",
        "cpu",
    ]


def test_a_soup_has_the_mean_of_the_weights_and_its_own_oof(world, kept, tmp_path, capsys):
    from kit.ensemble import main as ensemble

    runs = tmp_path / "runs"
    shutil.copytree(kept, runs)
    assert main(arguments(world, runs, runs / "kept")) == 0
    assert "the mean of epochs 2 3: macro-F1" in capsys.readouterr().out
    for fold in range(3):
        mixed = Fold(runs / "kept_soup" / f"fold{fold}")
        own, parts = (
            load(mixed.best),
            [load(path) for path in Fold(runs / "kept" / f"fold{fold}").epochs],
        )
        for name, value in own.body.state_dict().items():
            states = [part.body.state_dict()[name] for part in parts]
            expected = (
                torch.stack([s.double() for s in states]).mean(0)
                if value.is_floating_point()
                else states[-1]
            )
            torch.testing.assert_close(value.double(), expected.double(), atol=1e-6, rtol=1e-5)
    plan = read_plan(runs / "folds.csv")
    (member,) = find_members([runs / "kept_soup"], plan, read_test(world.folder))
    for checkpoint in member.checkpoints:
        oof = read_oof(checkpoint, plan)
        truth = plan.photos.set_index("image").loc[oof.ids, "label"].to_numpy()
        assert score(truth, oof.probs.argmax(axis=1), MASK).score == pytest.approx(
            checkpoint.info.score
        )
        assert checkpoint.info.select == "soup" and checkpoint.info.averaged
    assert (
        ensemble(
            arguments(world, runs, runs / "kept_soup", "--out", tmp_path / "s.csv", "--workers", 0)
        )
        == 0
    )
    captured = capsys.readouterr()
    assert "not finished" not in captured.err and "was chosen on it" not in captured.out


def test_equal_checkpoints_make_the_same_network(world, kept, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(kept, runs)
    first = Fold(runs / "kept" / "fold0").epochs[0]
    save(
        tmp_path / "copy.safetensors",
        load(first),
        dataclasses.replace(read_checkpoint_info(first), epoch=9),
    )
    assert (
        main(
            arguments(world, runs, first, tmp_path / "copy.safetensors", "--out", tmp_path / "same")
        )
        == 0
    )
    own, mixed = (
        load(first).body.state_dict(),
        load(tmp_path / "same" / "fold0" / "best.safetensors").body.state_dict(),
    )
    assert all(torch.equal(value, own[name]) for name, value in mixed.items())


def test_across_folds_and_trainings_it_is_refused_and_says_why(world, kept, tmp_path, fails):
    a, b = (Fold(kept / "kept" / f"fold{fold}").epochs for fold in (0, 1))
    line = fails(main, *arguments(world, kept, a[0], b[0], "--out", tmp_path / "no"))
    assert "is of fold 0, and others are not" in line and "seen every person in training" in line
    other = Fold(world.runs / "small" / "fold0").best
    assert "by another recipe" in fails(
        main, *arguments(world, kept, a[0], other, "--out", tmp_path / "no")
    )
    assert "is one checkpoint alone" in fails(
        main, *arguments(world, kept, a[0], "--out", tmp_path / "no")
    )
    assert "has no kept epochs" in fails(main, *arguments(world, kept, world.runs / "small"))
    assert "there is no such run" in fails(main, *arguments(world, kept, kept / "kpt"))
    assert "--last 1: take 2 or more" in fails(
        main, *arguments(world, kept, kept / "kept", "--last", 1)
    )
    assert "the same checkpoint twice" in fails(
        main, *arguments(world, kept, a[0], a[0], "--out", tmp_path / "no")
    )
    assert "files are named" in fails(
        main, *arguments(world, kept, *a, "--last", 2, "--out", tmp_path / "no")
    )
    assert not (tmp_path / "no").exists()


def test_no_soup_replaces_a_training_or_lies_among_photos(world, kept, tmp_path, fails):
    best = Fold(kept / "kept" / "fold0").best
    before = best.read_bytes()
    line = fails(main, *arguments(world, kept, kept / "kept", "--out", kept / "kept", "--force"))
    assert "is the folder of a training" in line and best.read_bytes() == before
    line = fails(
        main,
        *arguments(world, kept, kept / "kept" / "fold0", "--out", world.data / "train" / "images"),
    )
    assert "is a place of input files" in line
    shutil.copytree(kept / "kept" / "fold0", tmp_path / "other" / "fold0")
    line = fails(
        main,
        *arguments(
            world,
            kept,
            kept / "kept" / "fold0",
            tmp_path / "other" / "fold0",
            "--out",
            tmp_path / "two",
        ),
    )
    assert "would be made twice" in line and not (tmp_path / "two").exists()
    files = [shutil.copy(path, tmp_path) for path in Fold(kept / "kept" / "fold0").epochs]
    assert "name one with --out" in fails(main, *arguments(world, kept, *files))


def test_a_soup_with_the_chosen_epoch_says_that_it_was_chosen(world, kept, tmp_path):
    files = Fold(kept / "kept" / "fold0")
    best = tmp_path / "best.safetensors"
    save(
        best,
        load(files.epochs[0]),
        dataclasses.replace(read_checkpoint_info(files.epochs[0]), select="best"),
    )
    for chosen, select in ((best, "best"), (files.epochs[0], "soup")):
        out = tmp_path / select
        assert main(arguments(world, kept, chosen, files.epochs[1], "--out", out)) == 0
        assert read_checkpoint_info(out / "fold0" / "best.safetensors").select == select


def test_a_soup_of_a_training_that_ended_early_says_so_too(world, kept, tmp_path):
    for name, patience in (("early", 3), ("whole", 0)):
        files = []
        for path in Fold(kept / "kept" / "fold0").epochs:
            info = read_checkpoint_info(path)
            files.append(tmp_path / name / path.name)
            save(
                files[-1],
                load(path),
                dataclasses.replace(
                    info, select="last", recipe=info.recipe | {"patience": patience}
                ),
            )
        assert main(arguments(world, kept, *files, "--out", tmp_path / f"{name}_soup")) == 0
        info = read_checkpoint_info(tmp_path / f"{name}_soup" / "fold0" / "best.safetensors")
        assert (info.select, info.chosen_on_fold) == (
            ("best", True) if patience else ("soup", False)
        )


def test_another_soup_is_not_written_over(world, kept, tmp_path, fails):
    epochs = Fold(kept / "kept" / "fold0").epochs
    files = arguments(world, kept, *epochs, "--out", tmp_path / "soup")
    best = tmp_path / "soup" / "fold0" / "best.safetensors"
    assert main(files) == 0
    before = best.read_bytes()
    assert main([*files, "--force"]) == 0 and best.read_bytes() == before
    info = read_checkpoint_info(best)
    save(best, load(epochs[0]), info)
    assert "exists already" in fails(main, *files)
    assert main([*files, "--force"]) == 0 and best.read_bytes() == before


def test_a_killed_soup_is_completed(world, kept, tmp_path, capsys):
    """A fold that was made before stays, and one that is half made is made again."""
    files = arguments(world, kept, kept / "kept", "--out", tmp_path / "soup")
    assert main(files) == 0
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    Fold(tmp_path / "soup" / "fold1").oof.unlink()
    Fold(tmp_path / "soup" / "fold2").oof.unlink()
    Fold(tmp_path / "soup" / "fold2").best.unlink()
    capsys.readouterr()
    assert main(files) == 0
    out = capsys.readouterr().out
    assert out.count("made before, skipped") == 1 and out.count("the mean of epochs") == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == whole
