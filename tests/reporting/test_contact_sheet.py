"""Thumbnails in a competition's frame, and contact sheets."""

import pytest
from helpers import draw_photo
from PIL import Image

from kit.reporting.contact_sheet import contact_sheet, data_uri, thumbnail_height, thumbnails


@pytest.mark.parametrize("frame, height", [((512, 384), 200), ((64, 96), 100), ((100, 100), 150)])
def test_a_thumbnail_has_the_frame_s_shape(tmp_path, frame, height):
    draw_photo(tmp_path / "a.jpg", 1, (320, 240))
    assert thumbnail_height(frame) == height
    assert [photo.size for photo in thumbnails(tmp_path, ["a.jpg"], frame)] == [(150, height)]
    assert thumbnails(tmp_path, ["a.jpg"], frame, 30)[0].size == (30, 30 * frame[0] // frame[1])


def test_a_contact_sheet_has_rows_and_long_captions_are_cut():
    photos = [Image.new("RGB", (40, 30), "red")] * 5
    sheet = contact_sheet(photos, [("a",), ("a long caption" * 9, "b"), (), (), ()], 3)
    assert sheet.size == (3 * 46 + 6, 2 * (30 + 6 + 2 * 13) + 6)
    assert sheet.getpixel((10, 10)) == (255, 0, 0) and sheet.getpixel((0, 0)) == (255, 255, 255)
    assert contact_sheet(photos[:1], [()], 3).size == (52, 42)
    assert data_uri(sheet).startswith("data:image/jpeg;base64,")
