import numpy as np
import pytest
import torch
from conftest import draw_photo
from PIL import Image

from kit.data import Geometry, Photos, batches_of, decode, fit, make_loader, one_pass
from kit.errors import KitError

CPU = torch.device("cpu")


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
    geometry = Geometry((400, 300), (200, 150))
    assert fit(photo, geometry).shape == (200, 150, 3) and fit(photo, geometry).min() == 255
    double = photo.repeat(2, axis=0).repeat(2, axis=1)
    assert (fit(double, geometry) == 255).all()
    assert (fit(photo, Geometry((512, 384), (512, 384))) == photo).all()


def test_every_photo_comes_once_whatever_the_batch_and_workers(tmp_path):
    names = [f"{i}.jpg" for i in range(7)]
    for name in names:
        draw_photo(tmp_path / name, name)
    photos = Photos(tmp_path, names, [Geometry((512, 384), (16, 12)), Geometry((256, 192), (8, 6))])
    for workers in (0, 2):
        found = [(at, big, little) for at, (big, little) in make_loader(photos, batches_of(7, 3), workers, CPU)]
        assert torch.cat([at for at, _, _ in found]).tolist() == list(range(7))
        assert [tuple(big.shape) for _, big, _ in found] == [(3, 16, 12, 3), (3, 16, 12, 3), (1, 16, 12, 3)]
        assert found[0][2].dtype == torch.uint8 and (found[0][2][1].numpy() == photos[1][1][1]).all()


def test_kept_photos_are_the_same_and_decoded_once(tmp_path):
    names = [f"{i}.jpg" for i in range(4)]
    for name in names:
        draw_photo(tmp_path / name, name)
    geometry = Geometry((512, 384), (16, 12))
    fresh, kept = Photos(tmp_path, names, [geometry]), Photos(tmp_path, names, [geometry], keep=2 * 16 * 12 * 3)
    first = [kept[i][1][0] for i in range(4)]
    assert all((fresh[i][1][0] == first[i]).all() for i in range(4))
    for name in names[:2]:
        (tmp_path / name).unlink()
    assert all((kept[i][1][0] == first[i]).all() for i in range(4))
    (tmp_path / names[2]).unlink()
    with pytest.raises(KitError, match="2.jpg: cannot be read"):
        kept[2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_photo_is_one_line_from_a_worker_too(tmp_path, workers):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(KitError) as error:
        list(one_pass(make_loader(Photos(tmp_path, ["a.jpg"], [Geometry((512, 384), (8, 6))]), [[0]], workers, CPU)))
    assert str(error.value) == f"{tmp_path / 'a.jpg'}: is no image; unpack the data again"
