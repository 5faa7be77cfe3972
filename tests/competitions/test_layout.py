"""A drawn data set in a competition's layout."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kit.competition import Competition
from kit.competitions.layout import Layout
from kit.system.errors import KitError


def digests(folder):
    """The hashes of a folder's files by their places."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read(path):
    """A table as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


GROUPED = Competition(
    name="grouped",
    train="labels.csv",
    image="train/{what}/{id}.jpg",
    target="what",
    group="who",
    test_image="test/{id}.jpg",
)
LOOK = Layout(
    classes=("a", "b", "c"),
    train={"who": "w{group}", "id": "{number}", "what": "{label}"},
    answers={"id": "{number}", "what": "{label}"},
    size=(24, 32),
)


def test_tables_name_the_photos_that_are_there(tmp_path):
    out = LOOK.draw(GROUPED, tmp_path / "s", 9, 4, 0, False)
    train, sample, truth = (
        read(out / name) for name in ("labels.csv", "sample_submission.csv", "answers.csv")
    )
    places = {f"train/{what}/{i}.jpg" for what, i in zip(train["what"], train["id"])}
    places |= {f"test/{i}.jpg" for i in sample["id"]}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.jpg")} == places
    assert len(places) == len(train) + len(sample)
    assert train["who"].nunique() == 9 and train["what"].value_counts().min() > 9
    assert train.groupby("who")["what"].nunique().max() == 3
    assert set(sample["what"]) == {"0"} and set(truth["what"]) == {"a", "b", "c"}
    assert sample["id"].tolist() == truth["id"].tolist()
    with Image.open(next(out.rglob("*.jpg"))) as photo:
        assert photo.size == (32, 24)


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    one, same, other = (
        digests(LOOK.draw(GROUPED, tmp_path / name, 6, 2, seed, False))
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert one == same and not set(one.values()) & set(other.values())


def test_a_group_has_one_class_and_classes_come_as_often_as_asked(tmp_path):
    look = Layout(
        classes=("a", "b"),
        train=LOOK.train,
        answers=LOOK.answers,
        one_class=True,
        shares=(0.9, 0.1),
    )
    train = read(look.draw(GROUPED, tmp_path / "s", 40, 2, 0, False) / "labels.csv")
    assert train.groupby("who")["what"].nunique().max() == 1
    assert 0.75 < (train["what"] == "a").mean() < 0.99


def test_false_labels_are_as_many_as_asked(tmp_path):
    right, wrong = (
        read(
            Layout(
                classes=("a", "b", "c"),
                train={"id": "{number}", "what": "{label}"},
                answers=LOOK.answers,
                image="train/{id}.jpg",
                size=(8, 8),
                wrong=share,
            ).draw(Competition(name="x", test_image="{id}.jpg"), tmp_path / f"{share}", 60, 1, 0, 0)
            / "train.csv"
        ).set_index("id")["what"]
        for share in (0.0, 0.3)
    )
    differ = (right != wrong.reindex(right.index)).mean()
    assert 0.12 < differ < 0.28  # one in three of the others is right by chance


def test_several_labels_columns_channels_and_tasks(tmp_path):
    channels = ("train/{id}_red.png", "train/{id}_green.png")
    competition = Competition(name="x", image=channels, test_image=("a/{id}.png", "b/{id}.png"))
    look = Layout(
        classes=("a", "b", "c"),
        train={"id": "{number}", "*": "", "Target": "{labels}"},
        answers={"id": "{number}", "Predicted": "{labels}"},
        several=True,
        empty=0.2,
        size=(8, 8),
    )
    out = look.draw(competition, tmp_path / "s", 12, 3, 0, False)
    train = read(out / "train.csv")
    has = train[["a", "b", "c"]].astype(int).to_numpy()
    assert {0, 1, 2} <= set(has.sum(axis=1))
    named = [" ".join(np.array(["a", "b", "c"])[row > 0]) for row in has]
    assert named == train["Target"].tolist()
    assert len(list(out.glob("train/*.png"))) == 2 * len(train)
    with Image.open(next(out.glob("a/*.png"))) as photo:
        assert photo.mode == "L"
    tasks = Layout(
        tasks={"root": ("0", "1", "2"), "vowel": ("0", "1")},
        train={"image_id": "Train_{number}", "root": "{root}", "vowel": "{vowel}"},
        test={"image_id": "Test_{number}"},
        answers={"row_id": "Test_{number}_{task}", "target": "{answer}"},
        image="i/{image_id}.png",
        size=(8, 8),
    )
    long = Competition(name="y", test="test.csv", test_image="i/{image_id}.png")
    out = tasks.draw(long, tmp_path / "t", 6, 2, 0, False)
    sample, test = read(out / "sample_submission.csv"), read(out / "test.csv")
    assert len(sample) == 2 * len(test) and sample["row_id"][0].endswith("_root")
    assert sample["row_id"][1] == f"{test['image_id'][0]}_vowel"


@pytest.mark.parametrize("groups, test_groups, told", [(5, 1, "--groups"), (6, 0, "--test-groups")])
def test_too_few_groups_are_one_line(tmp_path, groups, test_groups, told):
    with pytest.raises(KitError, match=f"^{told}: is "):
        LOOK.draw(GROUPED, tmp_path / "s", groups, test_groups, 0, False)
    assert not (tmp_path / "s").exists()
