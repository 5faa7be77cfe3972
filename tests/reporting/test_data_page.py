"""The data page: look-alikes, sizes and brightness."""

import shutil

from helpers import draw_photo, make_data, mask_folder

from kit.reporting import figures as figures
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
