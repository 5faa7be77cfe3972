"""A competition's folder: found, its photos to predict, and what has changed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from answer_forms import FORMS, form, form_folder
from helpers import mask_folder
from pets_folder import sample, usual, usual_folder

from kit.competitions import find_competition
from kit.data.content import photo_hashes
from kit.data.definition import complete
from kit.data.folder import DataFolder, answer_rows, check_data, find_data, fingerprint, read_ids
from kit.data.folder import test_photos as photos_to_predict
from kit.data.folder import test_templates as templates_to_predict
from kit.data.planning import PlanOptions, plan_folds
from kit.system.errors import KitError


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    "content, said",
    [
        ("ImageID,ans\na.jpg,0\na.jpg,0\n", "repeats a value in column 'ImageID'"),
        ("ImageID,ans\n../a.jpg,0\n", "plain file names"),
        ("ImageID,ans\n..,0\n", "plain file names"),
        ("ImageID,ans\n/etc/passwd,0\n", "plain file names"),
        ("ImageID\na.jpg\n", "no column 'ans'"),
    ],
)
def test_bad_info_csv(tmp_path, content, said):
    (tmp_path / "eval").mkdir()
    text(tmp_path / "eval" / "info.csv", content)
    with pytest.raises(KitError, match=said):
        read_ids(mask_folder(tmp_path))


def usual_data(root: Path, **options) -> DataFolder:
    """A folder of the usual definition with other fields, completed."""
    place, given = usual_folder(root, **options)
    return DataFolder(place, complete(given, place))


def test_photos_to_predict_by_a_template_or_by_the_training_photos_one(tmp_path):
    assert photos_to_predict(usual_data(tmp_path / "a"))["t03"] == "test/t03.jpg"
    shared = usual_data(tmp_path / "b", image="all/{id}.jpg", test_image="all/{id}.jpg")
    alike = dataclasses.replace(shared, competition=usual(image="all/{id}.jpg", test_image=""))
    alike = DataFolder(shared.root, complete(alike.competition, shared.root))
    assert photos_to_predict(alike) == photos_to_predict(shared)
    assert templates_to_predict(usual(test_image="", id="x"), ["x"]) == "{x}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("test/{id}.png", r"ids that name no file in .*4 found, .*t00.png .did you mean t00.jpg\?"),
        (
            "tset/{id}.jpg",
            "ids that name no file .*4 found, the first: tset/t00.jpg.; mend test_image",
        ),
        (
            "test/{ids}.jpg",
            r"test_image: names no column of sample_submission.csv .*did you mean id\?",
        ),
        (
            "train/p0{place}.jpg",
            "photos to predict are training photos, too .4 found, the first: t00,",
        ),
    ],
)
def test_templates_of_photos_to_predict_that_do_not_fit(tmp_path, template, said):
    table = sample().assign(place=["0", "1", "2", "3"])
    place, _ = usual_folder(tmp_path / "data", predict=table)
    competition = usual(test_image=template, answer="name", answer_column="breed")
    with pytest.raises(KitError, match=said):
        data = DataFolder(place, complete(competition, place))
        plan_folds(data, tmp_path / "folds.csv", PlanOptions(folds=2, audit=False))


def test_a_folder_is_found_by_its_table_or_its_photos(tmp_path, monkeypatch):
    place, given = usual_folder(tmp_path / "data")
    monkeypatch.setenv("KIT_DATA", str(place))
    assert find_data(None, given).competition.class_names == ("beagle", "corgi", "pug")
    glob = usual(train="train/*.jpg", image="", target="", target_pattern="p([01])")
    assert find_data(None, glob).competition.class_names == tuple("01")
    with pytest.raises(KitError, match="holds no trains.csv; .* which python -m kit.start writes"):
        find_data(None, usual(train="trains.csv"))
    with pytest.raises(KitError, match=r"holds no train/\*.png"):
        find_data(None, usual(train="train/*.png"))


def test_hashes_hold_every_channel(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    both, one = ["a|b"], ["a"]
    before = photo_hashes(tmp_path, both), fingerprint(tmp_path, both), photo_hashes(tmp_path, one)
    (tmp_path / "b").write_text("changed")
    assert photo_hashes(tmp_path, both) != before[0] and fingerprint(tmp_path, both) != before[1]
    assert photo_hashes(tmp_path, one) == before[2]


def test_a_changed_table_is_a_warning_and_changed_photos_are_refused(tmp_path, capsys):
    data = usual_data(tmp_path / "data")
    plan, _ = plan_folds(data, tmp_path / "f.csv", PlanOptions(folds=2, audit=False))
    check_data(data, plan)
    assert "has changed" not in capsys.readouterr().err
    with open(data.train_table, "a") as file:
        file.write("\n")
    check_data(data, plan)
    assert "labels.csv has changed since the folds were planned" in capsys.readouterr().err
    (data.root / "train" / "p00.jpg").write_bytes(b"x")
    with pytest.raises(KitError, match="holds other photos than the fold plan was made from"):
        check_data(data, plan)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_its_rows(tmp_path, name):
    data = form_folder(tmp_path, form(name))
    rows = answer_rows(data)
    assert len(rows.of_photo) == len(read_ids(data)) == 8
    assert rows.pooled == name.startswith("pooled")
    assert len(rows.ids) == {"task_rows": 16, "pooled": 4, "pooled_list": 2}.get(name, 8)


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("probability", "image,path\n0.jpg,0\n", ""),  # another table than the sample
        ("probability", "image,targets\n0.jpg,0\n", "no column 'target' .did you mean targets"),
        ("probability", "image\n0.jpg\n", "has no column 'target'; take sample_submission.csv"),
        ("probabilities", "image,cat,dog\n0.jpg,0,0\n", "has no column 'owl'"),
        ("probabilities", "image,cat\n0.jpg,0\n", r"no column 'dog' .2 found, the first: dog"),
        ("probabilities", "image,cat,dog,owls\n0.jpg,0,0,0\n", "'owl' .did you mean owls"),
        ("probabilities", "image,cat,dog,owl,fox\n0.jpg,0,0,0,0\n", "no class .1 found: fox"),
        ("probabilities", "img,cat,dog,owl\n0.jpg,0,0,0\n", "has no column 'image'"),
        ("probabilities", "image,cat,cat,dog,owl\n0.jpg,0,0,0,0\n", "has column 'cat' twice"),
        ("task_columns", "image,root\n0.jpg,a\n", "has no column 'vowel'"),
        ("list", "image,target\n0.jpg,\n0.jpg,\n", "repeats a value in column 'image'"),
        ("pooled", "photo,side\np0,L\n", "names no column of .*{patient}"),
        ("pooled", "photo,patients,side\np0,a,L\n", "did you mean patients"),
        ("task_rows", "photo,row_id\np0,p0_root\np0,p0_vowels\n", "column 'row_id' differs from"),
        ("task_rows", "photo,row_id\np0,p0_root\n", "differs from .*: p0_vowel"),
    ],
)
def test_a_fault_of_a_sample_submission_is_one_line(tmp_path, name, content, said):
    data = form_folder(tmp_path, form(name))
    data.test_table.write_text(content)
    if not said:
        assert answer_rows(data).ids == ["0.jpg"]
        return
    with pytest.raises(KitError, match=said) as found:
        answer_rows(data)
    assert "\n" not in str(found.value)


def test_ids_may_be_paths_below_the_data_folder(tmp_path):
    root, competition = usual_folder(tmp_path, test_image="{id}.jpg")
    table = sample().assign(id=[f"test/{n}.jpg" for n in range(4)])
    (root / "test").mkdir(exist_ok=True)
    for name in table["id"]:
        (root / name).write_bytes((root / "train/p00.jpg").read_bytes())
    table.to_csv(root / competition.test, index=False)
    data = DataFolder(root, complete(usual(test_image="{id}"), root))
    assert photos_to_predict(data) == {name: name for name in table["id"]}
    table.assign(id=["../a.jpg", *table["id"][1:]]).to_csv(root / competition.test, index=False)
    with pytest.raises(KitError, match="outside of the data folder .1 found: ../a.jpg"):
        photos_to_predict(data)


def test_a_photo_is_of_one_row(tmp_path):
    data = form_folder(tmp_path, form("pooled"))
    data.test_table.write_text("photo,patient,side\np0,a,L\np0,a,R\n")
    with pytest.raises(KitError, match="photos of several rows .*a/p0.png"):
        answer_rows(data)


def test_ids_of_photos_are_their_paths_where_rows_are_not_photos(tmp_path):
    data = form_folder(tmp_path, form("pooled"))
    assert read_ids(data)[:2] == ["a0/p0.png", "a0/p1.png"]
    assert read_ids(form_folder(tmp_path / "long", form("task_rows")))[:2] == ["p0.png", "p1.png"]


OF_ONE_FILE = """import numpy as np

