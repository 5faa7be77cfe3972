"""The data page: look-alikes, sizes and brightness."""

import shutil

import numpy as np
from helpers import draw_photo, make_data, mask_folder
from pets_folder import pets, usual_folder
from PIL import Image

from kit.data.definition import complete
from kit.data.folder import DataFolder
from kit.reporting.data_page import report_data


def test_the_data_page_finds_look_alikes_and_odd_sizes(tmp_path):
    data = make_data(tmp_path / "data")
    folders = sorted((data / "train" / "images").iterdir())
    shutil.copy(folders[0] / "normal.jpg", folders[1] / "normal.jpg")
    draw_photo(folders[2] / "mask1.jpg", "other", size=(128, 96))
    summary = report_data(mask_folder(data), tmp_path / "data.html")
    assert len(summary.links) == 1 and summary.links[0]["kind"] == "same bytes"
    assert summary.sizes["train"] == [(96, 128, 125), (128, 96, 1)] and summary.counts[0] == 15
    mean, spread = summary.brightness["test"]
    assert 90 < mean < 165 and 0 < spread < 60


def planless(root, **options):
    """The summary and the page of a folder of the usual definition with other fields."""
    place, given = usual_folder(root / "data", **options)
    data = DataFolder(place, complete(given, place))
    return report_data(data, root / "data.html"), (root / "data.html").read_text(encoding="utf-8")


def test_a_page_of_several_labels_and_channels(tmp_path):
    table = pets().assign(breed=["a b", "a", "b", ""] * 3)
    channels = {"image": ("{id}_r.png", "{id}_g.png"), "test_image": ("{id}_r.png", "{id}_g.png")}
    summary, page = planless(tmp_path, table=table, kind="labels", **channels)
    assert summary.counts == [6, 6] and summary.labels == [3, 6, 3]
    assert "Photos with 0: 3, 1: 6, 2: 3 labels." in page and page.count('class="sheet"') == 2
    assert summary.answers == [] and summary.sizes["train"] == [(24, 16, 12)]


def test_look_alikes_of_different_labels_are_told(tmp_path):
    place, given = usual_folder(tmp_path / "data")
    shutil.copy(place / "train" / "p00.jpg", place / "train" / "p01.jpg")
    summary = report_data(DataFolder(place, complete(given, place)), tmp_path / "data.html")
    assert len(summary.links) == 1
    page = (tmp_path / "data.html").read_text(encoding="utf-8")
    assert "labels differ: pug, corgi" in page and "1 pairs of photos look alike" in page


def test_a_page_of_a_competition_s_own_reader_and_of_groups(tmp_path):
    def read(path):
        return np.asarray(Image.open(path).convert("L"))[:, :, None].repeat(2, axis=2)

    summary, page = planless(tmp_path, read=read, channels=2, group="owner")
    assert summary.groups == 6 and "12 photos of 6 owners to train on" in page


def test_of_many_classes_the_rarest_have_a_sheet(tmp_path):
    table = pets(130).assign(breed=[f"b{n // 2:02d}" for n in range(130)])
    summary, page = planless(tmp_path, table=table)
    assert len(summary.counts) == 65 and page.count('class="sheet"') == 60
    assert "Of 65 classes, the 60 rarest that have photos." in page
