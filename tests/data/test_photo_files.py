"""Photos as programs and cameras write them: turned, in other colours, animated, with odd metadata.

Each gives the pixels that a viewer shows, or is told to be damaged.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from kit.data.content import photo_hashes
from kit.data.photos import DamagedPhotos, decode, for_each_photo, size_of
from kit.system.errors import KitError

# A photo with a colour of its own in each corner.
CORNERS = np.zeros((16, 24, 3), np.uint8)
CORNERS[:8, :12], CORNERS[:8, 12:], CORNERS[8:, :12] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# What stands in the file, by EXIF's orientation: the camera's pixels of the same picture.
STORED = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.transpose(1, 0, 2),
    6: np.rot90(CORNERS, 1),
    7: CORNERS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(CORNERS, -1),
}


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
def test_every_orientation_gives_the_same_picture(tmp_path, value, suffix):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = value
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    photo = Image.fromarray(np.ascontiguousarray(STORED[value]))
    photo.save(path, exif=exif, **({} if suffix in ("png", "tiff") else options))
    assert np.abs(decode(path)[0].astype(int) - CORNERS).max() <= 2
    assert size_of(path) == (24, 16)


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_orientation_that_is_none_turns_nothing(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=exif)
    assert (decode(tmp_path / "a.png")[0] == CORNERS).all()
    assert size_of(tmp_path / "a.png") == (24, 16)


@pytest.mark.parametrize("entry", [(5, 1, b"\0\0\0\0"), (2, 4, b"6\0\0\0"), (12, 99, b"\xff" * 4)])
def test_an_orientation_of_another_type_is_no_traceback(tmp_path, entry):
    kind, number, value = entry
    block = struct.pack("<HHHI", 1, 0x0112, kind, number) + value + bytes(4)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + block
    Image.fromarray(CORNERS).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    for read in (decode, size_of):
        try:
            read(tmp_path / "a.jpg")
        except KitError as error:
            assert "is a damaged image" in str(error)


def test_of_several_pages_the_first_is_taken(tmp_path):
    first, second = Image.fromarray(CORNERS), Image.new("RGB", (24, 16), "white")
    for suffix, options in (("png", {}), ("tiff", {}), ("webp", {"lossless": True})):
        path = tmp_path / f"a.{suffix}"
        first.save(path, save_all=True, append_images=[second] * 50, **options)
        assert (decode(path)[0] == CORNERS).all() and size_of(path) == (24, 16)


def test_colours_are_those_that_a_viewer_shows(tmp_path):
    path = tmp_path / "a.tiff"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path)  # red, as PIL's plain CMYK has it
    assert (decode(path)[0] == (255, 0, 0)).all()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert np.abs(decode(tmp_path / "a.jpg")[0].astype(int) - (255, 0, 0)).max() <= 2
    palette = Image.fromarray(CORNERS).quantize(4)
    palette.save(tmp_path / "a.png", transparency=palette.getpixel((0, 0)))
    shown = decode(tmp_path / "a.png")[0]
    assert (shown[0, 0] == 255).all() and (shown[0, 23] == (0, 255, 0)).all()
    Image.fromarray(CORNERS).convert("1").save(tmp_path / "b.png")
    assert set(np.unique(decode(tmp_path / "b.png")[0])) <= {0, 255}


def test_of_sixteen_bits_what_is_transparent_is_white(tmp_path):
    values = np.full((8, 6), 40 * 256 + 7, np.uint16)
    values[:4] = 200 * 256
    Image.fromarray(values).save(tmp_path / "a.png", transparency=40 * 256 + 7)
    content = (tmp_path / "a.png").read_bytes()
    assert b"tRNS" in content
    assert decode(tmp_path / "a.png")[0][:, 0, 0].tolist() == [200] * 4 + [255] * 4


@pytest.mark.filterwarnings("ignore")  # PIL warns of odd metadata
def test_metadata_that_inflates_is_not_inflated(tmp_path):
    info, bomb = PngImagePlugin.PngInfo(), bytes(2 * 10**6)
    info.add_text("k", bomb.decode(), zip=True)
    Image.fromarray(CORNERS).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(KitError, match="is a damaged image .Decompressed [Dd]ata [Tt]oo [Ll]arge"):
        decode(tmp_path / "a.png")
    content = io.BytesIO()
    Image.fromarray(CORNERS).save(content, "PNG")
    packed = b"icc\0\0" + zlib.compress(bytes(10**8), 9)
    check = struct.pack(">I", zlib.crc32(b"iCCP" + packed))
    chunk = struct.pack(">I", len(packed)) + b"iCCP" + packed + check
    (tmp_path / "b.png").write_bytes(content.getvalue()[:33] + chunk + content.getvalue()[33:])
    try:  # the profile is left out, or the photo told to be damaged
        assert (decode(tmp_path / "b.png")[0] == CORNERS).all()
    except KitError as error:
        assert "is a damaged image" in str(error)


def test_all_damaged_photos_are_told_and_one_goes_in_between(tmp_path):
    names = [f"{i}.png" for i in range(6)]
    for name in names:
        Image.fromarray(CORNERS).save(tmp_path / name)
    (tmp_path / "1.png").write_bytes(b"no photo")
    (tmp_path / "3.png").unlink()  # after it was listed
    (tmp_path / "4.png").unlink()
    (tmp_path / "4.png").mkdir()
    with pytest.raises(DamagedPhotos) as error:
        for_each_photo(tmp_path, names, lambda path: decode(path), "reading")
    assert "photos that cannot be used (3 found, the first: 1.png: is no image" in str(error.value)
    assert [fault[:6] for fault in error.value.faults] == ["1.png:", "3.png:", "4.png:"]
    for name in ("3.png", "4.png"):
        with pytest.raises(KitError, match="cannot be read: .*; unpack the data again"):
            photo_hashes(tmp_path, [name])


def test_what_only_a_function_can_read_is_not_unpacked_again(tmp_path):
    Image.fromarray(np.zeros((16, 16), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(DamagedPhotos, match="; give the competition a function read"):
        for_each_photo(tmp_path, ["a.tiff"], decode, "reading")
