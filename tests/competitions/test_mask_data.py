"""The mask competition's training table and its corrections, damaged in every way."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from helpers import PEOPLE, draw_photo, mask_folder
from PIL import Image

from kit.competitions.mask_data import read_corrections, read_people
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.folds import main
from kit.system.errors import KitError


def test_corrections_are_applied_recorded_and_undone(data, tmp_path):
    man, woman = "000000_male_Asian_20", "000009_female_Asian_20"
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(
        f"path,field,value\n{man},gender,female\n{man},age,60\n{woman},swap,incorrect_mask:normal\n"
    )
    place, options = mask_folder(data), PlanOptions(folds=2, audit=False)
    corrected = dataclasses.replace(options, corrections=fixes)
    plain, _ = plan_folds(place, tmp_path / "plain.csv", options)
    fixed, _ = plan_folds(place, tmp_path / "fixed.csv", corrected)
    before, after = (p.photos.set_index("image") for p in (plain, fixed))
    assert (
        before.at[f"{man}/mask1.jpg", "label"] == 0 and after.at[f"{man}/mask1.jpg", "label"] == 5
    )
    assert after.at[f"{man}/mask1.jpg", "age"] == 60
    assert (
        before.at[f"{woman}/normal.jpg", "label"],
        before.at[f"{woman}/incorrect_mask.jpg", "label"],
    ) == (15, 9)
    assert (
        after.at[f"{woman}/normal.jpg", "label"],
        after.at[f"{woman}/incorrect_mask.jpg", "label"],
    ) == (9, 15)
    assert (before["label"] != after["label"]).sum() == 9
    assert fixed.meta["corrections"][1] == {"path": man, "field": "age", "old": "20", "new": "60"}
    undone, _ = plan_folds(place, tmp_path / "undone.csv", options)
    assert (tmp_path / "undone.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_correction_of_nobody_names_who_may_be_meant(data, tmp_path, fails):
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,field,value\n000003,age,60\n")
    line = fails(
        main, "--data", data, "--out", tmp_path / "f.csv", "--corrections", fixes, "--folds", 3
    )
    assert "did you mean 000003_male_Asian_35?" in line and not (tmp_path / "f.csv").exists()


def test_names_and_columns_must_agree_unless_a_correction_settles_it(data, tmp_path, fails):
    csv = data / "train" / "train.csv"
    csv.write_text(csv.read_text().replace("000003,male,Asian,35,", "000003,female,Asian,36,"))
    line = fails(main, "--data", data, "--out", tmp_path / "f.csv", "--folds", 3)
    assert "000003_male_Asian_35 against gender female" in line and "2 found" in line
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(
        "path,field,value\n000003_male_Asian_35,gender,male\n000003_male_Asian_35,age,35\n"
    )
    assert (
        main(
            [
                "--data",
                str(data),
                "--out",
                str(tmp_path / "f.csv"),
                "--folds",
                "3",
                "--corrections",
                str(fixes),
            ]
        )
        == 0
    )


def folder(data, number: int = 0):
    ident, gender, age = PEOPLE[number]
    return data / "train" / "images" / f"{ident}_{gender}_Asian_{age}"


@pytest.mark.parametrize(
    "harm, said",
    [
        (
            lambda d: shutil.rmtree(folder(d)),
            "without a folder of photos (1 found: 000000_male_Asian_20)",
        ),
        (lambda d: shutil.rmtree(d / "train" / "images"), "there is no such folder"),
        (
            lambda d: (folder(d) / "mask2.jpg").unlink(),
            "missing (.jpg, .jpeg or .png; a person has 7) (1 found",
        ),
        (
            lambda d: [p.unlink() for p in folder(d).iterdir()],
            "7 found, the first: 000000_male_Asian_20/mask1",
        ),
        (
            lambda d: Image.new("RGB", (96, 128)).save(folder(d) / "mask1.png"),
            "there twice (1 found: 000000_male_Asian_20/mask1.jpg",
        ),
        (
            lambda d: (folder(d) / "mask1.jpg").write_bytes(b""),
            "000000_male_Asian_20/mask1.jpg: is an empty file",
        ),
        (
            lambda d: (folder(d) / "mask1.jpg").write_bytes(b"hello"),
            "000000_male_Asian_20/mask1.jpg: is no image",
        ),
        (
            lambda d: (folder(d) / "mask1.jpg").write_bytes(
                (folder(d) / "mask1.jpg").read_bytes()[:900]
            ),
            "000000_male_Asian_20/mask1.jpg: is a damaged image",
        ),
    ],
)
def test_bad_photos(data, tmp_path, fails, harm, said):
    harm(data)
    assert said in fails(main, "--data", data, "--out", tmp_path / "folds.csv", "--folds", 3)
    assert not (tmp_path / "folds.csv").exists() and not (tmp_path / "folds.json").exists()


def test_junk_and_strangers_are_left_out_and_said(data, tmp_path, capsys):
    (folder(data) / "._mask1.jpg").write_bytes(b"junk")
    (folder(data) / ".DS_Store").write_bytes(b"junk")
    (folder(data) / "notes.txt").write_text("x")
    (data / "train" / "images" / "._x").write_bytes(b"junk")
    shutil.copytree(folder(data), data / "train" / "images" / "stranger")
    draw_photo(folder(data, 1) / "mask9.JPG", 1)
    assert (
        main(["--data", str(data), "--out", str(tmp_path / "f.csv"), "--folds", "3", "--no-audit"])
        == 0
    )
    warnings = capsys.readouterr().err
    assert "folders that train.csv does not list, left out (1, the first: stranger)" in warnings
    assert "(2, the first: 000000_male_Asian_20/notes.txt)" in warnings
    assert len(read_plan(tmp_path / "f.csv").photos) == 7 * len(PEOPLE)


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("utf-8"))
    return path


ROW = "000001,male,Asian,30,000001_male_Asian_30\n"


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "is empty"),
        ("id,gender,race,age,path\n", "no rows"),
        ("id,gender,race,path\n000001,male,Asian,p\n", "no column 'age'"),
        ("id,gender,race,age,path\n" + ROW + ROW, "repeats a value in column 'path'"),
        (
            "id,gender,race,age,path\n000001,man,Asian,30,p\n",
            "'gender' must hold male or female (1 found: 'man' at p)",
        ),
        ("id,gender,race,age,path\n000001,male,Asian,3O,p\n", "'3O' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,-4,p\n", "'-4' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,190,p\n", "'190' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,45.5,p\n", "'45.5' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,30,../p\n", "plain folder names"),
        ("id,gender,race,age,path\n000001,male,Asian,30,\n", "plain folder names"),
        ("id,gender\n1,2,3,4\n5\n6,7,8,9,0,1\n", "more fields than its header"),
        ("id,gender,race,age,path\n000001,male,Asian,30,p,x\n", "more fields than its header"),
        ("id,gender,race,age,age,path\n000001,male,Asian,30,31,p\n", "has column 'age' twice"),
        ("id,gender,race,age,path\n000001,male,Asian,\u0663\u0660,p\n", "must hold whole numbers"),
    ],
)
def test_bad_train_csv(tmp_path, content, said):
    with pytest.raises(KitError) as error:
        read_people(text(tmp_path / "train.csv", content))
    assert said in str(error.value) and "train.csv" in str(error.value)


def test_ids_stay_text(tmp_path):
    content = "\ufeffid,gender,race,age,path\r\nNA,male,Asian,30,NA\r\n0010,male,x,18,0010\r\n"
    people = read_people(text(tmp_path / "train.csv", content))
    assert people["id"].tolist() == ["NA", "0010"] and people["path"].tolist() == ["NA", "0010"]
    assert people["age"].tolist() == [30, 18]


def test_a_csv_of_another_encoding_is_refused(tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes("id,gender,race,age,path\n1,male,아시아,30,p\n".encode("cp949"))
    with pytest.raises(KitError, match="no UTF-8 CSV"):
        read_people(path)


@pytest.mark.parametrize(
    "row",
    [
        "p,gender,man",
        "p,age,old",
        "p,age,121",
        "p,race,Asian",
        "p,swap,mask1",
        "p,swap,mask1:mask1",
        "p,swap,mask1:mask6",
    ],
)
def test_bad_corrections(tmp_path, row):
    with pytest.raises(KitError, match="no correction"):
        read_corrections(text(tmp_path / "c.csv", f"path,field,value\n{row}\n"))


def test_a_field_is_corrected_once(tmp_path):
    with pytest.raises(KitError, match="twice"):
        read_corrections(text(tmp_path / "c.csv", "path,field,value\np,age,20\np,age,30\n"))
