"""Photos of any competition: channels, bits, formats, large ones, and functions that read them."""

import numpy as np
import pytest
from PIL import Image

from kit.data.geometry import Geometry
from kit.data.photos import crop_and_resize, decode
from kit.data.reading import as_rgb, grey_photo, photo_size, read_photo
from kit.system.errors import KitError
from kit.system.script import ScriptFunction


def geometry(height, width, channels=3, size=(8, 6)):
    return Geometry((height, width), size, (height, width), channels)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_several_files_are_the_channels_of_one_photo(tmp_path):
    colours = [noise(c, 20, 14) for c in range(4)]
    names = [f"a_{name}.png" for name in ("red", "green", "blue", "yellow")]
    for name, colour in zip(names, colours):
        Image.fromarray(colour).save(tmp_path / name)
    photo = read_photo(tmp_path, "|".join(names), [geometry(20, 14, 4)])
    assert photo.shape == (20, 14, 4) and (photo == np.stack(colours, axis=2)).all()
    assert photo_size(tmp_path, "|".join(names)) == (20, 14)
    alone = read_photo(tmp_path, names[3], [geometry(20, 14, 1)])
    assert (alone[..., 0] == colours[3]).all() and alone.shape == (20, 14, 1)
    rgb = read_photo(tmp_path, names[3], [geometry(20, 14)])
    assert (rgb == alone).all() and rgb.shape == (20, 14, 3)
    mean, content = grey_photo(tmp_path, "|".join(names))
    assert np.abs(mean - np.mean(colours, axis=0)).max() < 1
    assert content == b"".join((tmp_path / name).read_bytes() for name in names)
    with pytest.raises(KitError, match="has 2 files and not 4"):
        read_photo(tmp_path, "|".join(names[:2]), [geometry(20, 14, 4)])
    Image.fromarray(noise(9, 20, 15)).save(tmp_path / "wide.png")
    with pytest.raises(KitError, match="differ in size .2 found.* 14 x 20"):
        read_photo(tmp_path, f"{names[0]}|wide.png", [geometry(20, 14, 2)])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [(5, 4), (40, 28)])
def test_each_channel_is_resized_as_if_it_were_alone(channels, size):
    photo = noise(channels, 20, 14, channels)
    resized = crop_and_resize(photo, geometry(20, 14, channels, size))
    assert resized.shape == (*size, channels)
    for c in range(channels):
        alone = crop_and_resize(photo[..., c : c + 1], geometry(20, 14, 1, size))
        assert (resized[..., c] == alone[..., 0]).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg", None])
def test_the_first_page_of_a_tiff_is_read(tmp_path, compression):
    first, second = Image.new("RGB", (14, 20), (200, 100, 50)), Image.new("RGB", (14, 20))
    options = {"compression": compression} if compression else {}
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second], **options)
    photo = read_photo(tmp_path, "a.tif", [geometry(20, 14)])
    assert np.abs(photo.astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_become_the_upper_eight(tmp_path, suffix):
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    photo = read_photo(tmp_path, f"a.{suffix}", [geometry(16, 16)])
    assert (photo == (values >> 8)[..., None]).all()
    alone = read_photo(tmp_path, f"a.{suffix}", [geometry(16, 16, 1)])
    assert (alone == photo[..., :1]).all()


def test_sixteen_bits_of_rgb_become_eight(tmp_path):
    import cv2

    values = np.random.default_rng(0).integers(0, 65536, (8, 6, 3), dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), values)  # OpenCV's order is BGR
        photo = read_photo(tmp_path, name, [geometry(8, 6)])
        assert np.abs(photo.astype(int) - (values[..., ::-1] >> 8)).max() <= 1


def test_palettes_and_transparency_are_as_they_look(tmp_path):
    photo = Image.new("RGBA", (6, 4), (200, 0, 0, 255))
    photo.paste((0, 0, 0, 0), (0, 0, 3, 4))
    photo.convert("P").save(tmp_path / "a.png", transparency=0)
    seen = read_photo(tmp_path, "a.png", [geometry(4, 6)])
    assert seen.shape == (4, 6, 3) and (seen[:, 3:] == (204, 0, 0)).all() or seen[0, 5, 0] > 190


def test_pixels_without_a_known_white_need_a_function(tmp_path):
    Image.fromarray(np.zeros((8, 6), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(KitError, match=r"mode F.*no known white; give .* a function read\(path\)"):
        read_photo(tmp_path, "a.tif", [geometry(8, 6)])


def test_a_large_jpeg_is_decoded_at_twice_the_size_that_is_needed(tmp_path):
    small = Image.fromarray(noise(0, 75, 100, 3))
    large = small.resize((4000, 3000), Image.Resampling.BICUBIC)
    large.save(tmp_path / "a.jpg", quality=95)
    large.resize((1000, 750)).save(tmp_path / "b.jpg", quality=95)
    one, two = geometry(3000, 4000, 3, (75, 100)), Geometry((300, 400), (75, 100), (3000, 4000))
    draft = read_photo(tmp_path, "a.jpg", [one])
    assert draft.shape == (375, 500, 3)
    whole = crop_and_resize(decode(tmp_path / "a.jpg")[0], one).astype(int)
    assert np.abs(crop_and_resize(draft, one) - whole).mean() < 1
    assert read_photo(tmp_path, "a.jpg", [one, two]).shape == (3000, 4000, 3)
    unchanged = read_photo(tmp_path, "b.jpg", [one])
    assert (unchanged == decode(tmp_path / "b.jpg")[0]).all()


def reader(body):
    text = f"import numpy as np\n\n\ndef read(path):\n    {body}\n"
    return ScriptFunction("", text, "read", "competition")


def test_a_competition_s_function_reads_its_own_files(tmp_path):
    np.save(tmp_path / "a.npy", noise(0, 8, 6, 5))
    read = reader("return np.load(path)")
    photo = read_photo(tmp_path, "a.npy", [geometry(8, 6, 5)], read)
    assert (photo == noise(0, 8, 6, 5)).all() and photo_size(tmp_path, "a.npy", read) == (8, 6)
    grey, content = grey_photo(tmp_path, "a.npy", read)
    assert grey.shape == (8, 6) and grey.dtype == np.uint8 and content == photo.tobytes()
    flat = reader("return np.load(path)[..., 0]")
    assert read_photo(tmp_path, "a.npy", [geometry(8, 6, 1)], flat).shape == (8, 6, 1)


@pytest.mark.parametrize(
    "body, said",
    [
        ("return np.zeros((8, 6, 4), np.uint8)", r"\(height, width, 3\), and gives uint8 .8, 6, 4"),
        ("return np.zeros((8, 6, 3))", "gives float64"),
        ("return np.zeros((0, 6, 3), np.uint8)", r"gives uint8 \(0, 6, 3\)"),
        ("return None", "gives <class 'NoneType'>"),
        ("return 1 / 0", "`read` fails on it .ZeroDivisionError"),
    ],
)
def test_a_function_that_gives_no_photo_is_one_line(tmp_path, body, said):
    with pytest.raises(KitError, match=f"a.npy: .*{said}.*; mend"):
        read_photo(tmp_path, "a.npy", [geometry(8, 6)], reader(body))


def test_any_channels_can_be_looked_at():
    for channels in (1, 2, 3, 7):
        photo = noise(channels, 4, 5, channels)
        seen = as_rgb(photo)
        assert seen.shape == (4, 5, 3) and (seen[..., 0] == photo[..., 0]).all()
    assert (as_rgb(noise(0, 4, 5, 2))[..., 2] == 0).all()
