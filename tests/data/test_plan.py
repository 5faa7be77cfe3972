"""The fold plan: written, read back, and refused where it is damaged."""

import re

import pandas as pd
import pytest
from helpers import MASK, make_data, mask_folder

from kit.competition import Competition
from kit.data.plan import is_unfinished, read_plan, write_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.folds import main
from kit.system.errors import KitError


def plan_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": ["a/1.jpg", "a/2.jpg", "b/1.jpg"],
            "group": ["a", "a", "b"],
            "age": [20, 20, 60],
            "label": [0, 6, 5],
            "fold": [0, 0, 1],
        }
    )


def test_a_plan_comes_back_as_it_was_written(tmp_path):
    plan = write_plan(tmp_path / "folds.csv", plan_rows(), MASK, {"seed": 1})
    again = read_plan(tmp_path / "folds.csv")
    pd.testing.assert_frame_equal(again.photos, plan_rows())
    assert again.hash == plan.hash and again.k == 2 and again.meta["seed"] == 1


LABELS = Competition(name="x", kind="labels", classes=("a", "b", "c"), frame=(4, 4))


def test_several_labels_come_back_as_texts(tmp_path):
    photos = plan_rows().drop(columns="age").assign(label=["0 2", "", "1"])
    write_plan(tmp_path / "folds.csv", photos, LABELS, {})
    assert "a/2.jpg,a,,0" in (tmp_path / "folds.csv").read_text()
    assert read_plan(tmp_path / "folds.csv").photos["label"].tolist() == ["0 2", "", "1"]
    for label in ("3", "2 0", "0 0", "a"):
        with pytest.raises(KitError, match="column 'label' must hold rising numbers 0..2.*a/2.jpg"):
            write_plan(tmp_path / "f.csv", photos.assign(label=["0", label, "1"]), LABELS, {})


def test_a_plan_that_was_killed_after_its_record_is_planned_again_alone(tmp_path):
    path = tmp_path / "folds.csv"
    plan = write_plan(path, plan_rows(), MASK, {"seed": 1})
    assert not is_unfinished(path)
    path.unlink()  # the record comes first
    assert is_unfinished(path) and is_unfinished(path, plan.hash)
    other = plan_rows().assign(fold=[1, 1, 0])
    with pytest.raises(KitError, match="folds.json: exists already"):  # it is of another plan
        write_plan(path, other, MASK, {"seed": 1})
    assert write_plan(path, plan_rows(), MASK, {"seed": 1}).hash == read_plan(path).hash
    path.unlink()
    (tmp_path / "folds.json").write_text("{}")
    assert not is_unfinished(path)


@pytest.mark.parametrize(
    "column, value, said",
    [
        ("image", ["a/1.jpg", "a/1.jpg", "b/1.jpg"], "repeats a value in column 'image'"),
        ("fold", [0, 1, 1], "a person must lie in one fold"),
        ("fold", [0, 0, 2], "folds must be 0..K-1"),
        ("fold", [0, 0, 0], "folds must be 0..K-1"),
        ("label", [0, 6, 18], "'label' must hold whole numbers 0..17"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path, column, value, said):
    with pytest.raises(KitError, match=said):
        write_plan(tmp_path / "folds.csv", plan_rows().assign(**{column: value}), MASK, {})
    assert list(tmp_path.iterdir()) == []


def test_a_plan_changed_by_hand_is_refused(tmp_path):
    write_plan(tmp_path / "folds.csv", plan_rows(), MASK, {})
    with open(tmp_path / "folds.csv", "a") as file:
        file.write("c/1.jpg,c,20,0,1\n")
    with pytest.raises(KitError, match="folds.csv: is damaged, changed by hand"):
        read_plan(tmp_path / "folds.csv")


def test_a_damaged_plan_is_got_back_by_what_its_error_says(tmp_path, fails):
    folder = mask_folder(make_data(tmp_path / "data"))
    options = PlanOptions(folds=3, seed=7, audit=False)
    path = tmp_path / "folds.csv"
    plan, _ = plan_folds(folder, path, options)
    content = path.read_bytes()
    path.write_bytes(content.replace(b",0\n", b",1\n", 1))
    with pytest.raises(KitError, match="plan again with") as error:
        read_plan(path)
    words = re.search(r"python -m kit.folds (.*?) to get it back", str(error.value))[1].split()
    assert words == ["--force", "--folds", "3", "--seed", "7", "--no-audit"]
    assert main([*words, "--data", str(folder.root), "--out", str(path)]) == 0
    assert path.read_bytes() == content and read_plan(path).hash == plan.hash
    record = tmp_path / "folds.json"
    record.write_text(record.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(KitError, match="folds.json: .*checksum does not fit; put a copy back, or"):
        read_plan(path)
