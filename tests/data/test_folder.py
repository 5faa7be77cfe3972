"""The table of photos to predict, damaged."""

from pathlib import Path

import pytest
from answer_forms import FORMS, folder, form
from helpers import mask_folder

from kit.data.folder import read_ids, read_rows
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


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_its_rows(tmp_path, name):
    data = folder(tmp_path, form(name))
    rows = read_rows(data)
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
    data = folder(tmp_path, form(name))
    data.test_table.write_text(content)
    if not said:
        assert read_rows(data).ids == ["0.jpg"]
        return
    with pytest.raises(KitError, match=said) as found:
        read_rows(data)
    assert "\n" not in str(found.value)


def test_a_photo_is_of_one_row(tmp_path):
    data = folder(tmp_path, form("pooled"))
    data.test_table.write_text("photo,patient,side\np0,a,L\np0,a,R\n")
    with pytest.raises(KitError, match="photos of several rows .*a/p0.png"):
        read_rows(data)


def test_ids_of_photos_are_their_paths_where_rows_are_not_photos(tmp_path):
    data = folder(tmp_path, form("pooled"))
    assert read_ids(data)[:2] == ["a0/p0.png", "a0/p1.png"]
    assert read_ids(folder(tmp_path / "long", form("task_rows")))[:2] == ["p0.png", "p1.png"]
