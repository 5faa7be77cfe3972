"""What a folder is taken for: the definitions of drawn layouts are found."""

from pathlib import Path

import pandas as pd
import pytest
from drawn_layouts import ALL

from kit.competition import Competition
from kit.starting.guess import guess
from kit.starting.look import look
from kit.system.errors import KitError

# What no data say: the metric, and which classes a mirror swaps.
UNKNOWN = ("metric", "mirror")
# Left out of a definition where they are so.
USUAL = {"kind": "classes", "group": "photo", "test": "sample_submission.csv", "train": "train.csv"}
ANSWERS = {"aptos2019": "class", "cassava": "class", "plant2021": "list"}


@pytest.mark.parametrize("name", ALL)
def test_the_definition_of_a_layout_is_found(name, tmp_path):
    case = ALL[name]
    found = guess(look(case.draw(tmp_path / case.fields["name"])))
    usual = USUAL | {"answer": ANSWERS.get(name, "probabilities")}
    expected = usual | dict(case.fields)
    for field in {*found.fields, *expected} - set(UNKNOWN):
        assert found.fields[field] == expected[field], field
    told = " ".join(found.unsure)
    assert "metric: " in told and "mirror: " in told
    assert Competition(**found.fields).name == case.fields["name"]
    assert all(line.why for line in found.lines)


def write(root: Path, tables: dict[str, str], photos: list[str]) -> Path:
    """A folder with tables, and with photos that are empty files."""
    for name, text in tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in photos:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


SAMPLE = "id,label\n" + "".join(f"t{n},0\n" for n in range(6))
TRAIN = "id,label\n" + "".join(f"a{n},{n % 2}\n" for n in range(20))
AMOUNTS = "id,label\n" + "".join(f"a{n},{n * 7}\n" for n in range(20))
PHOTOS = [f"test/t{n}.jpg" for n in range(6)] + [f"train/a{n}.jpg" for n in range(20)]


@pytest.mark.parametrize(
    "tables, photos, told",
    [
        ({"train.csv": TRAIN}, PHOTOS, "holds no table of photos to predict"),
        ({"sample_submission.csv": SAMPLE}, PHOTOS, "no folder a class"),
        (
            {"sample_submission.csv": SAMPLE, "train.csv": AMOUNTS},
            PHOTOS,
            "train.csv: has no column of few values, and no folder a class",
        ),
        (
            {"sample_submission.csv": SAMPLE, "b.csv": TRAIN, "a.csv": TRAIN},
            PHOTOS,
            r"could be the training table \(2 found, the first: a.csv\); name one with --train",
        ),
    ],
)
def test_a_folder_without_what_is_needed_is_one_line(tables, photos, told, tmp_path):
    with pytest.raises(KitError, match=told):
        guess(look(write(tmp_path, tables, photos)))


def test_one_of_two_tables_is_named(tmp_path):
    tables = {"sample_submission.csv": SAMPLE, "b.csv": TRAIN, "a.csv": TRAIN}
    facts = look(write(tmp_path, tables, PHOTOS))
    found = guess(facts, "b.csv")
    assert found.fields["train"] == "b.csv" and found.fields["image"] == "train/{id}.jpg"
    assert any("a.csv is left out" in text for text in found.unsure)
    with pytest.raises(KitError, match="--train: c.csv is no table.*did you mean"):
        guess(facts, "c.csv")


def test_a_table_with_the_group_is_taken_before_one_without(tmp_path):
    grouped = "id,label,patient\n" + "".join(f"a{n},{n % 2},p{n // 3}\n" for n in range(20))
    tables = {"sample_submission.csv": SAMPLE, "a.csv": TRAIN, "b.csv": grouped}
    found = guess(look(write(tmp_path, tables, PHOTOS)))
    assert found.fields["train"] == "b.csv" and found.fields["group"] == "patient"


