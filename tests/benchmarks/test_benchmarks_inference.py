"""Every loop of inference that is measured gives the same classes."""

import shutil

from helpers import InPlace, everywhere

import kit.benchmarks.loops
import kit.benchmarks.timing
from kit.benchmarks.inference import bench_infer


def test_a_runs_ensemble_by_every_loop_gives_the_same_classes(world, tmp_path, monkeypatch):
    everywhere(monkeypatch, kit.benchmarks.loops, "matrix_peak", lambda *_: 100.0)
    shutil.copytree(
        world.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("probs-*", "part-*", "pixels")
    )
    before = sorted((tmp_path / "runs").rglob("*"))
    table = bench_infer(tmp_path / "runs" / "small", 1, 10, world.folder, "cpu", 0)
    assert list(table.numbers["times_the_loop"]) == [
        "kit.ensemble",
        "--fast",
        "--exact",
        "a loop over folds and views",
        "ttach's wrapper a fold",
        "timm's loader, a loop",
    ]
    assert table.numbers["times_the_loop"]["a loop over folds and views"] == 1
    assert set(table.numbers["same_classes"].values()) == {1.0}
    assert sorted((tmp_path / "runs").rglob("*")) == before  # it measures copies
    assert (
        f"3 folds x 2 views of {tmp_path / 'runs' / 'small'} (" in table.title
        and table.numbers["gflops"] > 0
    )
    everywhere(monkeypatch, kit.benchmarks.timing, "SeparateProcess", InPlace)  # the second time
    table = bench_infer(tmp_path / "runs" / "small" / "fold1", 1, 4, world.folder, "cpu", 0)
    assert "1 fold x 2 views" in table.title and set(table.numbers["same_classes"].values()) == {
        1.0
    }
