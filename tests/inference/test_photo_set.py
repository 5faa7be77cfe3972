"""Sets of photos: their parts, and their hash."""

import numpy as np

from kit.inference.photo_set import BLOCK, PhotoSet


def test_the_hash_is_of_ids_names_and_bytes(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)

    def digest(ids, images=()):
        return PhotoSet(tmp_path, ids, images=images).hash

    whole = digest(("a", "b"))
    assert whole == digest(("a", "b")) == digest(("a", "b"), ("a", "b"))
    assert len({whole, digest(("b", "a")), digest(("x", "b"), ("a", "b")), digest(("a",))}) == 4
    (tmp_path / "b").write_text("changed")
    assert digest(("a", "b")) != whole
    assert PhotoSet(tmp_path, ("a", "b"), known_hash="told").hash == "told"


def test_parts_have_their_own_ids_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = PhotoSet(tmp_path.relative_to(tmp_path), tuple("abcd"), images=tuple("efgh"))
    assert photos.part(1, 3).ids == ("b", "c") and photos.part(1, 3).files == ("f", "g")
    few = photos.of(np.array([3, 0]))
    assert few.ids == ("d", "a") and few.files == ("h", "e")
    assert photos.placed().root == tmp_path and BLOCK % 256 == 0