from kit.competition import Competition


def read(path):
    with np.load(path.parent) as file:
        return file[path.name]


competition = Competition(
    name="pets", train="labels.csv", image="all.npz/{id}", target="breed",
    test_image="all.npz/{id}", read=read,
)
"""


def test_photos_inside_of_one_file_are_planned_by_the_definition_s_reader(tmp_path):
    photos = np.random.default_rng(0).integers(0, 255, (16, 16, 24, 3), dtype=np.uint8)

    place, _ = usual_folder(tmp_path / "data")
    names = [f"p{n:02d}" for n in range(12)] + [f"t{n:02d}" for n in range(4)]
    np.savez(place / "all.npz", **dict(zip(names, photos)))
    (tmp_path / "competition.py").write_text(OF_ONE_FILE)
    competition = find_competition(str(tmp_path / "competition.py"))
    data = DataFolder(place, complete(competition, place))
    assert data.competition.frame == (16, 24)
    plan, remarks = plan_folds(data, tmp_path / "f.csv", PlanOptions(folds=2))
    assert plan.photos["image"][0] == "all.npz/p00" and remarks == []
    before = photo_hashes(place, ["all.npz/p00"])
    np.savez(place / "all.npz", **dict(zip(names, photos[::-1])))
    assert photo_hashes(place, ["all.npz/p00"]) != before
