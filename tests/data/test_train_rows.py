"""Rows of training photos: tables, globs of photos, patterns, groups and own folds."""

import numpy as np
import pandas as pd
import pytest
from helpers import draw_photo
from pets_folder import pets, usual, usual_folder

from kit.data.train_rows import has_training, in_order, is_glob, own_folds, read_rows, table_hash
from kit.system.errors import KitError

GLOB = {"train": "train/*/*.jpg", "image": "", "target": "folder"}


@pytest.fixture
def root(tmp_path):
    """A folder of photos without a table: `train/<animal>/<animal>.<number>.jpg`."""
    for n in range(6):
        animal = ("cat", "dog")[n % 2]
        (tmp_path / "train" / animal).mkdir(parents=True, exist_ok=True)
        draw_photo(tmp_path / "train" / animal / f"{animal}.{n // 2}.jpg", n, (24, 16))
    (tmp_path / "train" / "cat" / "._cat.0.jpg").touch()
    return tmp_path


def test_a_glob_is_a_table_of_paths(root):
    rows = read_rows(usual(**GLOB), root)
    assert rows.images == [f"train/{a}/{a}.{n}.jpg" for a in ("cat", "dog") for n in range(3)]
    assert rows.targets["folder"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert rows.table["name"].tolist()[0] == "cat.0" and list(rows.table) == [
        "path", "name", "folder",
    ]  # fmt: skip
    assert rows.groups.tolist() == rows.images


def test_patterns_find_classes_and_groups_in_the_path(root):
    patterns = {"target_pattern": r"([a-z]+)\.[0-9]+\.jpg$", "group_pattern": r"([0-9]+)\.jpg$"}
    competition = usual(**GLOB | {"target": ""} | patterns)
    assert competition.group == "group" and competition.groups == "groups"
    rows = read_rows(competition, root)
    assert rows.targets.iloc[:, 0].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert rows.groups.tolist() == ["0", "1", "2"] * 2
    for field in patterns:
        wrong = usual(**GLOB | patterns | {field: "train/(cat)"})
        with pytest.raises(KitError, match=f"{field}: .*none of some paths .3 found, .*dog/dog.0"):
            read_rows(wrong, root)


def test_a_glob_s_mistakes_are_told(root):
    with pytest.raises(KitError, match=r"holds no photo train/\*/\*.png; mend train"):
        read_rows(usual(**GLOB | {"train": "train/*/*.png"}), root)
    with pytest.raises(
        KitError, match="has no column 'breed'; .* the columns are path, name, folder"
    ):
        read_rows(usual(**GLOB | {"target": "breed"}), root)


def test_whether_training_photos_are_there_and_have_changed(root):
    assert is_glob("a/*.jpg") and is_glob("[ab].jpg") and not is_glob("train.csv")
    competition = usual(**GLOB)
    assert has_training(root, competition) and not has_training(root, usual())
    before = table_hash(root, competition)
    assert before == table_hash(root, competition)
    (root / "train" / "cat" / "cat.9.jpg").write_bytes(b"new")
    assert table_hash(root, competition) != before


def test_a_table_with_tabs(tmp_path):
    root, competition = usual_folder(tmp_path, train="labels.tsv")
    assert "\t" in (root / "labels.tsv").read_text()
    assert read_rows(competition, root).targets["breed"].tolist() == pets()["breed"].tolist()


def test_the_image_is_the_first_column_where_no_template_is_given(tmp_path):
    root, competition = usual_folder(tmp_path)
    assert read_rows(usual(image=""), root).images == pets()["id"].tolist()


def test_photos_without_a_group_are_groups_of_their_own(tmp_path):
    train = pets().assign(owner=["", "a", "a", "b", "b", ""] * 2)
    rows = read_rows(*usual_folder(tmp_path, table=train, group="owner")[::-1])
    assert rows.groups.tolist()[:6] == ["train/p00.jpg", "a", "a", "b", "b", "train/p05.jpg"]


def test_own_folds_are_numbered_in_order_and_keep_groups_whole(tmp_path):
    train = pets().assign(fold=np.repeat(["10", "9", "2"], 4))
    root, competition = usual_folder(tmp_path, table=train, group="owner", fold="fold")
    rows = read_rows(competition, root)
    assert own_folds(competition, rows).tolist() == [2] * 4 + [1] * 4 + [0] * 4
    assert in_order(["b", "10", "9", "b"]) == ["10", "9", "b"] and in_order(["10", "9"]) == [
        "9",
        "10",
    ]


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        (["0", "1"] * 6, "column 'fold' splits owners between folds .6 found, the first: o0"),
        (["0"] * 12, "column 'fold' has one fold alone"),
        (["0"] * 10 + [""] * 2, "gives no fold to some photos .2 found, the first: train/p10.jpg"),
    ],
)
def test_own_folds_that_do_not_fit(tmp_path, folds, said):
    train = pets().assign(fold=folds)
    root, competition = usual_folder(tmp_path, table=train, group="owner", fold="fold")
    with pytest.raises(KitError, match=said):
        own_folds(competition, read_rows(competition, root))


def test_a_number_column_of_a_task_must_be_there(tmp_path):
    from kit.task import Task

    root, competition = usual_folder(tmp_path, tasks=(Task("breed", ("a", "b"), column="years"),))
    with pytest.raises(KitError, match="has no column 'years', which tasks names"):
        read_rows(competition, root)
    assert isinstance(pets(), pd.DataFrame)
