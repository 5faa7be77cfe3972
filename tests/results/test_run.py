"""A run's metrics: written, read back, and refused where they are damaged."""

from pathlib import Path

import pytest
from helpers import MASK

from kit.results.run import read_metrics, write_metrics
from kit.system.errors import KitError

_OF_TASKS = [f"val_f1_{task.name}" for task in MASK.parts]
METRIC_COLUMNS = ["epoch", "lr", "train_loss", "val_loss", "val_acc", "val_f1_macro", *_OF_TASKS]
METRIC_COLUMNS += ["time_data", "time_step"]


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("utf-8"))
    return path


def test_metrics_come_back_as_numbers(tmp_path):
    rows = [
        {name: value + i for i, name in enumerate(METRIC_COLUMNS)}
        for value in (1 / 3, 0.1234567890123)
    ]
    write_metrics(tmp_path / "m.csv", rows)
    assert read_metrics(tmp_path / "m.csv") == rows and read_metrics(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    "content",
    ["epoch,val_f1_macro\n1,0.5\n", ",".join(METRIC_COLUMNS) + "\n" + "x" + ",1" * 10 + "\n", ""],
)
def test_a_damaged_metrics_file_is_one_line(tmp_path, content):
    with pytest.raises(KitError, match="m.csv"):
        read_metrics(text(tmp_path / "m.csv", content))
