"""Corrections of labels, `id,target,value`."""

import pytest
from pets_folder import pets, sample, usual_folder

from kit.data.corrections import corrected
from kit.data.definition import complete
from kit.data.training import read_training
from kit.system.errors import KitError


def training(root, lines: str, **options):
    """The labels of completed training photos by id, and what corrections changed."""
    place, given = usual_folder(root / "data", **options)
    file = root / "fixes.csv"
    file.write_text("id,target,value\n" + lines)
    photos = read_training(complete(given, place), place, file)
    ids = [image[6:9] for image in photos.table["image"]]
    return dict(zip(ids, photos.table["label"])), photos.corrections


def test_a_class_is_corrected_by_id_and_by_image(tmp_path):
    label, applied = training(tmp_path, "p00,breed,corgi\ntrain/p01.jpg,class,pug\n")
    assert (label["p00"], label["p01"], label["p02"]) == (1, 2, 0)
    assert applied == [
        {"path": "p00", "field": "breed", "old": "pug", "new": "corgi"},
        {"path": "train/p01.jpg", "field": "class", "old": "corgi", "new": "pug"},
    ]


def test_a_list_of_labels_is_corrected_as_a_whole(tmp_path):
    table = pets(4).assign(breed=["a b", "a", "b", "c"])
    label, applied = training(tmp_path, "p00,breed,c a\np01,breed,\n", table=table)
    assert label == {"p00": "0 2", "p01": "", "p02": "1", "p03": "2"}
    assert applied[1]["old"] == "a" and applied[1]["new"] == ""


def test_columns_of_labels_and_tasks_are_corrected_one_by_one(tmp_path):
    table = pets(3).assign(a=["1", "0", "1"], b=["1", "1", "0"])
    label, _ = training(
        tmp_path / "a",
        "p01,a,1\n",
        table=table,
        target=("a", "b"),
        predict=sample({"a": 0, "b": 0}),
    )
    assert label == {"p00": "0 1", "p01": "0 1", "p02": "0"}
    label, _ = training(tmp_path / "b", "p00,sex,f\n", target=("breed", "sex"))
    assert (label["p00"], label["p04"]) == (2 * 2 + 0, 1 * 2 + 1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "p00,bred,corgi\n",
            r"names a target that is not there .did you mean breed\?. .1 found: bred",
        ),
        (
            "p99,breed,corgi\n",
            r"photos that labels.csv does not have .1 found: p99 .did you mean p0",
        ),
        ("p00,breed,crgi\n", r"fixes.csv: has targets that are none of the classes .*corgi\?"),
        ("p00,breed,pug\np00,breed,corgi\n", "corrects the same target twice .1 found: p00"),
    ],
)
def test_lines_that_are_no_correction(tmp_path, lines, said):
    with pytest.raises(KitError, match=said):
        training(tmp_path, lines)
    assert corrected.__doc__
