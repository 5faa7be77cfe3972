"""Confident learning against its definition, and planted errors found."""

import numpy as np
import pandas as pd
import pytest
from helpers import MASK, NUM_CLASSES, age_class, decode, encode

from kit.competition import Competition
from kit.competitions.mask_data import read_corrections
from kit.competitions.mask_labels import SHOTS
from kit.scoring.mislabel import confident_classes, find_mislabelled
from kit.task import Task


def by_definition(probs, labels):
    """Row by row: the class that is the most above its threshold, the mean of it over its own
    labels.
    """
    found = []
    for row in probs:
        above = {
            c: p - np.mean(probs[labels == c, c]) for c, p in enumerate(row) if (labels == c).any()
        }
        found.append(max(above, key=above.get))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_confident_classes_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    probs, labels = (
        rng.dirichlet(np.ones(3), 80),
        rng.integers(0, 3 if seed else 2, 80),
    )  # seed 0: a class without a label
    assert confident_classes(probs, labels).tolist() == by_definition(probs, labels)


def test_confident_classes_by_hand():
    # The thresholds are .85 and .45: the third row has more of class 0, and is more above what
    # class 1 usually has.
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.55, 0.45]])
    assert confident_classes(probs, np.array([0, 0, 1, 1])).tolist() == [0, 0, 1, 1]
    assert confident_classes(
        np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]]), np.array([0, 1, 0])
    ).tolist() == [0, 1, 1]


