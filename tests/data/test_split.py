"""The split: every group in one fold, and classes balanced."""

import numpy as np
import pandas as pd
import pytest
from helpers import MASK, age_class, encode

from kit.competition import Competition
from kit.competitions.mask_labels import SHOTS
from kit.data.split import assign_folds, class_counts, imbalance
from kit.data.targets import as_texts
from kit.system.errors import KitError
from kit.task import STRATUM, Task


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
    row = np.arange(70)
    people = pd.DataFrame(
        {
            "group": [f"p{n % 35:02d}" for n in row],
            "age": 18 + row % 35 % 11 * 3,
            "label": row % 35 % 2 * 3 + (row % 35 % 11 * 3 >= 12),
        }
    )
    links = [("p03", "p04"), ("p04", "p30"), ("p07", "p08"), ("p10", "p12"), ("p21", "p20")]
    for photos, competition, linked, folds in (
        (people, MASK, [], "01110010331303212321021032323210202"),
        (people, MASK, links, "01311100023333212211221002333013202"),
        (
            people.drop(index=[40, 61, 62]),
            MASK,
            links,
            "2011121333212021012200330310301232020111133321202101220033033012320",
        ),
        (
            people.assign(label=row * row % 5, **{f"{STRATUM}site": row % 7 % 3}),
            one_task(),
            links[:2],
            "0201131202231000332033131212101232002011312022310003320331312121012320",
        ),
        (
            people.assign(label=as_texts((row[:, None] * [1, 3, 5, 9] % 11 < 4).astype(np.uint8))),
            Competition(name="x", kind="labels", classes=tuple("abcd")),
            links,
            "3211103001323033221222001103021320132111030013230332212220011030213201",
        ),
    ):
        found = assign_folds(photos, competition, 4, 7, linked)
        assert "".join(map(str, found[: len(folds)])) == folds


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
    said = "--folds 5: only 3 people are male and >=60, so some folds would have none of that class"
    with pytest.raises(KitError, match=f"^{said}; take --folds 3 or fewer$"):
        assign_folds(photos, MASK, 5, 0)
    with pytest.raises(KitError, match="take 2 or more"):
        assign_folds(photos, MASK, 1, 0)
    with pytest.raises(
        KitError,
        match="only 2 people are male and >=60 .3, but the leak audit keeps some "
        "together.*--folds 2",
    ):
        assign_folds(photos, MASK, 3, 0, [("p10", "p12")])
    alone = pd.DataFrame({"group": ["a", "b", "c"], "age": [20, 20, 60], "label": [0, 0, 2]})
    said = "only 1 person is male and >=60, so .*; add people of that class, or take them out of "
    with pytest.raises(KitError, match=f"{said}train.csv$"):
        assign_folds(alone, MASK, 2, 0)
    # Of two that are too small the smaller one is named; one that nobody is of is not.
    both = pd.DataFrame({"group": list("abcdef"), "age": [20] * 6, "label": [0, 0, 0, 3, 3, 0]})
    with pytest.raises(KitError, match="--folds 5: only 2 people are female and <30"):
        assign_folds(both, MASK, 5, 0)
    fold = assign_folds(both, MASK, 2, 0)
    assert sorted(fold[[3, 4]]) == [0, 1] and np.bincount(fold).tolist() == [3, 3]
    # A link within a class takes one of its groups away, a link of two classes none.
    assert sorted(assign_folds(both, MASK, 2, 0, [("c", "d")])[[3, 4]]) == [0, 1]
    with pytest.raises(KitError, match="only 3 people are male and <30 .4, but the leak audit"):
        assign_folds(both[both["label"] == 0], MASK, 4, 0, [("a", "b")])


def test_a_class_whose_folds_differ_by_more_than_a_group_is_told():
    photos = pd.DataFrame(
        {
            "group": list("aabbcdde"),
            "label": [0, 0, 0, 1, 0, 2, 2, 0],
            "fold": [0, 0, 0, 1, 1, 1, 1, 0],
        }
    )
    assert class_counts(photos, one_task()).tolist() == [[4, 0, 0, 0, 0], [1, 1, 2, 0, 0]]
    # One group has 2 photos of the first class at most, and the folds differ by 3.
    assert imbalance(photos, one_task()) == ["class 0 (a): 1 to 4 photos a fold"]
    photos.loc[4, "group"] = "b"
    photos.loc[3, "fold"] = 0
    assert imbalance(photos, one_task()) == ["class 0 (a): 1 to 4 photos a fold"]
    photos.loc[2, "fold"] = 1
    assert imbalance(photos, one_task()) == []


def one_task(**changes) -> Competition:
    """A competition of five classes, of which a group may have several."""
    task = Task("class", tuple("abcde"), of_group=False)
    return Competition(name="x", kind="classes", tasks=(task,), group="subject", **changes)


