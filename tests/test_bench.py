"""What `kit.bench` measures: in turns, the same classes by every way, errors of other processes,
numbers for programs.
"""

import json
import shutil

import numpy as np
import pytest
import torch

import kit.benchmarks.timing
import kit.system.threads
from kit.bench import main, recommended
from kit.benchmarks.decoding import augment_on_device
from kit.benchmarks.inference import bench_infer
from kit.benchmarks.timing import Apart, Table, in_turns
from kit.system.errors import KitError


def test_ways_are_measured_in_turns():
    order = []
    ways = {name: (lambda name=name: order.append(name) or name.upper()) for name in "abc"}
    times, results = in_turns(ways, 3, "test")
    assert "".join(order) == "abccbaabc" and results == {"a": "A", "b": "B", "c": "C"}
    assert all(values.shape == (3,) and (values > 0).all() for values in times.values())


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    assert (
        kit.benchmarks.timing._ratio(np.array([2.0, 9.0, 4.0]), np.array([1.0, 3.0, 4.0]))
        == "2.00 (1.00 3.00)"
    )


def test_augmenting_on_the_device_moves_and_colours_each_photo_by_itself():
    torch.manual_seed(0)
    photos = (
        torch.rand(1, 3, 6, 4).repeat_interleave(8, 2).repeat_interleave(8, 3).repeat(6, 1, 1, 1)
    )
    changed = augment_on_device(photos)
    assert changed.shape == photos.shape and 0 <= changed.min() and changed.max() <= 1
    apart = [(changed[i] - changed[j]).abs().mean() for i in range(6) for j in range(i)]
    assert min(apart) > 0.02 and (changed - photos).abs().mean() < 0.3


# ------------------------------------------------------------ the other process


def make_ways(text):
    import os

    return {
        "say": lambda: text,
        "pid": os.getpid,
        "fail": lambda: 1 / 0,
        "die": lambda: os._exit(3),
    }


def make_nothing():
    raise ValueError("no photos")


def test_other_ways_run_in_a_process_of_their_own():
    import os

    apart = Apart(make_ways, "hello")
    try:
        assert list(apart.ways) == ["say", "pid", "fail", "die"] and apart.ways["say"]() == "hello"
        assert apart.ways["pid"]() == apart._process.pid != os.getpid()
        with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
            apart.ways["fail"]()
    finally:
        apart.close()
    assert not apart._process.is_alive()
    with pytest.raises(RuntimeError, match="ValueError: no photos"):
        Apart(make_nothing)
    apart = Apart(make_ways, "hello")
    with pytest.raises(KitError, match="has ended, most likely for memory"):
        apart.ways["die"]()
    with pytest.raises(KitError, match="has ended"):
        apart.ways["say"]()
    apart.close()


# ------------------------------------------------------------ the whole


def test_a_runs_ensemble_by_every_way_gives_the_same_classes(world, tmp_path):
    shutil.copytree(
        world.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("probs-*", "part-*", "pixels")
    )
    before = sorted((tmp_path / "runs").rglob("*"))
    table = bench_infer(tmp_path / "runs" / "small", 1, 10, world.data, "cpu", 0)
    assert list(table.found["times_the_loop"]) == [
        "kit.ensemble",
        "--fast",
        "--exact",
        "a loop over folds and views",
        "ttach's wrapper a fold",
        "timm's loader, a loop",
    ]
    assert table.found["times_the_loop"]["a loop over folds and views"] == 1
    assert set(table.found["same_classes"].values()) == {1.0}
    assert sorted((tmp_path / "runs").rglob("*")) == before  # it measures copies
    assert (
        f"3 folds x 2 views of {tmp_path / 'runs' / 'small'} (" in table.title
        and table.found["gflops"] > 0
    )
    table = bench_infer(tmp_path / "runs" / "small" / "fold1", 1, 4, world.data, "cpu", 0)
    assert "1 fold x 2 views" in table.title and set(table.found["same_classes"].values()) == {1.0}


@pytest.mark.parametrize("what", ["photos", "train", "blend"])
def test_numbers_for_programs(what, tmp_path, capsys, world):
    recipe = tmp_path / "small.py"
    recipe.write_text("from conftest import small\n\nrecipe = small()\n")
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
    inference = table(way={"precision": "bfloat16", "photos": 128})
    line = recommended(photos, training, inference, "cpu")
    assert "--workers 0" in line and "batches of 32" in line and "128 photos at once" in line
    assert f"--workers {min(kit.system.threads.cores() - 1, 3)}" in recommended(
        photos, training, inference, "cuda"
    )


def test_bad_arguments(fails, tmp_path, world, monkeypatch):
    monkeypatch.delenv("KIT_DATA", raising=False)
    (tmp_path / "empty").mkdir()
    assert "did you mean infer?" in fails(main, "infr")
    assert "--pairs 0: take 1" in fails(main, "photos", "--pairs", "0")
    assert "--workers -1" in fails(main, "train", "--workers", "-1")
    assert "a run's own photos are needed" in fails(main, "infer", tmp_path / "empty")
    assert "holds no checkpoint" in fails(main, "infer", tmp_path / "empty", "--data", world.data)
    assert "is a folder" in fails(main, "train", tmp_path / "empty")
    assert "no such run (did you mean " in fails(main, "infer", tmp_path / "emty")
    shutil.copytree(world.data, tmp_path / "bare", ignore=shutil.ignore_patterns("*.jpg"))
    assert "holds no photos" in fails(main, "photos", "--data", tmp_path / "bare", "--pairs", "1")
    assert "--people 20: for blend take 50" in fails(main, "blend", "--people", "20")
    assert "--people 20: take 1000" in fails(main, "audit", "--people", "20")
    assert "no-such" in fails(main, "train", tmp_path / "no-such.py")
    recipe = tmp_path / "small.py"
    recipe.write_text("from conftest import small\n\nrecipe = small()\n")
    assert (
        main(["train", str(recipe), "--data", str(world.data), "--steps", "999", "--device", "cpu"])
        == 2
    )
