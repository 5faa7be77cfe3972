"""Hashes over photos' names and bytes."""

import pytest

import kit.data.content
from kit.data.content import photo_hashes
from kit.system.errors import KitError


def test_a_hash_is_of_the_name_and_of_every_channel(tmp_path):
    names = [f"{n:03d}" for n in range(200)]  # more than a thread reads at a time
    for name in names:
        (tmp_path / name).write_text("same")
    hashes = photo_hashes(tmp_path, names)
    assert len(set(hashes)) == 200 and hashes == photo_hashes(tmp_path, names)
    (tmp_path / "007").write_text("other")
    changed = photo_hashes(tmp_path, names)
    assert [a != b for a, b in zip(hashes, changed)].index(True) == 7 and changed[8:] == hashes[8:]
    (tmp_path / "a").write_text("xy")
    (tmp_path / "b").write_text("z")
    both = photo_hashes(tmp_path, ["a|b"])
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("yz")
    assert photo_hashes(tmp_path, ["a|b"]) != both


def test_a_file_of_many_photos_is_read_once(tmp_path, monkeypatch):
    read, plain = [], kit.data.content.file_hash
    monkeypatch.setattr(
        kit.data.content, "file_hash", lambda path: read.append(path) or plain(path)
    )
    (tmp_path / "all.h5").write_text("photos")
    names = [f"all.h5/{n}" for n in range(200)]  # for several threads
    first = photo_hashes(tmp_path, names)
    assert len(set(first)) == 200 and photo_hashes(tmp_path, names[:1]) == first[:1]
    assert len(read) == 1
    (tmp_path / "all.h5").write_text("other photos")
    assert photo_hashes(tmp_path, ["all.h5/1"]) != first[:1]


def test_a_photo_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(KitError, match="nobody.jpg: cannot be read"):
        photo_hashes(tmp_path, ["nobody.jpg"])
