"""A definition completed by its data, and what is told where they do not fit."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from pets_folder import pets, sample, usual, usual_folder

from kit.competition import Competition
from kit.data.definition import complete
from kit.data.folder import DataFolder
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.data.recorded import recorded_competition
from kit.system.errors import KitError
from kit.task import Task, TrainingPhotos

BREEDS = ("beagle", "corgi", "pug")


def completed(root: Path, **options) -> Competition:
    """The usual competition with other fields, completed."""
    return complete(*usual_folder(root, **options)[::-1])


def test_the_usual_definition_is_completed(tmp_path):
    competition = completed(tmp_path)
    assert competition.kind == "classes" and competition.class_names == BREEDS
    assert competition.frame == (16, 24) and competition.id == "id"
    assert (competition.answer, competition.answer_column) == ("name", "breed")
    assert competition.metric == "accuracy" and competition.tasks[0].of_group


def test_a_complete_definition_is_kept_and_completing_is_the_same_again(tmp_path):
    root, given = usual_folder(tmp_path / "data", group="owner", mirror={"pug": "corgi"})
    competition = complete(given, root)
    assert complete(competition, tmp_path / "nowhere") is competition
    assert complete(given, root) == competition and not competition.tasks[0].of_group
    assert competition.mirrored.tolist() == [0, 2, 1]
    assert recorded_competition(competition.describe()) == competition
    plan, _ = plan_folds(DataFolder(root, competition), tmp_path / "f.csv", PlanOptions(folds=2))
    assert read_plan(tmp_path / "f.csv").competition == plan.competition == competition


def test_the_frame_is_the_most_frequent_size(tmp_path):
    root, given = usual_folder(tmp_path)
    (root / "train" / "p00.jpg").write_bytes((root / "train" / "p01.jpg").read_bytes())
    assert complete(given, root).frame == (16, 24)
    assert complete(dataclasses.replace(given, frame=(7, 9)), root).frame == (7, 9)


def test_a_definition_by_a_function_needs_no_table(tmp_path):
    def rows(root: Path, corrections: Path | None) -> TrainingPhotos:
        table = pets().rename(columns={"owner": "group"})
        return TrainingPhotos(table.assign(image="train/" + table["id"] + ".jpg", label=[0, 1] * 6))

    root, given = usual_folder(tmp_path, rows=rows, classes=("a", "b"), group="owner")
    (root / "labels.csv").unlink()
    competition = complete(given, root)
    assert competition.kind == "classes" and competition.frame == (16, 24)
    tasks = (Task("x", ("a", "b")), Task("y", ("c", "d")))
    assert complete(usual(rows=rows, tasks=tasks), root).kind == "tasks"
    ordered = usual(rows=rows, tasks=(Task("x", ("a", "b"), ordered=True),))
    assert complete(ordered, root).kind == "order"
    with pytest.raises(KitError, match="a function `rows`, and neither classes nor tasks"):
        complete(usual(rows=rows), root)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"target": "bred"},
            r"labels.csv: has no column 'bred' .did you mean breed\?., which target",
        ),
        ({"group": "ownr"}, r"has no column 'ownr' .did you mean owner\?., which group names"),
        ({"fold": "fld"}, "has no column 'fld', which fold names; it has id,breed,owner,sex"),
        ({"strata": ("sx",)}, r"has no column 'sx' .did you mean sex\?., which strata names"),
        ({"id": "image"}, "sample_submission.csv: has no column 'image', which id names"),
        (
            {"target": ""},
            "competition pets: names no classes; set target to a column of labels.csv",
        ),
        ({"mirror": {"pug": "crgi"}}, r"mirror names classes .*2 found|crgi .did you mean corgi\?"),
        (
            {"classes": ("pug", "corgi", "beagle", "poodle")},
            "has no photo of some classes .*poodle",
        ),
        (
            {"classes": ("pug", "corgi")},
            "none of the classes .4 found, the first: 'beagle' at train/p02",
        ),
        (
            {"classes": ("pug", "corgy", "beagle")},
            r"'corgi' at train/p01.jpg .did you mean corgy\?",
        ),
        ({"group": "id"}, "group: id is another one for each of 12 photos"),
        ({"metric": "acuracy"}, r"metric 'acuracy': .*did you mean accuracy\?"),
        ({"metric": "log_loss", "answer": "class"}, "metric: log_loss scores probabilities, and"),
        ({"metric": "f1_samples"}, "f1_samples scores several labels a photo"),
        ({"test": "samples.csv"}, "samples.csv: there is no such table; set test"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, changes, said):
    root, _ = usual_folder(tmp_path)
    with pytest.raises(KitError, match=said):
        complete(usual(**changes), root)


def test_a_group_that_is_the_same_everywhere(tmp_path):
    with pytest.raises(KitError, match="group: owner is the same for all 12 photos .1 found: x"):
        completed(tmp_path, table=pets().assign(owner="x"), group="owner")


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (sample({"pug": 0.3, "corgi": 0.3}), "fit no answer: classes without a column .*beagle"),
        (sample({"a": 0, "b": 0}), "its columns a,b fit no answer: .*3 found, the first: beagle"),
        (pets()[["id"]].assign(breed="pug"), "has ids of labels.csv, in column 'id' .12 found"),
    ],
)
def test_a_table_of_photos_to_predict_that_does_not_fit(tmp_path, test, said):
    with pytest.raises(KitError, match=f"sample_submission.csv: .*{said}"):
        completed(tmp_path, predict=test)


def test_photos_of_both_tables_may_be_numbered_alike(tmp_path):
    train = pets().assign(id=[str(n) for n in range(12)])
    test = sample().assign(id=[str(n) for n in range(4)])
    assert completed(tmp_path, table=train, predict=test).answer == "name"


def test_the_target_of_one_class(tmp_path):
    with pytest.raises(KitError, match="the target has one class alone .1 found: pug"):
        completed(tmp_path, table=pets().assign(breed="pug"))


def test_classes_of_the_sample_that_no_photo_has_are_classes(tmp_path):
    test = sample(dict.fromkeys(("pug", "poodle", "corgi", "beagle"), 0.25))
    competition = completed(tmp_path, predict=test)
    assert competition.class_names == ("pug", "poodle", "corgi", "beagle")
    assert (competition.answer, competition.metric) == ("probabilities", "log_loss")
    with pytest.raises(KitError, match="none of the classes .1 found: poodle"):
        completed(tmp_path / "b", predict=test, classes=BREEDS)


def test_the_data_decide_and_the_order_of_rows_does_not(tmp_path):
    mixed = pets().sample(frac=1, random_state=0)
    assert completed(tmp_path / "a") == completed(tmp_path / "b", table=pd.DataFrame(mixed))
