"""A run's metrics: written, read back, and refused where they are damaged."""

import json
import random

import pytest
from helpers import MASK, small

from kit.results.run import belongs, origin_of, read_metrics, write_metrics
from kit.system.errors import KitError

_OF_TASKS = [f"val_f1_{task.name}" for task in MASK.parts]
METRIC_COLUMNS = ["epoch", "lr", "train_loss", "val_loss", "val_acc", "val_f1_macro", *_OF_TASKS]
METRIC_COLUMNS += ["time_data", "time_step"]
ROWS = [
    {name: value + i for i, name in enumerate(METRIC_COLUMNS)}
    for value in (1 / 3, 0.1234567890123, 1e-9)
]


def test_metrics_come_back_as_numbers(tmp_path):
    write_metrics(tmp_path / "m.csv", ROWS, "of")
    assert read_metrics(tmp_path / "m.csv", "of") == ROWS
    assert read_metrics(tmp_path / "none.csv", "of") == []


@pytest.mark.parametrize("content", ["epoch,val_f1\n1,0.5\n", "epoch\n", "\n", "", "\0"])
def test_what_is_no_metrics_file_is_one_line(tmp_path, content):
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(KitError, match="m.csv: is damaged, or of another fold's training"):
        read_metrics(tmp_path / "m.csv", "of")


def test_every_change_of_metrics_is_found(tmp_path):
    path, rng = tmp_path / "m.csv", random.Random(0)
    write_metrics(path, ROWS, "of")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = [whole[:end] for end in range(len(whole) - 1)]
    changed += [b"".join(lines[:-1]), b"".join([lines[0], lines[2], lines[1], lines[3]])]
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        changed.append(bytes(flipped))
    for content in changed:
        path.write_bytes(content)
        try:
            assert read_metrics(path, "of") == ROWS  # such as another form of a line's end
        except KitError as error:
            assert "do not fit" in str(error)
    path.write_bytes(whole)
    with pytest.raises(KitError, match="of another fold's training"):
        read_metrics(path, "of another")


def test_an_origin_is_of_recipe_plan_and_fold():
    one = origin_of({"lr": 1, "size": (2, 3)}, "p", 0)
    assert one == origin_of({"size": [2, 3], "lr": 1}, "p", 0)  # as JSON has it
    others = [({"lr": 2, "size": (2, 3)}, "p", 0), ({"lr": 1}, "q", 0), ({"lr": 1}, "p", 1)]
    assert len({one, *(origin_of(*other) for other in others)}) == 4
    recipe = json.loads(json.dumps(small().describe()))
    fewer = {name: value for name, value in recipe.items() if name not in ("accumulate", "clip")}
    assert origin_of(recipe, "p", 0) == origin_of(fewer, "p", 0)  # both have their defaults
    assert origin_of(recipe | {"clip": 1.0}, "p", 0) != origin_of(fewer, "p", 0)


def test_a_key_that_says_nothing_contradicts_nothing():
    assert belongs('{"checkpoint": "a"}', "a") and not belongs('{"checkpoint": "b"}', "a")
    assert all(belongs(key, "a") for key in ("", "[]", "{}", "[" * 10**5))