def test_groups_of_photos_to_predict_are_compared(tmp_path):
    for n, (start, told) in enumerate(((50, "have others"), (0, "some are in"))):
        train = "id,label,patient\n" + "".join(f"a{n},{n % 2},p{n // 3}\n" for n in range(20))
        test = "id,patient\n" + "".join(f"t{n},p{start + n // 2}\n" for n in range(6))
        tables = {"sample_submission.csv": SAMPLE, "train.csv": train, "test.csv": test}
        found = guess(look(write(tmp_path / str(n), tables, PHOTOS)))
        (line,) = [line for line in found.lines if line.field == "group"]
        assert told in line.why


def test_other_columns_that_could_be_groups_are_named(tmp_path):
    rows = [f"a{n},{n % 2},p{n % 7},s{n % 5}\n" for n in range(35)]
    train = "id,label,patient,site\n" + "".join(rows)
    photos = PHOTOS[:6] + [f"train/a{n}.jpg" for n in range(35)]
    tables = {"sample_submission.csv": SAMPLE, "train.csv": train}
    found = guess(look(write(tmp_path, tables, photos)))
    assert found.fields["group"] == "patient"
    assert any(text.startswith("group: patient, but site") for text in found.unsure)


def test_ids_stay_texts(tmp_path):
    train = "id,label\n" + "".join(f"{n:06d},{'NA' if n % 2 else 'EU'}\n" for n in range(20))
    sample = "id,label\n" + "".join(f"{n:06d},\n" for n in range(20, 26))
    photos = [f"img/{n:06d}.png" for n in range(26)]
    root = write(tmp_path, {"train.csv": train, "sample_submission.csv": sample}, photos)
    found = guess(look(root))
    assert found.fields["image"] == found.fields["test_image"] == "img/{id}.png"
    assert found.fields["answer"] == "name" and pd.notna(found.fields["target"])


def test_photos_in_folders_that_no_column_names_are_no_classes(tmp_path):
    photos = PHOTOS[:6] + [f"part_{1 + n % 2}/a{n}.jpg" for n in range(20)]
    tables = {"sample_submission.csv": SAMPLE, "train.csv": TRAIN}
    with pytest.raises(KitError, match=r"several folders.*\(2 found, the first: part_1\)"):
        guess(look(write(tmp_path, tables, photos)))
    photos = [f"part_{1 + n % 2}/t{n}.jpg" for n in range(6)] + PHOTOS[6:]
    with pytest.raises(KitError, match=r"several folders.*\(2 found.*photos to predict into one"):
        guess(look(write(tmp_path / "other", tables, photos)))


def test_resized_copies_are_told(tmp_path):
    photos = PHOTOS + [f"train_small/a{n}.jpg" for n in range(20)]
    tables = {"sample_submission.csv": SAMPLE, "train.csv": TRAIN}
    found = guess(look(write(tmp_path, tables, photos)))
    assert found.fields["image"] == "train/{id}.jpg"
    assert any(t.startswith("image: train_small/{id}.jpg could") for t in found.unsure)


def test_an_amount_is_told(tmp_path):
    train = "id,label\n" + "".join(f"a{n},{1 + n % 40}\n" for n in range(200))
    photos = PHOTOS[:6] + [f"train/a{n}.jpg" for n in range(200)]
    tables = {"sample_submission.csv": SAMPLE, "train.csv": train}
    found = guess(look(write(tmp_path, tables, photos)))
    assert any("regression" in text for text in found.unsure)


def test_data_that_were_unpacked_one_folder_deeper(tmp_path):
    tables = {
        "comp/sample_submission.csv": SAMPLE,
        "comp/labels/train.tsv": TRAIN.replace(",", "\t"),
    }
    found = guess(look(write(tmp_path, tables, [f"comp/{photo}" for photo in PHOTOS])))
    assert found.fields["train"] == "comp/labels/train.tsv"
    assert found.fields["image"] == "comp/train/{id}.jpg"
    assert found.fields["test_image"] == "comp/test/{id}.jpg"
