"""Templates of photos' places, and the files that they name."""

from pathlib import Path

import pandas as pd
import pytest

from kit.data.paths import (
    fields_of,
    file_of,
    fill,
    is_below,
    lost_files,
    other_ending,
    photo_paths,
    stat_of,
)
from kit.system.errors import KitError

TABLE = pd.DataFrame({"id": ["a", "b"], "kind": ["x", "y"]})


def test_an_image_is_one_file_or_one_a_channel():
    assert photo_paths(Path("d"), "x/a.png") == [Path("d/x/a.png")]
    assert photo_paths(Path("d"), "a_r.png|a_g.png") == [Path("d/a_r.png"), Path("d/a_g.png")]


def test_templates_are_filled_with_columns():
    assert fields_of("{kind}/{id}.png") == ["kind", "id"] and fields_of("plain") == []
    assert fill("image", "{kind}/{id}.png", "t.csv", TABLE) == ["x/a.png", "y/b.png"]
    assert fill("image", ("{id}_r", "{id}_g"), "t.csv", TABLE) == ["a_r|a_g", "b_r|b_g"]


def test_a_template_s_mistakes_are_told():
    with pytest.raises(
        KitError, match=r"image: names no column of t.csv \(1 found: .kinds.*kind\?"
    ):
        fill("image", "{kinds}/{id}", "t.csv", TABLE)
    for unsafe in ("../{id}", "/etc/{id}", "a/../../{id}"):
        with pytest.raises(KitError, match="outside of the data folder .2 found, the first: "):
            fill("image", unsafe, "t.csv", TABLE)
    with pytest.raises(KitError, match="photos with a |"):
        fill("image", "{id}|{kind}", "t.csv", TABLE)


@pytest.mark.parametrize("image", ["a/../b", "..", "/a", "a|../b", "a|/b", "a\0b"])
def test_what_leaves_the_folder_is_not_below(image):
    assert not is_below(image) and is_below("a/b..c|d")


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "a" / "folder.jpg").mkdir()
    images = ["a/1.jpg", "a/1.jpg|a/2.jpg", "b/3.jpg", "a/folder.jpg"]
    assert lost_files(tmp_path, images) == ["a/2.jpg", "b/3.jpg", "a/folder.jpg"]
    assert other_ending(tmp_path, "a/1.png") == " (did you mean 1.jpg?)"
    assert other_ending(tmp_path, "a/1") == " (did you mean 1.jpg?)"
    assert other_ending(tmp_path, "a/9.png") == "" == other_ending(tmp_path, "c/1.png")


def test_photos_inside_of_a_file(tmp_path):
    (tmp_path / "all.hdf5").write_bytes(b"123")
    assert lost_files(tmp_path, ["all.hdf5/a", "all.hdf5/b/c", "none.hdf5/a"]) == ["none.hdf5/a"]
    assert file_of(tmp_path / "all.hdf5" / "a" / "b") == tmp_path / "all.hdf5"
    assert stat_of(tmp_path / "all.hdf5" / "a").st_size == 3
    with pytest.raises(OSError):
        stat_of(tmp_path / "none.hdf5" / "a")
