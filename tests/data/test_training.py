"""The training photos of a definition, and what is told of them."""

import pandas as pd
import pytest
from pets_folder import pets, usual_folder

from kit.data.definition import complete
from kit.data.training import read_training
from kit.system.errors import KitError
from kit.task import STRATUM


def training(root, **options):
    """The training photos of a completed definition."""
    place, given = usual_folder(root, **options)
    return read_training(complete(given, place), place)


def test_the_table_has_images_groups_and_labels(tmp_path):
    table = training(tmp_path, group="owner").table
    assert list(table) == ["image", "group", "label"] and table["group"][3] == "o1"
    assert table["label"].tolist() == [2, 1, 0] * 4 and table["label"].dtype == "int64"


def test_own_folds_and_strata_stand_beside(tmp_path):
    folds = pets().assign(part=["b", "a"] * 6)
    table = training(tmp_path, table=folds, fold="part", strata=("sex",)).table
    assert table["fold"].tolist() == [1, 0] * 6
    assert table[f"{STRATUM}sex"].tolist() == pets()["sex"].tolist()


def test_photos_without_a_group_are_remarked(tmp_path):
    table = pets().assign(owner=["", "a", "a", "b", "b", ""] * 2)
    (remark,) = training(tmp_path, table=table, group="owner").remarks
    assert remark.endswith("labels.csv: 4 photos have no owner; each is a group of its own")


def test_channels_are_files_of_one_image(tmp_path):
    image = ("train/{id}_r.png", "train/{id}_g.png")
    table = training(tmp_path, image=image).table
    assert table["image"][0] == "train/p00_r.png|train/p00_g.png"
    (tmp_path / "train" / "p03_g.png").unlink()
    with pytest.raises(KitError, match="rows without a photo .1 found: .*train/p03_g.png"):
        training_again(tmp_path, image=image)


def training_again(root, **changes):
    """The training photos of a folder that is there."""
    from pets_folder import usual

    return read_training(complete(usual(**changes), root), root)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            "train/{id}.png",
            r"no row names a photo that is there .12 found, .*p00.png .did you mean p00.j",
        ),
        (
            "trian/{id}.jpg",
            "no row names a photo that is there .12 found, the first: .*trian/p00.jpg.; mend image",
        ),
        (
            "train/{idd}.jpg",
            r"image: names no column of labels.csv .1 found: .idd. .did you mean id\?",
        ),
        ("train/p00.jpg", "names photos twice .11 found, the first: train/p00.jpg"),
        ("../{id}.jpg", "names photos outside of the data folder .12 found"),
    ],
)
def test_templates_that_name_no_file(tmp_path, image, said):
    place, _ = usual_folder(tmp_path)
    with pytest.raises(KitError, match=said):
        training_again(place, image=image)


def test_some_rows_without_a_photo(tmp_path):
    place, _ = usual_folder(tmp_path)
    (place / "train" / "p04.jpg").unlink()
    (place / "train" / "p07.jpg").unlink()
    with pytest.raises(
        KitError, match="labels.csv: rows without a photo .2 found, the first: .*p04"
    ):
        training_again(place)


def test_labels_of_a_function_are_checked(tmp_path):
    from pets_folder import usual

    from kit.task import TrainingPhotos

    good = pd.DataFrame({"image": ["a", "b"], "group": ["a", "b"], "label": ["0 1", ""]})
    for label in (["0 1", "2"], ["1 0", ""], ["0 0", ""], ["0  1", ""], ["x", ""]):
        competition = usual(
            kind="labels",
            classes=("a", "b"),
            rows=lambda *_, label=label: TrainingPhotos(good.assign(label=label)),
        )
        with pytest.raises(KitError, match="column 'label' must hold rising numbers 0..1"):
            read_training(competition, tmp_path)
