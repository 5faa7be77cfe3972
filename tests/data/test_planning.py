"""From a folder to its plan: what it records, remarks and refuses."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from helpers import MASK, make_data, mask_folder

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.system.errors import KitError
from kit.task import Task, TrainingPhotos

QUICK = PlanOptions(folds=3, audit=False)
GOOD = pd.DataFrame(
    {"image": ["a.jpg", "b.jpg"], "group": ["a", "b"], "years": [1, 5], "label": [0, 1]}
)
TASK = Task("kind", ("young", "old"), "years", (3,))


def test_a_plan_records_what_it_was_made_of_and_is_the_file_that_it_wrote(data, tmp_path):
    place = mask_folder(data)
    plan, remarks = plan_folds(place, tmp_path / "folds.csv", QUICK)
    assert remarks == [] and read_plan(tmp_path / "folds.csv").photos.equals(plan.photos)
    assert (plan.meta["folds"], plan.meta["seed"], plan.meta["photos"]) == (3, 42, 126)
    assert plan.meta["groups"] == 18 and plan.meta["corrections"] == []
    assert plan.meta["audit"] == {"done": False, "links": [], "test": [], "damaged": []}
    again, _ = plan_folds(place, tmp_path / "again.csv", QUICK)
    assert again.hash == plan.hash and again.meta["data"] == plan.meta["data"]
    other, _ = plan_folds(place, tmp_path / "other.csv", dataclasses.replace(QUICK, seed=1))
    assert other.hash != plan.hash
    with pytest.raises(KitError, match="exists already"):
        plan_folds(place, tmp_path / "folds.csv", QUICK)


def test_absent_classes_are_remarked(tmp_path):
    people = [(f"{i:06d}", "male", 20) for i in range(4)]
    data = mask_folder(make_data(tmp_path / "data", people, 1))
    _, remarks = plan_folds(data, tmp_path / "f.csv", dataclasses.replace(QUICK, folds=2))
    assert remarks[-1] == (
        "15 of 18 classes have no photo, the first: mask male 30-59; each counts 0 in macro-F1"
    )


def test_a_competition_that_reads_nothing_is_told(data, tmp_path):
    folder = dataclasses.replace(
        mask_folder(data), competition=dataclasses.replace(MASK, rows=None)
    )
    with pytest.raises(
        KitError, match="competition mask: names no classes; set target to a column"
    ):
        plan_folds(folder, tmp_path / "f.csv", QUICK)
    assert not (tmp_path / "f.csv").exists()


def fail():
    """A mistake in the file of the definition."""
    raise KeyError("colour")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: None, "`rows` returns None; let it return TrainingPhotos"),
        (lambda: TrainingPhotos(GOOD.drop(columns="group")), "lacks columns .*: group"),
        (lambda: TrainingPhotos(GOOD.drop(columns="years")), "lacks columns .*: years"),
        (lambda: TrainingPhotos(GOOD.astype({"label": str})), "no whole numbers .*: label"),
        (lambda: TrainingPhotos(GOOD.assign(label=[1, 2])), r"outside of 0..1 .*: b.jpg"),
        (lambda: TrainingPhotos(GOOD[:0]), "has no photos"),
        (lambda: TrainingPhotos(GOOD.assign(image=["a.jpg", None])), "without an image or a group"),
        (lambda: TrainingPhotos(GOOD.assign(group=["", "b"])), "an image or a group .1 found: 0"),
        (fail, r"test_planning.py line \d+: KeyError: 'colour'"),
    ],
)
def test_a_mistake_of_rows_is_told(tmp_path: Path, given, message):
    def read(data: Path, corrections: Path | None) -> TrainingPhotos:
        return given()

    competition = Competition(name="two", tasks=(TASK,), frame=(64, 96), rows=read)
    with pytest.raises(KitError, match=message):
        plan_folds(DataFolder(tmp_path / "data", competition), tmp_path / "folds.csv")
