import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import draw_photo, mask_folder
from trainings import recipe_file

import kit
from kit.data.loader import end_workers
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.models.checkpoint import read_checkpoint_info
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.system.console import mute
from kit.train import main


def test_resume_asks_for_something_to_resume(killable, tmp_path, fails):
    arguments = [*killable.command[3:], "--runs", tmp_path, "--resume"]
    assert "there is no unfinished training to resume" in fails(main, *arguments)
    assert "take one of them" in fails(main, *arguments, "--force")


def test_a_finished_fold_is_skipped_and_another_recipe_or_plan_refused(
    data, tmp_path, capsys, fails
):
    plan_path = tmp_path / "runs" / "folds.csv"
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    recipe = recipe_file(tmp_path, more=", epochs=1")
    arguments = [
        recipe,
        "--data",
        data,
        "--plan",
        plan_path,
        "--runs",
        tmp_path / "runs",
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    assert main([str(a) for a in arguments]) == 0
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    before = files.best.read_bytes()
    assert main([str(a) for a in arguments]) == 0
    assert "finished before, skipped" in capsys.readouterr().out
    recipe_file(tmp_path, more=", epochs=1, lr=0.123")
    assert "another recipe (1 found: lr was 0.005, is 0.123)" in fails(main, *arguments)
    recipe_file(tmp_path, more=", epochs=1")
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, seed=7, audit=False, force=True))
    assert "another fold plan" in fails(main, *arguments)
    assert files.best.read_bytes() == before
    assert main([str(a) for a in [*arguments, "--force"]]) == 0
    assert files.best.read_bytes() != before


def test_select_overrides_the_recipe(killable, tmp_path, fails, capsys):
    arguments = [str(a) for a in [*killable.command[3:], "--runs", tmp_path]]
    assert main([*arguments, "--select", "best"]) == 0
    info = read_checkpoint_info(Fold(tmp_path / "mine" / "fold0").best)
    assert (info.select, info.averaged) == ("best", True)
    assert "its best epoch, chosen on the fold" in capsys.readouterr().out
    assert "select was 'best', is 'last'" in fails(main, *arguments)


def test_a_trial_is_a_run_of_its_own(killable, tmp_path, capsys, fails):
    from kit.ensemble import main as ensemble

    arguments = [str(a) for a in [*killable.command[3:], "--runs", tmp_path]]
    assert main([*arguments, "--limit", "10", "--fold", "all"]) == 0
    out = capsys.readouterr().out
    assert (
        "10 photos to train, 10 to validate" in out
        and "next: the whole data, without --limit" in out
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine-limit10"]
    files = Fold(tmp_path / "mine-limit10" / "fold0")
    assert read_checkpoint_info(files.best).limit == 10 and len(read_probs(files.oof).ids) == 10
    assert main([*arguments, "--limit", "10"]) == 0
    assert "finished before" in capsys.readouterr().out
    files.oof.unlink()
    assert main([*arguments, "--limit", "10"]) == 0 and len(read_probs(files.oof).ids) == 10
    capsys.readouterr()
    line = fails(
        ensemble, tmp_path / "mine-limit10", *killable.command[4:8], "--out", tmp_path / "s.csv"
    )
    assert "is of a trial on 10 photos; train the recipe without --limit" in line
    assert "--limit 1" in fails(main, *arguments, "--limit", "1")


def test_several_recipes_in_one_command(killable, tmp_path, capsys, fails):
    recipe_file(tmp_path, "second", ", epochs=1")
    _, *options = killable.command[3:]
    recipes = [killable.recipe, tmp_path / "second.py"]
    arguments = [*recipes, *options, "--runs", tmp_path, "--limit", "10", "--workers", "0"]
    assert main([str(a) for a in [*arguments, "--dry-run"]]) == 0
    assert "mine, fold 0" in (out := capsys.readouterr().out) and "second, fold 0" in out
    assert main([str(a) for a in arguments]) == 0
    out = capsys.readouterr().out
    assert "mine-limit10/fold0: macro-F1" in out and "second-limit10/fold0: macro-F1" in out
    assert {"mine-limit10", "second-limit10"} <= {path.name for path in tmp_path.iterdir()}
    assert "recipe mine: is named twice" in fails(main, killable.recipe, *recipes, *options)
    assert "leave --cluster out" in fails(main, *recipes, *options, "--dry-run", "--cluster")


def test_a_dry_run_writes_nothing(killable, tmp_path, capsys):
    assert (
        main([str(a) for a in [*killable.command[3:], "--runs", tmp_path / "runs", "--dry-run"]])
        == 0
    )
    out = capsys.readouterr().out
    for word in (
        "decode, crop, resize",
        "training step",
        "validation batch",
        "peak memory",
        "an epoch about",
        "4 epochs",
        "once for the pixel cache",
    ):
        assert word in out
    assert (
        main(
            [str(a) for a in [*killable.command[3:], "--dry-run", "--limit", "12", "--fold", "all"]]
        )
        == 0
    )
    assert (
        "(2 steps)" in (out := capsys.readouterr().out)
        and "the 3 folds" in out
        and "pixel cache" not in out
    )
    assert not list(tmp_path.iterdir())


def test_bad_input_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    recipe = recipe_file(tmp_path)
    line = fails(main, recipe, "--data", data, "--plan", plan_path)
    assert "there is no fold plan" in line and "kit.folds" in line
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    common = ["--data", data, "--plan", plan_path, "--runs", tmp_path / "runs", "--workers", "0"]
    assert "the folds 0 to 2" in fails(main, recipe, *common, "--fold", "3")
    assert "--device tpu" in fails(main, recipe, *common, "--device", "tpu")
    assert "--workers -1" in fails(main, recipe, *common[:-1], "-1")
    assert "did you mean" in fails(main, tmp_path / "mime.py", *common)
    assert "no such architecture" in fails(
        main, recipe_file(tmp_path, "odd", ", model='resnet5O'"), *common
    )
    plan = read_plan(plan_path)
    photo = (data / "train" / "images") / plan.photos["image"].iloc[0]
    draw_photo(photo, "another", (100, 130))
    assert "holds other photos than the fold plan" in fails(main, recipe, *common)
    photo.unlink()
    assert "photos of the fold plan that are missing" in fails(main, recipe, *common)
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.name != ".lock"]


