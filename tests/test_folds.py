import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import PEOPLE, draw_photo
from PIL import Image

from kit.benchmarks.synthetic import drawn_photos
from kit.competitions.mask_data import read_layout
from kit.data.plan import read_plan
from kit.data.planning import plan_folds
from kit.data.split import assign_folds, class_counts, imbalance
from kit.folds import main
from kit.system.errors import KitError


def check_plan(photos: pd.DataFrame, folds: int) -> None:
    """The invariants of every plan without linked people."""
    assert photos.groupby("person")["fold"].nunique().max() == 1
    assert sorted(photos["fold"].unique()) == list(range(folds))
    assert imbalance(photos) == []
    counts = class_counts(photos)
    for label in range(18):
        assert np.ptp(counts[:, label]) <= (5 if label < 6 else 1)
    people = photos.drop_duplicates("person")["fold"].value_counts()
    assert people.max() - people.min() <= 1


@pytest.mark.parametrize("seed", range(100))
def test_no_person_straddles_folds_and_classes_are_balanced(seed):
    photos = drawn_photos(400 + seed, seed=seed)
    folds = 2 + seed % 4
    photos["fold"] = assign_folds(photos, folds, seed)
    check_plan(photos, folds)


def test_a_hundred_thousand_photos():
    photos = drawn_photos(14_286)
    photos["fold"] = assign_folds(photos, 5, 42)
    assert len(photos) >= 100_000
    check_plan(photos, 5)


def test_row_order_does_not_matter_and_the_seed_does():
    photos = drawn_photos(400)
    fold = pd.Series(assign_folds(photos, 5, 1), index=photos["image"])
    for seed in range(10):
        mixed = photos.sample(frac=1, random_state=seed)
        again = pd.Series(assign_folds(mixed, 5, 1), index=mixed["image"])
        assert (again[fold.index] == fold).all()
    assert (assign_folds(photos, 5, 2) != fold.to_numpy()).any()


def test_the_split_is_the_same_on_any_machine():
    """A literal: hashes alone decide, no random generator whose stream a library may change."""
    photos = pd.DataFrame(
        {"person": [f"p{i:02d}" for i in range(12)], "age": [20, 35] * 6, "label": [0, 1] * 6}
    )
    assert assign_folds(photos, 3, 42).tolist() == [0, 1, 2, 1, 2, 0, 0, 0, 1, 2, 1, 2]


def test_ages_are_spread_evenly():
    photos = drawn_photos(3000)
    photos["fold"] = assign_folds(photos, 5, 0)
    people = photos.drop_duplicates("person")
    mean = people.groupby([people["label"] % 6, "fold"])["age"].mean().unstack()
    assert (mean.max(axis=1) - mean.min(axis=1)).max() < 0.3


@pytest.mark.parametrize("seed", range(20))
def test_linked_people_share_a_fold(seed):
    photos = drawn_photos(400, seed=seed)
    people = photos["person"].unique()
    rng = np.random.default_rng(seed)
    linked = [tuple(rng.choice(people, 2, replace=False)) for _ in range(15)] + [
        (people[0], people[1]),
        (people[1], people[2]),
    ]
    photos["fold"] = assign_folds(photos, 5, seed, linked)
    fold = photos.drop_duplicates("person").set_index("person")["fold"]
    assert all(fold[a] == fold[b] for a, b in linked)
    assert photos.groupby("person")["fold"].nunique().max() == 1
    assert np.ptp(class_counts(photos)[:, :6], axis=0).max() <= 10


def test_more_folds_than_people_in_a_class():
    photos = pd.DataFrame(
        {
            "person": [f"p{i}" for i in range(13)],
            "age": [20] * 10 + [60] * 3,
            "label": [0] * 10 + [2] * 3,
        }
    )
    with pytest.raises(KitError, match="only 3 people are male and >=60.*--folds 3 or fewer"):
        assign_folds(photos, 5, 0)
    with pytest.raises(KitError, match="at least 2 folds"):
        assign_folds(photos, 1, 0)
    with pytest.raises(
        KitError,
        match="only 2 people are male and >=60 .3, but the leak audit keeps some "
        "together.*--folds 2",
    ):
        assign_folds(photos, 3, 0, [("p10", "p12")])
    alone = pd.DataFrame({"person": ["a", "b", "c"], "age": [20, 20, 60], "label": [0, 0, 2]})
    with pytest.raises(KitError, match="only 1 person is male and >=60"):
        assign_folds(alone, 2, 0)


# ------------------------------------------------------------ corrections


def test_corrections_are_applied_recorded_and_undone(data, tmp_path):
    man, woman = "000000_male_Asian_20", "000009_female_Asian_20"
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(
        f"path,field,value\n{man},gender,female\n{man},age,60\n{woman},swap,incorrect_mask:normal\n"
    )
    plain, _ = plan_folds(data, tmp_path / "plain.csv", folds=2, audit=False)
    fixed, _ = plan_folds(data, tmp_path / "fixed.csv", folds=2, audit=False, corrections=fixes)
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
    undone, _ = plan_folds(data, tmp_path / "undone.csv", folds=2, audit=False)
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


# ------------------------------------------------------------ the command and its bad input


def test_no_data_folder(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIT_DATA", raising=False)
    assert "data: there is no data folder" in fails(main) and "kit.sample" not in fails(
        main, "--folds", "x"
    )
    assert "kit.sample" in fails(main, "--data", "nowhere")
    monkeypatch.setenv("KIT_DATA", "elsewhere")
    assert "elsewhere" in fails(main)
    (tmp_path / "data").mkdir()
    assert "holds no train/train.csv" in fails(main, "--data", "data")


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


def test_too_many_folds_and_an_output_that_exists(data, tmp_path, fails):
    assert "so some folds would have none" in fails(
        main, "--data", data, "--out", tmp_path / "f.csv", "--folds", 4
    )
    (tmp_path / "f.csv").write_text("mine")
    assert "exists already" in fails(
        main, "--data", data, "--out", tmp_path / "f.csv", "--folds", 3
    )
    assert (tmp_path / "f.csv").read_text() == "mine"
    assert (
        main(["--data", str(data), "--out", str(tmp_path / "f.csv"), "--folds", "3", "--force"])
        == 0
    )


def test_input_files_are_never_written_over(data, tmp_path, fails):
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,field,value\n000003_male_Asian_35,age,35\n")
    for out in (data / "train" / "train.csv", data / "eval" / "new.csv", fixes):
        line = fails(
            main, "--data", data, "--folds", 3, "--corrections", fixes, "--out", out, "--force"
        )
        assert "is a place of input files" in line
    assert read_layout(data).people is not None and fixes.read_text().startswith("path,field,value")


def test_korean_paths(data, tmp_path):
    place = tmp_path / "대회 자료"
    data.rename(place)
    assert (
        main(["--data", str(place), "--out", str(tmp_path / "결과" / "folds.csv"), "--folds", "3"])
        == 0
    )


def test_a_misspelt_option_is_named(fails):
    assert "did you mean --folds?" in fails(main, "--fold", "5")
