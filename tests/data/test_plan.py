"""The fold plan: written, read back, and refused where it is damaged."""

import json
import re

import pandas as pd
import pytest
from helpers import MASK, make_data, mask_folder

from kit.competition import Competition
from kit.data.plan import (
    definition_hash,
    is_unfinished,
    plan_columns,
    plan_json,
    read_plan,
    write_plan,
)
from kit.data.planning import PlanOptions, plan_folds
from kit.folds import main
from kit.system.checksum import with_checksum
from kit.system.disk import file_hash, text_hash
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
    assert again.hash == file_hash(tmp_path / "folds.csv") == again.meta["folds.csv"]
    assert again.competition == MASK and again.meta["competition"] == MASK.describe()
    assert plan_json(tmp_path / "folds.csv") == tmp_path / "folds.json"
    assert plan_columns(MASK) == ["image", "group", "age", "label", "fold"]
    lines = (tmp_path / "folds.csv").read_bytes().decode().split("\n")
    assert lines[:2] == ["image,group,age,label,fold", "a/1.jpg,a,20,0,0"] and lines[4:] == [""]


def test_a_plan_is_replaced_by_force_alone(tmp_path):
    write_plan(tmp_path / "folds.csv", plan_rows(), MASK, {"seed": 1})
    other = plan_rows().assign(fold=[1, 1, 0])
    with pytest.raises(KitError, match="folds.csv.* exists already"):
        write_plan(tmp_path / "folds.csv", other, MASK, {"seed": 2})
    (tmp_path / "folds.csv").rename(tmp_path / "old.csv")
    with pytest.raises(KitError, match="folds.json.* exists already"):
        write_plan(tmp_path / "folds.csv", other, MASK, {"seed": 2})
    (tmp_path / "old.csv").rename(tmp_path / "folds.csv")
    assert read_plan(tmp_path / "folds.csv").meta["seed"] == 1
    write_plan(tmp_path / "folds.csv", other, MASK, {"seed": 2}, force=True)
    again = read_plan(tmp_path / "folds.csv")
    assert again.meta["seed"] == 2 and again.photos["fold"].tolist() == [1, 1, 0]


AGAIN = "plan again with python -m kit.folds --force"


def test_a_plan_or_a_record_that_is_not_there_or_of_another_kit_is_told(tmp_path):
    path, record = tmp_path / "folds.csv", tmp_path / "folds.json"
    with pytest.raises(KitError, match=f"^{path}: there is no fold plan; make one with python -m"):
        read_plan(path)
    write_plan(path, plan_rows(), MASK, {})
    meta = json.loads(record.read_text())
    for changed, said in (
        (meta | {"folds.csv": "0"}, f"{path}: is .*, or not the plan that folds.json describes"),
        (
            meta | {"competition": None},
            f"{record}: its competition is missing, as in files of an o",
        ),
        (meta | {"competition": {}}, f"{record}: its competition is damaged .'tasks'."),
    ):
        record.write_text(json.dumps(with_checksum(changed)))
        with pytest.raises(KitError, match=f"^{said}.*; {AGAIN}"):
            read_plan(path)
    record.unlink()
    with pytest.raises(
        KitError, match=f"^{record}: .* is not there; put a copy back, or {AGAIN}: "
    ):
        read_plan(path)


def test_a_definition_that_has_changed_since_is_warned_of(tmp_path, capsys):
    path, definition = tmp_path / "folds.csv", tmp_path / "competition.py"
    definition.write_text("one")
    of = definition_hash(definition)
    assert of == {"definition": {"path": str(definition), "sha256": text_hash("one")}}
    assert definition_hash(None) == {}
    write_plan(path, plan_rows(), MASK, of)
    read_plan(path)
    assert capsys.readouterr().err == ""
    definition.write_text("two")
    assert read_plan(path).meta["definition"] == of["definition"]
    warned = " ".join(capsys.readouterr().err.split())
    assert f"{definition} has changed since the folds were planned" in warned
    definition.unlink()
    for recorded in (of, {"definition": "x"}, {}):
        write_plan(path, plan_rows(), MASK, recorded, force=True)
        read_plan(path)
    assert capsys.readouterr().err == ""


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
        ("fold", [0, 0, 0], "folds must be 0..K-1 with K >= 2, and are .0.; plan again with"),
        ("fold", [1, 1, 2], "folds must be 0..K-1 with K >= 2, and are .1, 2."),
        ("fold", [0, 0, 1000], "'fold' must hold whole numbers 0..999 .1 found: '1000' at b/1.jpg"),
        ("fold", [0, 0, 999], "and are .0, 999."),
        ("age", [0, -1, 0], "'age' must hold whole numbers 0..999999999 .1 found: '-1' at a/2.jpg"),
        ("label", [-1, 0, 5], "'label' must hold whole numbers 0..17 .1 found: '-1' at a/1.jpg"),
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


def test_many_folds_are_told_in_part(tmp_path):
    rows = pd.DataFrame({"image": [f"{n:02d}.jpg" for n in range(12)], "label": [0] * 12})
    rows = rows.assign(group=rows["image"], age=[0, 999_999_999] * 6, fold=range(12))
    assert write_plan(tmp_path / "folds.csv", rows, MASK, {}).k == 12
    with pytest.raises(KitError, match="and are .0, 1, 2, 3, 4, 5, 6, 7, 8.; plan again"):
        write_plan(tmp_path / "f.csv", rows.assign(fold=[*range(11), 12]), MASK, {})


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