def test_a_photo_that_breaks_later_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    plan, _ = plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    photo = (data / "train" / "images") / plan.photos.loc[plan.photos["fold"] == 1, "image"].iloc[0]
    photo.write_bytes(bytes(photo.stat().st_size))
    line = fails(
        main,
        recipe_file(tmp_path),
        "--data",
        data,
        "--plan",
        plan_path,
        "--runs",
        tmp_path / "runs",
        "--workers",
        "1",
    )
    assert f"(1 found: {photo.relative_to(data / 'train' / 'images')}: is no image" in line
    end_workers()


def test_keep_epochs_below_zero(fails):
    assert "--keep-epochs -1" in fails(main, "x.py", "--keep-epochs", "-1")


@pytest.fixture
def torchrun_environment(monkeypatch):
    """The environment of one of two processes that torchrun has started, by its rank."""

    def set_rank(rank):
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        for name, value in zip(names, (rank, 2, rank, 2)):
            monkeypatch.setenv(name, str(value))

    yield set_rank
    mute(False)


def test_process_0_alone_tells_of_bad_options(torchrun_environment, fails, capsys):
    torchrun_environment(0)
    assert "--keep-epochs -1" in fails(main, "x.py", "--keep-epochs", "-1")
    torchrun_environment(1)
    assert main(["x.py", "--keep-epochs", "-1"]) == 2
    assert capsys.readouterr() == ("", "")


def test_the_command_s_module_imports_no_engine():
    code = "import sys, kit.train; print([m for m in ('ray', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_one_module_imports_torch_distributed():
    kit_folder = Path(kit.__file__).parent
    importing = [
        path.relative_to(kit_folder).as_posix()
        for path in kit_folder.rglob("*.py")
        if re.search(
            r"import torch\.distributed|from torch(\.distributed| import distr)", path.read_text()
        )
    ]
    assert importing == ["scale/group.py"]


def test_the_pixel_cache_lies_where_the_option_or_the_variable_says(world, tmp_path, monkeypatch):
    recipe = recipe_file(tmp_path, more=", epochs=1")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path / "runs"]
    words = [str(a) for a in (recipe, *places, "--device", "cpu", "--workers", "0")]
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "variable"))
    assert main(words) == 0 and len(list((tmp_path / "variable").glob("*.npy"))) == 1
    assert main([*words, "--force", "--cache-dir", str(tmp_path / "option")]) == 0
    assert len(list((tmp_path / "option").glob("*.npy"))) == 1
    assert not (tmp_path / "runs" / "pixels").exists()