def make_photos(people, seed):
    """People as a plan has them, and probabilities of a network that is right, more or
    less surely.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(people):
        gender, age = int(rng.integers(2)), int(rng.integers(18, 76))
        for shot, mask in SHOTS.items():
            rows.append(
                (
                    f"p{i:03d}/{shot}.jpg",
                    f"p{i:03d}",
                    age,
                    int(encode(mask, gender, age_class(np.array(age)))),
                    i % 5,
                )
            )
    photos = pd.DataFrame(rows, columns=["image", "group", "age", "label", "fold"])
    sure = rng.uniform(0.6, 0.95, len(photos))
    probs = np.full((len(photos), NUM_CLASSES), 0.0) + ((1 - sure) / (NUM_CLASSES - 1))[:, None]
    probs[np.arange(len(photos)), photos["label"]] = sure
    return photos, probs


def relabel(photos, person, field, value):
    own = photos["group"] == person
    mask, gender, age = decode(photos["label"].to_numpy())
    if field == "gender":
        gender = np.where(own, value, gender)
    elif field == "age":
        photos["age"] = photos["age"].where(~own, value)
        age = np.where(own, age_class(np.array(value)), age)
    else:
        a, b = (photos.index[photos["image"] == f"{person}/{shot}.jpg"][0] for shot in value)
        mask = mask.copy()
        mask[[a, b]] = mask[[b, a]]
    photos["label"] = encode(mask, gender, age)


@pytest.mark.parametrize("seed", range(10))
def test_planted_errors_are_found_and_their_lines_undo_them(tmp_path, seed):
    photos, probs = make_photos(60, seed)
    truth = photos["label"].copy()
    _, gender, age = decode(truth.to_numpy())
    flipped, aged, swapped = 3, next(i for i in range(8, 60) if photos["age"][7 * i] < 26), 5
    relabel(photos, f"p{flipped:03d}", "gender", 1 - gender[7 * flipped])
    relabel(photos, f"p{aged:03d}", "age", 60)
    relabel(photos, f"p{swapped:03d}", "swap", ("incorrect_mask", "normal"))
    found = find_mislabelled(photos, photos["label"].to_numpy(), probs, MASK)
    assert {(s.path, s.field) for s in found[:3]} == {
        (f"p{flipped:03d}", "gender"),
        (f"p{aged:03d}", "age"),
        (f"p{swapped:03d}", "swap"),
    }
    # The lines are a corrections file, and bring the labels back.
    path = tmp_path / "fixes.csv"
    path.write_text("path,field,value\n" + "".join(s.line + "\n" for s in found[:3]))
    for fix in read_corrections(path):
        value = {
            "gender": ["male", "female"].index(fix.value) if fix.field == "gender" else None,
            "age": int(fix.value) if fix.field == "age" else None,
            "swap": tuple(fix.value.split(":")),
        }[fix.field]
        relabel(photos, fix.path, fix.field, value)
    assert (photos["label"] == truth).all()
    for s in found[:3]:
        assert (
            s.suggested_prob > s.given_prob
            and s.z_score > 2
            and set(s.images) <= set(photos["image"])
        )


def test_nothing_is_found_where_the_network_agrees():
    for seed in range(5):
        photos, probs = make_photos(40, seed)
        assert find_mislabelled(photos, photos["label"].to_numpy(), probs, MASK) == []


def test_an_age_beside_a_boundary_is_nothing_strange():
    """A person of 29 who is taken for 30 to 59 is nothing strange where the others of about that
    age are, one of 20 is.
    """
    photos, probs = make_photos(60, 1)
    years = np.repeat([20] * 24 + [29] * 24 + [45] * 12, 7)
    mask, gender, _ = decode(photos["label"].to_numpy())
    photos["age"], photos["label"] = years, encode(mask, gender, age_class(years))
    probs = np.full((len(photos), NUM_CLASSES), 0.01)
    seen = encode(mask, gender, age_class(years))
    old = encode(mask, gender, np.ones_like(mask))
    person = np.arange(len(photos)) // 7
    seen = np.where(
        (years == 29) & (person % 3 > 0) | (person == 3), old, seen
    )  # most of 29, and one of 20
    probs[np.arange(len(photos)), seen] = 0.83
    found = find_mislabelled(photos, photos["label"].to_numpy(), probs, MASK)
    assert (
        [s.line for s in found] == ["p003,age,30"]
        and found[0].given == "<30 (20)"
        and found[0].z_score > 2
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_people_and_their_names_say_nothing(seed):
    photos, probs = make_photos(80, seed)
    photos["age"] = np.where(
        photos["age"] > 50, 60, photos["age"]
    )  # more of one age than are looked at
    mask, gender, _ = decode(photos["label"].to_numpy())
    photos["label"] = encode(mask, gender, age_class(photos["age"].to_numpy()))
    rng = np.random.default_rng(seed)
    probs = (
        0.5 * probs
        + 0.5 * rng.dirichlet(np.full(NUM_CLASSES, 0.2), 80)[np.arange(len(photos)) // 7]
    )
    found = find_mislabelled(photos, photos["label"].to_numpy(), probs, MASK)
    names = dict(zip(photos["group"].unique(), [f"q{i:03d}" for i in rng.permutation(80)]))
    renamed = photos.assign(
        group=photos["group"].map(names), image=[f"{names[i[:4]]}{i[4:]}" for i in photos["image"]]
    )
    order = rng.permutation(len(photos))
    shuffled = renamed.iloc[order].reset_index(drop=True)
    again = find_mislabelled(shuffled, shuffled["label"].to_numpy(), probs[order], MASK)
    old = {names[s.path] + s.line[4:]: s.score for s in found}
    assert len(found) > 10 and {s.line: s.score for s in again} == pytest.approx(old)


def test_without_groups_a_photo_is_judged_by_itself():
    """Of three shapes, photos are their own groups: the line names the photo, the task, a class."""
    shapes = ("circle", "square", "triangle")
    competition = Competition(name="shapes", tasks=(Task("shape", shapes),), frame=(64, 96))
    labels, rng = np.repeat(np.arange(3), 20), np.random.default_rng(0)
    names = [f"{n:02d}.jpg" for n in range(60)]
    probs = np.full((60, 3), 0.05)
    probs[np.arange(60), labels] = 0.9
    probs += rng.uniform(0, 0.02, probs.shape)
    labels[7] = 2  # a circle
    photos = pd.DataFrame({"image": names, "group": names, "label": labels})
    (found,) = find_mislabelled(photos, photos["label"].to_numpy(), probs, competition)
    assert (found.line, found.given, found.suggested) == (
        "07.jpg,shape,circle",
        "triangle",
        "circle",
    )
    assert found.images == ("07.jpg",) and found.z_score > 4


def test_the_nearest_number_of_another_class_is_suggested():
    task = Task("size", ("small", "middle", "large"), column="cm", edges=(10, 20))
    competition = Competition(name="sheets", tasks=(task,), frame=(8, 8))
    numbers = np.repeat([5, 15, 25], 30)
    labels = task.class_of(numbers)
    seen = labels.copy()
    seen[[0, 31, 61]] = [2, 0, 1]  # 5 as large, 15 as small, 25 as middle
    probs = np.full((90, 3), 0.05)
    probs[np.arange(90), seen] = 0.9
    names = [f"{n:02d}.jpg" for n in range(90)]
    photos = pd.DataFrame({"image": names, "group": names, "cm": numbers, "label": labels})
    found = find_mislabelled(photos, photos["label"].to_numpy(), probs, competition)
    assert sorted(s.line for s in found) == ["00.jpg,size,20", "31.jpg,size,9", "61.jpg,size,19"]
    assert {s.given for s in found} == {"small (5)", "middle (15)", "large (25)"}
