"""Photos: formats, colours, damage, and the crop."""

import subprocess

import numpy as np
import pytest
from helpers import MASK, draw_photo
from PIL import Image

from kit.data.geometry import Geometry
from kit.data.photos import crop_and_resize, decode, size_of
from kit.system.errors import KitError


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1"])
def test_other_colour_modes_are_read(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("L", "CMYK") else "a.png")
    Image.new("RGB", (96, 128), (200, 200, 200)).convert(mode).save(path)
    photo, content = decode(path)
    assert photo.shape == (128, 96, 3) and photo.dtype == np.uint8 and content == path.read_bytes()
    assert mode == "1" or abs(photo.mean() - 200) <= 5  # a palette dithers


def test_sixteen_bits_are_scaled_and_unknown_scales_refused(tmp_path):
    Image.fromarray(np.full((8, 6), 200 * 256, np.uint16)).save(tmp_path / "a.png")
    assert (decode(tmp_path / "a.png")[0] == 200).all()
    Image.fromarray(np.zeros((8, 6), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(KitError, match="mode F"):
        decode(tmp_path / "a.tiff")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_laid_on_white(tmp_path, mode):
    photo = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    photo.paste((200, 200, 200, 255), (0, 0, 4, 6))
    photo.paste((100, 100, 100, 51), (4, 0, 6, 6))  # a fifth of 100 on four fifths of 255
    photo.convert("LA").convert(mode if mode != "PA" else "LA").save(tmp_path / "a.png")
    shown = decode(tmp_path / "a.png")[0][0, :, 0].astype(int)
    assert np.abs(shown - np.array([200] * 4 + [224] * 2 + [255] * 2)).max() <= 1


def test_a_colour_that_stands_for_transparent_is_white(tmp_path):
    photo = Image.new("RGB", (8, 6), (10, 20, 30))
    photo.paste((200, 200, 200), (0, 0, 4, 6))
    photo.save(tmp_path / "a.png", transparency=(10, 20, 30))
    assert decode(tmp_path / "a.png")[0][0, :, 2].tolist() == [200] * 4 + [255] * 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp"])
def test_formats_of_photos_are_read(tmp_path, suffix):
    Image.new("RGB", (96, 128), (200, 100, 50)).save(tmp_path / f"a.{suffix}")
    assert np.abs(decode(tmp_path / f"a.{suffix}")[0].astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("suffix", ["eps", "gif", "ppm", "pdf", "ico"])
def test_other_formats_are_not_opened_whatever_their_name(tmp_path, suffix, monkeypatch):
    Image.new("RGB", (96, 128)).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.jpg")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("Ghostscript"))
    monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("Ghostscript"))
    for read in (decode, size_of):
        with pytest.raises(KitError, match="a.jpg: is no image"):
            read(tmp_path / "a.jpg")


def test_the_size_of_what_is_no_image_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(KitError, match="a.png: is no image .*; unpack the data again"):
        size_of(tmp_path / "a.png")


def test_photos_are_turned_upright(tmp_path):
    photo = Image.new("RGB", (96, 128))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg")[0].shape == (96, 128, 3)


def test_a_draft_is_small_and_finds_the_same_damage(tmp_path):
    path = tmp_path / "a.jpg"
    draw_photo(path, 1, (384, 512))
    assert min(decode(path, least=64)[0].shape[:2]) < 200
    path.write_bytes(path.read_bytes()[:-400])
    for least in (None, 64):
        with pytest.raises(KitError, match="damaged image"):
            decode(path, least=least)


def test_the_crop_is_central_and_scales_with_the_photo():
    photo = np.zeros((512, 384, 3), np.uint8)
    photo[56:456, 42:342] = 255
    geometry = Geometry((400, 300), (200, 150), MASK.frame)
    assert (
        crop_and_resize(photo, geometry).shape == (200, 150, 3)
        and crop_and_resize(photo, geometry).min() == 255
    )
    double = photo.repeat(2, axis=0).repeat(2, axis=1)
    assert (crop_and_resize(double, geometry) == 255).all()
    assert (crop_and_resize(photo, Geometry((512, 384), (512, 384), MASK.frame)) == photo).all()
