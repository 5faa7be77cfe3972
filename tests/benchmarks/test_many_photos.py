"""kit.ensemble over many photos."""

from helpers import everywhere

import kit.benchmarks.many_photos
from kit.benchmarks.many_photos import Spent, bench_ensemble
from kit.ensemble import main
from kit.inference import photo_set
from kit.system.table import read_csv


def test_each_number_of_photos_is_predicted_twice(monkeypatch):
    seen = []

    def spend(place):
        monkeypatch.chdir(place)
        places = ["--data", "data", "--plan", "runs/folds.csv", "--out", "s.csv", "--force"]
        assert main(["runs/many", "--no-score", "--device", "cpu", *places]) == 0
        photos = len(read_csv(place / "s.csv"))
        seen.append((photos, len(list(place.glob("runs/many/fold0/probs-*.npz")))))
        return Spent(1.0, photos * 2e-6, 1000 + 3 * photos)

    everywhere(monkeypatch, kit.benchmarks.many_photos, "spend", spend)
    monkeypatch.setattr(photo_set, "BLOCK", 256)
    table = bench_ensemble(600)
    assert seen == [(75, 1), (75, 1), (150, 1), (150, 1), (300, 2), (300, 2), (600, 3), (600, 3)]
    assert [row[0] for row in table.rows] == ["75", "150", "300", "600"]
    assert table.summary.startswith("a photo more takes 2 us of the CPU and 3 bytes; where all")