@pytest.mark.parametrize("seed", range(10))
def test_few_groups_that_hold_all_classes_are_balanced(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 30, (20, 5))
    rows = [(f"s{g}", c) for g in range(20) for c in range(5) for _ in range(sizes[g, c])]
    photos = pd.DataFrame(rows, columns=["group", "label"])
    photos["fold"] = assign_folds(photos, one_task(), 4, seed)
    counts = class_counts(photos, one_task())
    assert (
        photos.groupby("group")["fold"].nunique().max() == 1 and imbalance(photos, one_task()) == []
    )
    assert (np.ptp(counts, axis=0) < 0.25 * counts.mean(axis=0)).all()
    mixed = photos.sample(frac=1, random_state=seed)
    assert (assign_folds(mixed, one_task(), 4, seed) == mixed["fold"]).all()


@pytest.mark.parametrize("seed", range(10))
def test_several_labels_are_balanced_and_linked_groups_share_a_fold(seed):
    competition = Competition(name="x", kind="labels", classes=tuple("abcdef"))
    rng = np.random.default_rng(seed)
    table = rng.random((200, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.03])
    photos = pd.DataFrame({"group": [f"p{n}" for n in range(200)], "label": as_texts(table)})
    linked = [("p0", "p1"), ("p1", "p2"), ("p7", "p9")]
    photos["fold"] = assign_folds(photos, competition, 5, seed, linked)
    fold = dict(zip(photos["group"], photos["fold"]))
    assert all(fold[a] == fold[b] for a, b in linked) and imbalance(photos, competition) == []
    assert np.ptp(class_counts(photos, competition), axis=0).max() <= 2
    assert np.ptp(np.bincount(photos["fold"])) <= 2
    mixed = photos.sample(frac=1, random_state=seed)
    again = assign_folds(mixed, competition, 5, seed, linked)
    assert (again == mixed["fold"]).all()


@pytest.mark.parametrize("seed", range(10))
def test_photos_are_balanced_where_groups_differ_in_size(seed):
    competition = Competition(name="x", kind="classes", classes=tuple("abc"), group="patient")
    rng = np.random.default_rng(seed)
    sizes = np.maximum(1, rng.exponential(8, 150).astype(int))
    group = np.repeat([f"g{n}" for n in range(150)], sizes)
    photos = pd.DataFrame({"group": group, "label": np.repeat(rng.integers(0, 3, 150), sizes)})
    photos["fold"] = assign_folds(photos, competition, 5, seed)
    assert photos.groupby("group")["fold"].nunique().max() == 1
    assert np.ptp(class_counts(photos, competition), axis=0).max() <= 2


def test_columns_to_balance_besides():
    photos = pd.DataFrame(
        {
            "group": [f"p{n}" for n in range(80)],
            "label": [n % 5 for n in range(80)],
            f"{STRATUM}site": ["x" if n < 20 else "y" for n in range(80)],
        }
    )
    photos["fold"] = assign_folds(photos, one_task(), 4, 0)
    assert np.ptp(class_counts(photos, one_task()), axis=0).max() <= 1
    sites = photos.groupby([f"{STRATUM}site", "fold"]).size().unstack()
    assert np.ptp(sites.to_numpy(), axis=1).max() <= 1


def test_several_tasks_are_balanced_one_by_one():
    tasks = tuple(Task(name, tuple("abc"), of_group=False) for name in "xy")
    competition = Competition(name="x", kind="tasks", tasks=tasks)
    rng = np.random.default_rng(0)
    photos = pd.DataFrame({"group": [f"p{n}" for n in range(90)], "label": rng.integers(0, 9, 90)})
    photos["fold"] = assign_folds(photos, competition, 3, 0)
    for answers in competition.decode(photos["label"].to_numpy()):
        counts = pd.crosstab(photos["fold"], answers).to_numpy()
        assert np.ptp(counts, axis=0).max() <= 1


@pytest.mark.parametrize("sizes", [1, 2])
def test_a_class_may_be_rarer_than_folds_where_it_is_the_only_task(sizes):
    label = [*range(12), *[12] * 40]
    photos = pd.DataFrame({"group": [f"g{n:02d}" for n in range(52)], "label": label})
    photos = pd.concat([photos, photos.tail(10 * sizes - 10)], ignore_index=True)
    competition = Competition(name="x", classes=tuple("abcdefghijklm"))
    photos["fold"] = assign_folds(photos, competition, 5, 0)
    counts = class_counts(photos, competition)
    assert np.ptp(counts.sum(axis=1)) <= 1 and np.ptp(counts[:, 12]) <= 2
    assert all(np.count_nonzero(counts[:, rare]) == 1 for rare in range(12))


def test_fewer_groups_than_folds_of_any_class():
    photos = pd.DataFrame({"group": ["a", "b", "c"] * 2, "label": [0, 1, 2, 3, 4, 0]})
    with pytest.raises(KitError, match="--folds 4: only 3 subjects can be parted; take --folds 3"):
        assign_folds(photos, one_task(), 4, 0)
    with pytest.raises(KitError, match="only 2 subjects can be parted"):
        assign_folds(photos, one_task(), 3, 0, [("a", "b")])
