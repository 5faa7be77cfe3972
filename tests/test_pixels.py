import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import draw_photo, everywhere
from PIL import Image

import kit.data.cache
import kit.data.loader
from kit.data.cache import pixel_cache
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, batches_of, default_workers, iterate, make_loader
from kit.data.photos import crop_and_resize, decode
from kit.system.errors import KitError

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
    with pytest.raises(KitError, match="is no image"):
        decode(tmp_path / "a.jpg")


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
    assert (
        crop_and_resize(photo, geometry).shape == (200, 150, 3)
        and crop_and_resize(photo, geometry).min() == 255
    )
    double = photo.repeat(2, axis=0).repeat(2, axis=1)
    assert (crop_and_resize(double, geometry) == 255).all()
    assert (crop_and_resize(photo, Geometry((512, 384), (512, 384))) == photo).all()


def test_every_photo_comes_once_whatever_the_batch_and_workers(tmp_path):
    names = [f"{i}.jpg" for i in range(7)]
    for name in names:
        draw_photo(tmp_path / name, name)
    photos = PhotoDataset(
        tmp_path, names, [Geometry((512, 384), (16, 12)), Geometry((256, 192), (8, 6))]
    )
    for workers in (0, 2):
        found = [
            (at, big, little)
            for at, (big, little) in make_loader(photos, batches_of(7, 3), workers, CPU)
        ]
        assert torch.cat([at for at, _, _ in found]).tolist() == list(range(7))
        assert [tuple(big.shape) for _, big, _ in found] == [
            (3, 16, 12, 3),
            (3, 16, 12, 3),
            (1, 16, 12, 3),
        ]
        assert (
            found[0][2].dtype == torch.uint8 and (found[0][2][1].numpy() == photos[1][1][1]).all()
        )


# ------------------------------------------------------------ the cache

GEOMETRY = Geometry((512, 384), (16, 12))


@pytest.fixture
def place(tmp_path):
    """Eight photos in a folder."""
    (tmp_path / "photos").mkdir()
    for i in range(8):
        draw_photo(tmp_path / "photos" / f"{i}.jpg", i)
    return tmp_path


NAMES = [f"{i}.jpg" for i in range(8)]


def test_cached_photos_are_the_decoded_ones(place, capsys):
    cache = pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    assert "pixel cache of 8 photos" in capsys.readouterr().out
    fresh = PhotoDataset(place / "photos", NAMES[2:], [GEOMETRY])
    kept = PhotoDataset(place / "photos", NAMES[2:], [GEOMETRY], cache=cache)
    for name in NAMES:
        (place / "photos" / name).rename(place / name)
    for photos in (kept, pickle.loads(pickle.dumps(kept))):
        with pytest.raises(KitError, match="cannot be read"):
            fresh[0]
        for name in NAMES:
            (place / name).rename(place / "photos" / name)
        assert all((photos[i][1][0] == fresh[i][1][0]).all() for i in range(6))
        for name in NAMES:
            (place / "photos" / name).rename(place / name)
    assert [kept.images[i] for i in range(6)] == NAMES[2:] and not kept[0][1][0].flags.writeable


def test_augmentation_does_not_change_the_cache(place):
    from conftest import small

    cache = pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    before = cache.path.read_bytes()
    photos = PhotoDataset(place / "photos", NAMES, [GEOMETRY], small().augment, cache)
    fresh = PhotoDataset(place / "photos", NAMES, [GEOMETRY], small().augment)
    assert all((photos[i, i][1][0] == fresh[i, i][1][0]).all() for i in range(8))
    assert cache.path.read_bytes() == before


