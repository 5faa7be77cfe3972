"""What a folder holds."""

import pytest
from PIL import Image

from kit.starting.look import look
from kit.system.errors import KitError


def photo(path, size=(4, 3)):
    """A small photo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def test_photos_tables_and_sizes(tmp_path):
    for name in ("train/b.jpg", "train/a.PNG", "test/._c.jpg", ".hidden/d.jpg", "__MACOSX/e.jpg"):
        photo(tmp_path / name)
    photo(tmp_path / "train" / "z.tif", (9, 9))
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "t.csv").write_text("id,x\n001,NA\n")
    (tmp_path / "bad.csv").write_text("")
    (tmp_path / "w.dcm").touch()
    (tmp_path / "train" / "empty.jpg").touch()
    facts = look(tmp_path)
    assert facts.photos == ("train/a.PNG", "train/b.jpg", "train/empty.jpg", "train/z.tif")
    assert facts.tables["meta/t.csv"].iloc[0].tolist() == ["001", "NA"]
    assert list(facts.tables) == ["meta/t.csv"] and facts.unread[0].startswith("bad.csv: is empty")
    assert facts.sizes == (((4, 3), 2), ((9, 9), 1)) and facts.others == {".dcm": 1}


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    photo(tmp_path / "real" / "a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "photos").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "data")
    assert look(tmp_path / "data").photos == ("photos/a.png",)


def test_no_folder_and_no_photos_are_one_line(tmp_path):
    with pytest.raises(KitError, match="there is no such folder"):
        look(tmp_path / "missing")
    with pytest.raises(KitError, match="holds no photos"):
        look(tmp_path)
    (tmp_path / "a.dcm").touch()
    with pytest.raises(KitError, match="but 1 .dcm files; .*convert"):
        look(tmp_path)
