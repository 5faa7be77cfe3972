"""The table of photos to predict, damaged."""

from pathlib import Path

import pytest
from helpers import mask_folder

from kit.data.folder import read_ids
from kit.system.errors import KitError


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    "content, said",
    [
        ("ImageID,ans\na.jpg,0\na.jpg,0\n", "repeats a value in column 'ImageID'"),
        ("ImageID,ans\n../a.jpg,0\n", "plain file names"),
        ("ImageID,ans\n..,0\n", "plain file names"),
        ("ImageID,ans\n/etc/passwd,0\n", "plain file names"),
        ("ImageID\na.jpg\n", "no column 'ans'"),
    ],
)
def test_bad_info_csv(tmp_path, content, said):
    (tmp_path / "eval").mkdir()
    text(tmp_path / "eval" / "info.csv", content)
    with pytest.raises(KitError, match=said):
        read_ids(mask_folder(tmp_path))