def test_the_cache_is_made_once_and_anew_for_every_change(place, monkeypatch):
    root, built = place / "photos", []
    real = kit.data.cache._build
    everywhere(monkeypatch, kit.data.cache, "_build", lambda *args: (built.append(1), real(*args)))

    def again(names=NAMES, geometry=GEOMETRY):
        cache = pixel_cache(place / "pixels", root, names, geometry)
        photos, fresh = (
            PhotoDataset(root, names, [geometry], cache=cache),
            PhotoDataset(root, names, [geometry]),
        )
        assert all((photos[i][1][0] == fresh[i][1][0]).all() for i in range(len(names)))
        return len(built)

    assert again() == again() == 1
    assert again(geometry=Geometry((400, 300), (16, 12))) == 2 and again() == 2
    assert again(NAMES[:7]) == 3 and len(list((place / "pixels").glob("512x384*.npy"))) == 1
    assert again() == 4
    stat = (root / "3.jpg").stat()
    size = stat.st_size
    draw_photo(root / "3.jpg", "another")
    content = (root / "3.jpg").read_bytes()
    (root / "3.jpg").write_bytes(
        (content + bytes(size))[:size] if len(content) <= size else content
    )
    os.utime(root / "3.jpg", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # even with its old date
    assert again() == 5
    path = next((place / "pixels").glob("512x384*.npy"))
    for n, content in enumerate((path.read_bytes()[:-1], b"", b"PK", b"text")):
        path.write_bytes(content)
        assert again() == 6 + n


def test_a_cache_that_cannot_be_written_is_done_without(place, monkeypatch, capsys):
    everywhere(monkeypatch, kit.data.cache, "_FREE_BYTES", 2**62)
    assert pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY) is None
    assert "too little free disk" in capsys.readouterr().err
    monkeypatch.undo()
    (place / "file").write_text("")
    assert pixel_cache(place / "file", place / "photos", NAMES, GEOMETRY) is None
    assert "cannot be written" in capsys.readouterr().err

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY) is None
    assert "No space left on device): photos are decoded in every epoch" in capsys.readouterr().err
    assert [p.name for p in (place / "pixels").iterdir()] == [".lock"]


def test_a_photo_that_cannot_be_cached_is_one_line(place):
    (place / "photos" / "5.jpg").write_bytes(b"no image")
    with pytest.raises(KitError, match="5.jpg: is no image"):
        pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    (place / "photos" / "5.jpg").unlink()
    with pytest.raises(KitError, match="5.jpg: cannot be read"):
        pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    assert not list((place / "pixels").glob("*.npy"))


def test_photos_that_change_while_they_are_cached_are_refused(place, monkeypatch):
    real = kit.data.cache._build

    def slow(*args):
        real(*args)
        draw_photo(place / "photos" / "0.jpg", "new", (100, 130))

    everywhere(monkeypatch, kit.data.cache, "_build", slow)
    with pytest.raises(KitError, match="were changed while they were read"):
        pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    assert not list((place / "pixels").glob("*.npy"))


def test_without_building_only_a_cache_that_is_there_is_used(place):
    assert pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY, build=False) is None
    assert not (place / "pixels").exists()
    made = pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY)
    assert pixel_cache(place / "pixels", place / "photos", NAMES, GEOMETRY, build=False) == made


def test_processes_that_want_the_same_cache_build_it_once(place):
    code = (
        "import sys, pathlib; from kit.data.cache import pixel_cache; from kit.data.photos import "
        "Geometry; p = "
        "pathlib.Path(sys.argv[1]); "
        "pixel_cache(p / 'pixels', p / 'photos', [f'{i}.jpg' for i in range(8)], Geometry((512, "
        "384), "
        "(16, 12)))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum("pixel cache of" in text for text in said) == 1


def test_loader_processes_that_give_nothing_are_not_waited_for_for_ever(place, monkeypatch):
    everywhere(monkeypatch, kit.data.loader, "_WAIT_SECONDS", 1)
    monkeypatch.setattr(PhotoDataset, "__getitem__", lambda *_: time.sleep(4))
    loader = make_loader(PhotoDataset(place / "photos", NAMES, [GEOMETRY]), [[0]], 1, CPU)
    with pytest.raises(
        KitError, match="no photos came from the loader processes for 1 seconds: .*take --workers 0"
    ):
        list(iterate(loader))


def test_default_workers():
    cores = len(os.sched_getaffinity(0))
    assert default_workers("cpu") == 0 and 1 <= default_workers("cuda") <= max(1, cores)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_photo_is_one_line_from_a_worker_too(tmp_path, workers):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(KitError) as error:
        list(
            iterate(
                make_loader(
                    PhotoDataset(tmp_path, ["a.jpg"], [Geometry((512, 384), (8, 6))]),
                    [[0]],
                    workers,
                    CPU,
                )
            )
        )
    assert (
        str(error.value)
        == f"{tmp_path / 'a.jpg'}: is no image (JPEG, PNG, WEBP, TIFF, BMP); unpack the data again"
    )
