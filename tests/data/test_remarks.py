"""Remarks on a plan: balance, look-alikes with different labels, parted look-alikes."""

import shutil

import pandas as pd
from pets_folder import pets, usual, usual_folder

from kit.data.definition import complete
from kit.data.folder import DataFolder
from kit.data.planning import PlanOptions, plan_folds
from kit.data.remarks import balance_remarks

FOLDS = PlanOptions(folds=2)


def planned(root, copies: dict[str, str], **options):
    """The plan and the remarks of a folder in which some photos are copies of others."""
    place, given = usual_folder(root / "data", **options)
    for copy, original in copies.items():
        shutil.copy(place / "train" / f"{original}.jpg", place / "train" / f"{copy}.jpg")
    data = DataFolder(place, complete(given, place))
    return plan_folds(data, root / "folds.csv", FOLDS)


def test_copies_without_a_group_share_a_fold_and_with_other_labels_are_suspects(tmp_path):
    plan, remarks = planned(tmp_path, {"p03": "p00", "p04": "p02"})
    fold = dict(zip(plan.photos["image"], plan.photos["fold"]))
    assert fold["train/p03.jpg"] == fold["train/p00.jpg"]
    assert fold["train/p04.jpg"] == fold["train/p02.jpg"]
    assert len(plan.meta["audit"]["links"]) == 2
    (suspect,) = plan.meta["audit"]["suspects"]
    assert (suspect["label_a"], suspect["label_b"]) == ("beagle", "corgi")
    assert remarks[0].startswith("1 pairs of look-alikes have different labels, so one of each")
    assert "the first: train/p02.jpg (beagle) and train/p04.jpg (corgi)" in remarks[0]


def test_copies_of_different_labels_in_a_list(tmp_path):
    table = pets().assign(breed=["a b", "a", "b", "c"] * 3)
    plan, _ = planned(tmp_path, {"p01": "p00"}, table=table)
    (suspect,) = plan.meta["audit"]["suspects"]
    assert (suspect["label_a"], suspect["label_b"]) == ("a b", "a")


def test_own_folds_may_part_look_alikes(tmp_path):
    table = pets().assign(part=["0", "1"] * 6)
    plan, remarks = planned(tmp_path, {"p03": "p00"}, table=table, fold="part")
    assert plan.photos["fold"].tolist() == [0, 1] * 6 and plan.meta["folds"] == 2
    assert remarks[0].startswith(
        "the 2 folds are those of column 'part': --folds and --seed change"
    )
    assert remarks[1].startswith("the folds of column 'part' part 1 pairs of look-alikes")


def photos_of(labels: list[int], folds: list[int], groups: list[str] | None = None):
    groups = groups or [f"g{n}" for n in range(len(labels))]
    return pd.DataFrame({"group": groups, "label": labels, "fold": folds})


def test_classes_that_a_fold_lacks_or_that_no_photo_has():
    competition = usual(classes=("a", "b", "c"))
    assert balance_remarks(photos_of([0, 0, 1, 1], [0, 1, 0, 0]), competition) == [
        "class 1 (b): 0 to 2 photos a fold",
        "1 of 3 classes have no photo in some folds, the first: b",
        "1 of 3 classes have no photo, the first: c",
    ]
    macro = usual(classes=("a", "b", "c"), metric="f1_macro")
    assert balance_remarks(photos_of([0, 0, 1, 1], [0, 1, 0, 1]), macro) == [
        "1 of 3 classes have no photo, the first: c; each counts 0 in macro-F1"
    ]


def test_many_classes_are_one_line():
    names = tuple(f"c{n}" for n in range(30))
    photos = photos_of([n for n in range(30) for _ in range(4)], [0, 0, 0, 1] * 30)
    (line,) = balance_remarks(photos, usual(classes=names))
    assert line.startswith("30 classes differ between folds by more photos than one group makes")
