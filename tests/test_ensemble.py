"""The command kit.ensemble."""

import json

from helpers import ensemble_arguments, everywhere

import kit.data.cache
from kit.ensemble import main
from kit.inference import photo_set
from kit.train import main as train_main


def test_bad_input_is_one_line_and_writes_nothing(copy, fails):
    root = ensemble_arguments(copy)
    assert "there is no such run" in fails(main, copy / "runs" / "smal", *root[1:])
    assert "holds no checkpoint" in fails(main, copy / "data", *root[1:])
    assert "did you mean hflip?" in fails(main, *root, "--tta", "hflipp")
    assert "the same checkpoint twice" in fails(main, root[0], *root)
    assert "--batch-size 0" in fails(main, *root, "--batch-size", "0")
    assert "let --out end in .csv" in fails(main, *root, "--out", copy / "s.txt")
    info = copy / "data" / "eval" / "info.csv"
    good = info.read_text()
    for content, said in (
        (good + good.splitlines()[1] + "\n", "repeats a value in column 'ImageID'"),
        (good + "nobody.jpg,0\n", "ids that name no file"),
        (good + "../data/train/train.csv,0\n", "plain file names"),
    ):
        info.write_text(content)
        assert said in fails(main, *root)
    info.write_text(good)
    assert not (copy / "s.csv").exists() and not (copy / "s.json").exists()
    (copy / "s.csv").write_text("mine")
    assert "exists already" in fails(main, *root)
    assert (copy / "s.csv").read_text() == "mine"


def test_ensemble_and_train_write_profiles(copy, world, capsys, monkeypatch, tmp_path):
    assert main(ensemble_arguments(copy, "--profile", "--batch-size", "2")) == 0
    found = json.loads((copy / "s.profile.json").read_text())
    assert {"data", "copy", "forward", "write", "load", "the rest"} <= set(
        found["seconds"]
    ) and found["steps"] == 5
    assert found["operators"][0]["seconds"] > 0 and (copy / found["trace"]).is_file()
    recipe = tmp_path / "again.py"
    recipe.write_text(
        "from dataclasses import replace\n\nfrom helpers import small\n\nrecipe = small('again', "
        "epochs=1)\n"
    )
    line = [
        str(recipe),
        "--data",
        str(world.data),
        "--plan",
        str(world.plan_path),
        "--runs",
        str(tmp_path / "runs"),
        "--device",
        "cpu",
        "--profile",
    ]
    assert train_main(line) == 0
    found = json.loads((tmp_path / "runs" / "again" / "fold0" / "profile.json").read_text())
    assert {
        "data",
        "copy",
        "forward",
        "backward",
        "optimizer",
        "validation: forward",
        "write",
    } <= set(found["seconds"])
    assert any(row["name"].endswith("backward") for row in found["operators"])
    capsys.readouterr()
    assert train_main(line) == 0 and "no network ran" in capsys.readouterr().out


def test_a_profile_that_cannot_be_kept_costs_no_submission(copy, world, capsys):
    (copy / "s.profile.json").mkdir()
    assert main(ensemble_arguments(copy, "--profile")) == 0 and (copy / "s.csv").is_file()
    assert "the profile is not kept" in capsys.readouterr().err


def test_two_processes_write_the_same_file_as_one(copy, monkeypatch, capsys, fails):
    line = ensemble_arguments(copy, "--exact", "--batch-size", "4", "--force")
    assert main(line) == 0
    one = (copy / "s.csv").read_bytes()
    for kept in (copy / "runs").glob("small/*/probs-*.npz"):
        kept.unlink()
    monkeypatch.setattr(photo_set, "BLOCK", 8)
    capsys.readouterr()
    assert main([*line, "--device", "cpu,cpu"]) == 0
    out = capsys.readouterr().out
    assert "side by side on cpu,cpu; 2 blocks of photos, 1 core each" in out
    assert "blocks 2 of 2  block 1/1  2 photos, 3 passes" in out and "3 of 3 passes" in out
    assert (copy / "s.csv").read_bytes() == one
    again = ["--from", copy / "s.json", "--data", copy / "data", "--out", copy / "t.csv"]
    assert "are several; name one" in fails(main, *again, "--device", "cpu,cpu")
    assert "--from: takes no --cluster; leave it out" in fails(main, *again, "--cluster")


def test_pixel_caches_lie_where_the_option_says(copy, monkeypatch, fails, capsys):
    place, plain, folders = copy / "pixels", kit.data.cache.temporary_cache, []

    def recorded(folder, *rest):
        folders.append(folder)
        return plain(folder, *rest)

    everywhere(monkeypatch, kit.data.cache, "temporary_cache", recorded)
    assert main(ensemble_arguments(copy, "--fast", "--cache-dir", place)) == 0
    # One of each block, which goes with it.
    assert [folder.parent for folder in folders] == [place] and not list(place.iterdir())
    capsys.readouterr()
    checked = ["--check", copy / "s.csv", "--data", copy / "data"]
    assert "--check: takes no --cache-dir" in fails(main, *checked, "--cache-dir", place)
    monkeypatch.setenv("KIT_CACHE", str(place))  # which is nobody's mistake
    assert main([str(word) for word in checked]) == 0
