"""The pixel cache: what it holds, and when it is made anew."""

import os
import pickle
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from helpers import MASK, draw_photo, everywhere

import kit.data.cache
import kit.data.loader
from kit.data.cache import pixel_cache
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset
from kit.system.errors import KitError
from kit.system.script import ScriptFunction

GEOMETRY = Geometry((512, 384), (16, 12), MASK.frame)


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
    from helpers import small

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
    assert again(geometry=Geometry((400, 300), (16, 12), MASK.frame)) == 2 and again() == 2
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
        "import sys, pathlib; from kit.data.cache import pixel_cache; from kit.data.geometry "
        "import Geometry; p = "
        "pathlib.Path(sys.argv[1]); "
        "pixel_cache(p / 'pixels', p / 'photos', [f'{i}.jpg' for i in range(8)], Geometry((512, "
        "384), "
        "(16, 12), (512, 384)))"
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


def test_channels_and_the_code_that_reads_photos_make_caches_of_their_own(place):
    def reader(value):
        body = f"return np.full((8, 6, 5), {value}, np.uint8)"
        text = f"import numpy as np\n\n\ndef read(path):\n    {body}\n"
        return ScriptFunction("", text, "read", "competition")

    grey, five = Geometry((8, 6), (4, 3), (8, 6), 1), Geometry((8, 6), (4, 3), (8, 6), 5)
    photos, pixels = place / "photos", place / "pixels"
    one = pixel_cache(pixels, photos, NAMES, grey)
    rgb = pixel_cache(pixels, photos, NAMES, Geometry((8, 6), (4, 3), (8, 6)))
    assert one.open().shape == (8, 4, 3, 1) and rgb.open().shape == (8, 4, 3, 3)
    assert one.path.name.startswith("8x6-4x3x1-") and rgb.path.name.startswith("8x6-4x3-")
    first = pixel_cache(pixels, photos, NAMES, five, read=reader(7))
    assert (np.array(first.open()) == 7).all() and first.path.exists()
    second = pixel_cache(pixels, photos, NAMES, five, read=reader(8))
    assert (np.array(second.open()) == 8).all() and second.path != first.path
    assert one.path.exists() and rgb.path.exists()
    fresh = PhotoDataset(photos, NAMES, [five], read=reader(8))
    assert (fresh[3][1][0] == second.open()[3]).all()


def on_host(patch, name):
    """This machine goes by another name."""
    patch.setattr(socket, "gethostname", lambda: name)


def test_hosts_with_the_same_photos_share_a_cache(place, monkeypatch, capsys):
    pixels, photos = place / "pixels", place / "photos"
    on_host(monkeypatch, "box1")
    one = pixel_cache(pixels, photos, NAMES, GEOMETRY)
    on_host(monkeypatch, "box2")
    capsys.readouterr()
    assert pixel_cache(pixels, photos, NAMES, GEOMETRY) == one
    assert pixel_cache(pixels, photos, NAMES, GEOMETRY, build=False) == one
    assert one.path.name.endswith(".box1.npy") and capsys.readouterr().out == ""
    one.path.write_bytes(b"damaged")  # box1's own to mend
    two = pixel_cache(pixels, photos, NAMES, GEOMETRY)
    assert two.path.name.endswith(".box2.npy") and one.path.read_bytes() == b"damaged"


def test_hosts_with_copies_of_the_photos_leave_each_other_s_caches_alone(place, monkeypatch):
    pixels, built = place / "pixels", []
    real = kit.data.cache._build
    everywhere(monkeypatch, kit.data.cache, "_build", lambda *args: (built.append(1), real(*args)))
    shutil.copytree(place / "photos", place / "copies")  # with times of change of their own

    def on(host, root, names=NAMES):
        on_host(monkeypatch, host)
        return pixel_cache(pixels, place / root, names, GEOMETRY)

    one, two = on("box1", "photos"), on("box2", "copies")
    assert one != two and len(built) == 2
    for _ in range(2):
        assert on("box1", "photos") == one and on("box2", "copies") == two
    assert len(built) == 2
    assert on("box2", "copies", NAMES[:5]).path.exists() and len(built) == 3
    assert one.path.exists() and not two.path.exists()  # the stale one of this host is removed
