"""The split: every group in one fold, and classes balanced."""

import numpy as np
import pandas as pd
import pytest
from helpers import MASK, age_class, encode

from kit.competitions.mask_labels import SHOTS
from kit.data.split import assign_folds, class_counts, imbalance
from kit.system.errors import KitError


def drawn_table(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, group, age, label` of people of the mask competition, without photos."""
    rng = np.random.default_rng(seed)
    adult = np.where(
        rng.random(people) < 0.5, rng.integers(18, 30, people), rng.integers(30, 60, people)
    )
    years = np.where(rng.random(people) < 0.07, 60, adult)
    gender = np.where(rng.random(people) < 0.6, 1, 0)
    names = [
        f"{i:06d}_{('male', 'female')[g]}_Asian_{y}" for i, (g, y) in enumerate(zip(gender, years))
    ]
    n = len(SHOTS)
    group, age = np.repeat(np.array(names, dtype=object), n), np.repeat(years, n)
    mask = np.tile(list(SHOTS.values()), people)
    label = encode(mask, np.repeat(gender, n), age_class(age))
    image = group + "/" + np.tile(np.array(list(SHOTS), dtype=object), people) + ".jpg"
    return pd.DataFrame({"image": image, "group": group, "age": age, "label": label})


def check_plan(photos: pd.DataFrame, folds: int) -> None:
    """The invariants of every plan without linked people."""
    assert photos.groupby("group")["fold"].nunique().max() == 1
    assert sorted(photos["fold"].unique()) == list(range(folds))
    assert imbalance(photos, MASK) == []
    counts = class_counts(photos, MASK)
    for label in range(18):
        assert np.ptp(counts[:, label]) <= (5 if label < 6 else 1)
    people = photos.drop_duplicates("group")["fold"].value_counts()
    assert people.max() - people.min() <= 1


@pytest.mark.parametrize("seed", range(100))
def test_no_person_straddles_folds_and_classes_are_balanced(seed):
    photos = drawn_table(400 + seed, seed=seed)
    folds = 2 + seed % 4
    photos["fold"] = assign_folds(photos, MASK, folds, seed)
    check_plan(photos, folds)


def test_a_hundred_thousand_photos():
    photos = drawn_table(14_286)
    photos["fold"] = assign_folds(photos, MASK, 5, 42)
    assert len(photos) >= 100_000
    check_plan(photos, 5)


def test_row_order_does_not_matter_and_the_seed_does():
    photos = drawn_table(400)
    fold = pd.Series(assign_folds(photos, MASK, 5, 1), index=photos["image"])
    for seed in range(10):
        mixed = photos.sample(frac=1, random_state=seed)
        again = pd.Series(assign_folds(mixed, MASK, 5, 1), index=mixed["image"])
        assert (again[fold.index] == fold).all()
    assert (assign_folds(photos, MASK, 5, 2) != fold.to_numpy()).any()


def test_the_split_is_the_same_on_any_machine():
    """A literal: hashes alone decide, no random generator whose stream a library may change."""
    photos = pd.DataFrame(
        {"group": [f"p{i:02d}" for i in range(12)], "age": [20, 35] * 6, "label": [0, 1] * 6}
    )
    assert assign_folds(photos, MASK, 3, 42).tolist() == [0, 1, 2, 1, 2, 0, 0, 0, 1, 2, 1, 2]


def test_ages_are_spread_evenly():
    photos = drawn_table(3000)
    photos["fold"] = assign_folds(photos, MASK, 5, 0)
    people = photos.drop_duplicates("group")
    mean = people.groupby([people["label"] % 6, "fold"])["age"].mean().unstack()
    assert (mean.max(axis=1) - mean.min(axis=1)).max() < 0.3


@pytest.mark.parametrize("seed", range(20))
def test_linked_people_share_a_fold(seed):
    photos = drawn_table(400, seed=seed)
    people = photos["group"].unique()
    rng = np.random.default_rng(seed)
    linked = [tuple(rng.choice(people, 2, replace=False)) for _ in range(15)] + [
        (people[0], people[1]),
        (people[1], people[2]),
    ]
    photos["fold"] = assign_folds(photos, MASK, 5, seed, linked)
    fold = photos.drop_duplicates("group").set_index("group")["fold"]
    assert all(fold[a] == fold[b] for a, b in linked)
    assert photos.groupby("group")["fold"].nunique().max() == 1
    assert np.ptp(class_counts(photos, MASK)[:, :6], axis=0).max() <= 10


def test_more_folds_than_people_in_a_class():
    photos = pd.DataFrame(
        {
            "group": [f"p{i}" for i in range(13)],
            "age": [20] * 10 + [60] * 3,
            "label": [0] * 10 + [2] * 3,
        }
    )
    with pytest.raises(KitError, match="only 3 people are male and >=60.*--folds 3 or fewer"):
        assign_folds(photos, MASK, 5, 0)
    with pytest.raises(KitError, match="at least 2 folds"):
        assign_folds(photos, MASK, 1, 0)
    with pytest.raises(
        KitError,
        match="only 2 people are male and >=60 .3, but the leak audit keeps some "
        "together.*--folds 2",
    ):
        assign_folds(photos, MASK, 3, 0, [("p10", "p12")])
    alone = pd.DataFrame({"group": ["a", "b", "c"], "age": [20, 20, 60], "label": [0, 0, 2]})
    with pytest.raises(KitError, match="only 1 person is male and >=60"):
        assign_folds(alone, MASK, 2, 0)
