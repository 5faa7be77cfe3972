"""`kit.bench` prints numbers for programs, recommends by them, and refuses bad arguments."""

import json
import shutil

import pytest
from helpers import InPlace, everywhere

import kit.benchmarks.loops
import kit.benchmarks.timing
import kit.system.threads
from kit.bench import main, recommended
from kit.benchmarks.timing import Table


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Other loops run in this process, and the machine's peak is not measured."""
    everywhere(monkeypatch, kit.benchmarks.timing, "SeparateProcess", InPlace)
    everywhere(monkeypatch, kit.benchmarks.loops, "matrix_peak", lambda *_: 100.0)


@pytest.mark.parametrize("what", ["photos", "train", "scale", "blend"])
def test_numbers_for_programs(what, tmp_path, capsys, world):
    recipe = tmp_path / "small.py"
    recipe.write_text("from helpers import small\n\nrecipe = small()\n")
    assert (
        main(
            [
                what,
                str(recipe),
                "--json",
                "--pairs",
                "1",
                "--steps",
                "1",
                "--device",
                "cpu",
                "--data",
                str(world.data),
                "--members",
                "3",
                "--people",
                "60",
                "--processes",
                "1",
            ]
        )
        == 0
    )
    (found,) = json.loads(capsys.readouterr().out).values()
    if what == "photos":
        assert (
            all(rate > 0 for rate in found.values())
            and "augment: albumentations, as the recipe" in found
        )
    elif what == "train":
        assert (
            found["precision"] == "float32"
            and found["times_kit_train"]["kit.train"] == 1
            and len(found["waiting"]) == 3
        )
    elif what == "scale":
        assert found["efficiency"]["training"] == {"1": 1}
    else:
        assert 0 <= found["saved"] < 1


def test_what_is_recommended_follows_from_the_numbers():
    def table(**found):
        return Table("", [], [], "", found)

    photos = Table(
        "",
        [],
        [],
        "",
        {
            "decode, crop, resize: from the kit's pixel cache": 100_000.0,
            "augment: albumentations, as the recipe": 500.0,
        },
    )
    training = table(photos_per_second={"kit.train": 1200.0}, precision="bfloat16", batch_size=32)
    inference = table(mode={"precision": "bfloat16", "photos": 128})
    line = recommended(photos, training, inference, "cpu")
    assert "--workers 0" in line and "batches of 32" in line and "128 photos at once" in line
    assert f"--workers {min(kit.system.threads.cores() - 1, 3)}" in recommended(
        photos, training, inference, "cuda"
    )


def test_bad_arguments(fails, tmp_path, world, monkeypatch):
    monkeypatch.delenv("KIT_DATA", raising=False)
    (tmp_path / "empty").mkdir()
    assert "did you mean infer?" in fails(main, "infr")
    assert "did you mean scale?" in fails(main, "scal")
    assert "--pairs 0: take 1" in fails(main, "photos", "--pairs", "0")
    assert "--processes 0: take 1" in fails(main, "scale", "--processes", "0")
    too_many = fails(main, "scale", "recipes/tiny.py", "--processes", "999", "--device", "cpu")
    assert "--processes 999: each takes a core" in too_many
    assert "--workers -1" in fails(main, "train", "--workers", "-1")
    assert "a run's own photos are needed" in fails(main, "infer", tmp_path / "empty")
    assert "holds no checkpoint" in fails(main, "infer", tmp_path / "empty", "--data", world.data)
    assert "is a folder" in fails(main, "train", tmp_path / "empty")
    assert "no such run (did you mean " in fails(main, "infer", tmp_path / "emty")
    shutil.copytree(world.data, tmp_path / "bare", ignore=shutil.ignore_patterns("*.jpg"))
    assert "holds no photos" in fails(main, "photos", "--data", tmp_path / "bare", "--pairs", "1")
    assert "--people 20: is no number for blend; take 50" in fails(main, "blend", "--people", "20")
    assert "take 1000 to 2000000" in fails(main, "audit", "--people", "20")
    assert "no-such" in fails(main, "train", tmp_path / "no-such.py")
    recipe = tmp_path / "small.py"
    recipe.write_text("from helpers import small\n\nrecipe = small()\n")
    assert (
        main(["train", str(recipe), "--data", str(world.data), "--steps", "999", "--device", "cpu"])
        == 2
    )
