"""From a folder to its plan: what it records, remarks and refuses."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from helpers import MASK, make_data, mask_folder

from kit import __version__
from kit.competition import Competition
from kit.data import planning
from kit.data.folder import DataFolder, fingerprint, read_test
from kit.data.leaks import Audit, Link
from kit.data.plan import definition_hash, read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.system.disk import file_hash
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
    images = plan.photos["image"].tolist()
    assert plan.meta["kit"] == __version__ and images == sorted(images)
    assert plan.meta["data"] == fingerprint(place.train_images, images)
    assert plan.meta["train.csv"] == file_hash(place.train_table)
    again, _ = plan_folds(place, tmp_path / "again.csv", QUICK)
    assert again.hash == plan.hash and again.meta["data"] == plan.meta["data"]
    other, _ = plan_folds(place, tmp_path / "other.csv", dataclasses.replace(QUICK, seed=1))
    assert other.hash != plan.hash
    with pytest.raises(KitError, match="exists already"):
        plan_folds(place, tmp_path / "folds.csv", QUICK)


@pytest.fixture
def audit(monkeypatch):
    """Put what an audit finds in its place; `calls` are what it was asked."""

    def put(found: Audit) -> list[tuple]:
        calls: list[tuple] = []
        monkeypatch.setattr(planning, "audit_photos", lambda *given: calls.append(given) or found)
        return calls

    return put


def test_what_the_audit_finds_is_recorded_remarked_and_kept_in_one_fold(data, tmp_path, audit):
    place = mask_folder(data)
    alone, _ = plan_folds(place, tmp_path / "alone.csv", QUICK)
    photos = alone.photos.drop_duplicates("group").set_index("group")
    pairs = [("000000", "000003"), ("000001", "000016"), ("000009", "000005")]
    names = {group[:6]: group for group in photos.index}
    links = [
        Link(photos["image"][names[a]], photos["image"][names[b]], "near-identical", 0.9)
        for a, b in pairs
    ]
    tests = sorted(read_test(place))
    test = Link(photos["image"].iloc[3], tests[0], "same bytes", 1.0)
    calls = audit(Audit(links, [test, test], ["damaged.jpg"]))
    definition = tmp_path / "competition.py"
    definition.touch()
    options = PlanOptions(folds=3, seed=3, definition=definition)
    plan, remarks = plan_folds(place, tmp_path / "folds.csv", options)
    fold = plan.photos.drop_duplicates("group").set_index("group")["fold"]
    apart = [alone.photos.set_index("group")["fold"][[names[a], names[b]]] for a, b in pairs]
    assert any(part.nunique() == 2 for part in apart)
    assert all(fold[names[a]] == fold[names[b]] for a, b in pairs)
    assert plan.meta["audit"] == {
        "done": True,
        "links": [link.record() for link in links],
        "test": [test.record()] * 2,
        "damaged": ["damaged.jpg"],
    }
    assert (
        plan.meta["seed"] == 3
        and plan.meta["definition"] == definition_hash(definition)["definition"]
    )
    root = place.test_images
    assert remarks[:2] == [
        f"{root}: damaged test photos, at which kit.ensemble will stop (1 found: damaged.jpg); "
        "unpack the data again before that",
        f"{root}: test photos that are training photos, too (2 found, the first: {test.b}, which "
        f"is {test.a} (same bytes, 1.00)); their scores are no guide to those of other photos; "
        "folds.json has all",
    ]
    ((train_root, images, groups, test_root, test_images, read),) = calls
    assert (train_root, test_root, read) == (place.train_images, root, None)
    assert images == plan.photos["image"].tolist() and groups == plan.photos["group"].tolist()
    assert sorted(map(str, test_images)) == tests


def test_test_photos_that_cannot_be_listed_are_left_out_of_the_audit(data, tmp_path, audit):
    place, calls = mask_folder(data), audit(Audit([], [], []))
    place.test_table.unlink()
    plan, remarks = plan_folds(place, tmp_path / "folds.csv", PlanOptions(folds=3))
    assert calls[0][4] == [] and plan.meta["audit"]["done"] is True
    (remark,) = remarks
    assert remark.startswith(f"the audit leaves the test photos out: {place.test_table}: ")


def test_look_alikes_of_other_labels_are_suspects_and_one_s_own_folds_are_taken(tmp_path, audit):
    table = pd.DataFrame({"image": list("dcab"), "label": [0, 1, 0, 1], "fold": [2, 1, 0, 2]})
    rows = lambda root, corrections: TrainingPhotos(  # noqa: E731
        table.assign(group=table["image"]), ["a remark"], [{"path": "a"}]
    )
    own = Competition(name="two", classes=("x", "y"), frame=(8, 8), rows=rows, fold="part")
    (tmp_path / "data").mkdir()
    place = DataFolder(tmp_path / "data", own)
    for name in ("train.csv", *"abcd"):
        (place.root / name).touch()
    audit(Audit([Link("a", "b", "near-identical", 0.9)], [], []))
    plan, remarks = plan_folds(place, tmp_path / "folds.csv")
    assert plan.photos["fold"].tolist() == [0, 2, 1, 2] and plan.meta["folds"] == 3
    assert plan.meta["corrections"] == [{"path": "a"}] and remarks[0] == "a remark"
    assert any("part 1 pairs of look-alikes" in remark for remark in remarks)
    (suspect,) = plan.meta["audit"]["suspects"]
    assert (suspect["label_a"], suspect["label_b"]) == ("x", "y")
    free = dataclasses.replace(place, competition=dataclasses.replace(own, fold=""))
    planned, _ = plan_folds(free, tmp_path / "free.csv", PlanOptions(folds=2))
    assert planned.meta["folds"] == 2


def test_a_plan_is_no_file_of_inputs_and_too_many_folds_are_told_first(data, tmp_path, audit):
    place, calls = mask_folder(data), audit(Audit([], [], []))
    with pytest.raises(KitError, match="is a place of input files"):
        plan_folds(place, data / "train" / "folds.csv", QUICK)
    with pytest.raises(KitError, match="must end in .csv|.csv"):
        plan_folds(place, tmp_path / "folds.txt", QUICK)
    fixes = tmp_path / "fixes.csv"
    fixes.touch()
    with pytest.raises(KitError, match="fixes.csv.* input"):
        options = dataclasses.replace(QUICK, corrections=fixes, force=True)
        plan_folds(place, fixes, options)
    with pytest.raises(KitError, match="--folds 99: "):
        plan_folds(place, tmp_path / "folds.csv", PlanOptions(folds=99))
    assert calls == [] and not (tmp_path / "folds.csv").exists()
    assert PlanOptions() == PlanOptions(
        folds=5, seed=42, corrections=None, audit=True, force=False, definition=None
    )
    plan_folds(place, tmp_path / "folds.csv", QUICK)
    plan_folds(place, tmp_path / "folds.csv", dataclasses.replace(QUICK, seed=1, force=True))
    assert read_plan(tmp_path / "folds.csv").meta["seed"] == 1 and calls == []


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
