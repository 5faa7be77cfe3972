"""Arrays of `.npz` files, and files that say more of themselves than is true."""

import resource
import struct
import warnings
import zipfile

import numpy as np
import pytest
from bad_arrays import npy

from kit.system.arrays import read_arrays
from kit.system.errors import KitError


def header(text: str, version: int = 1) -> bytes:
    """The start of an `.npy` file with a header of one's own."""
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


@pytest.fixture
def archive(tmp_path):
    def write(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED):
        with (
            warnings.catch_warnings(),
            zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as file,
        ):
            warnings.simplefilter("ignore")  # of a name that stands twice
            for name, content in members:
                file.writestr(name, content)
        return tmp_path / "a.npz"

    return write


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
        np.arange(6, dtype=">f8").reshape(1, 2, 3),
        np.array("key"),
        np.array(["a", "é", "얼굴.jpg", "\U0001f600"]),
        np.array(["a", "bc"], dtype=">U3"),
        np.zeros((0, 3), np.float32),
        np.array(0.5),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_numpy_has_written_them(tmp_path, array, save):
    save(tmp_path / "a.npz", x=array, other=np.array(["left"], dtype=object))
    read = read_arrays(tmp_path / "a.npz", ["x", "y"])
    assert list(read) == ["x"] and read["x"].dtype == array.dtype
    assert np.array_equal(read["x"], array) and read["x"].shape == array.shape


TWO_ROWS = npy(np.zeros((2, 3), np.float32))
FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    "content, said",
    [
        (npy(np.array(["a"], dtype=object)), "Object arrays cannot be loaded"),
        (b"\x93NUMPY\x03\x00" + TWO_ROWS[8:], "an array has no header"),
        (b"no array", "an array has no header"),
        (b"", "an array has no header"),
        (header(FLOATS % "(2, 3)" + " " * 20_000), "header has 20,0"),
        (header("", 2)[:8] + b"\xff\xff\xff\xff", "header has 4,294,967,295 bytes"),
        (header(FLOATS % "(2, 4)") + bytes(24), "an array float32 (2, 4) has"),
        (header(FLOATS % "(-2, -3)") + bytes(24), "an array float32 (-2, -3) has"),
        (header(FLOATS % "(4611686018427387904, 4)"), "(4611686018427387904, 4) has"),
        (header(FLOATS % "((),)"), "shape is not valid"),
        (header("(" * 3000), ""),
        (header("{'descr': __import__('os'), 'fortran_order': 0, 'shape': ()}"), ""),
        (TWO_ROWS[:-4], "an array float32 (2, 3) has 148 bytes"),
        (TWO_ROWS + b"more", "an array float32 (2, 3) has 156 bytes"),
        (npy(np.array(["a"])).replace(b"a\0\0\0", b"\xff" * 4), "characters that are none"),
        (npy(np.array(["a"])).replace(b"a\0\0\0", b"\0\xd8\0\0"), "characters that are none"),
    ],
)
def test_an_array_that_is_none_is_told(archive, content, said):
    path = archive(("x.npy", content))
    with pytest.raises(Exception) as error:  # numpy's parser has several
        read_arrays(path, ["x"])
    assert said in str(error.value)


def test_an_array_that_stands_twice_is_told(archive):
    with pytest.raises(ValueError, match="holds an array twice"):
        read_arrays(archive(("x.npy", TWO_ROWS), ("x.npy", TWO_ROWS)), ["x"])
    assert read_arrays(archive(("../x.npy", TWO_ROWS), ("/x.npy", TWO_ROWS)), ["x"]) == {}


def test_what_is_encrypted_or_changed_is_told(archive):
    path = archive(("x.npy", TWO_ROWS), compression=zipfile.ZIP_STORED)
    content = path.read_bytes()
    for at in (content.index(b"PK\1\2") + 8, 6):  # the flag in the directory, and in the member
        content = content[:at] + b"\1" + content[at + 1 :]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is encrypted"):
        read_arrays(path, ["x"])
    path = archive(("x.npy", TWO_ROWS), compression=zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(TWO_ROWS, TWO_ROWS[:-1] + b"\1"))
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        read_arrays(path, ["x"])


@pytest.mark.parametrize("claimed", [10**9, 4 * 10**9])
@pytest.mark.parametrize("real", [10**3, 10**6])
def test_a_bomb_is_not_inflated(archive, claimed, real):
    """A member that says it is gigabytes of zeros: its own header, and the archive's directory."""
    rows = header(FLOATS % f"({claimed // 4},)")
    path = archive(("x.npy", rows + bytes(real)))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2") + 24
    content[at : at + 4] = struct.pack("<I", len(rows) + claimed)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="an array is cut short|more than 16 times the file's"):
        read_arrays(path, ["x"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_no_more_is_inflated_than_a_gigabyte_or_sixteen_times_the_file(archive, monkeypatch):
    monkeypatch.setattr("kit.system.arrays._LARGE", 10**5)
    zeros = npy(np.zeros(10**6, np.float32))
    with pytest.raises(ValueError, match="arrays have 4,000,128 bytes, more than 16 times the fil"):
        read_arrays(archive(("x.npy", zeros)), ["x"])
    stored = archive(("x.npy", zeros), compression=zipfile.ZIP_STORED)
    assert read_arrays(stored, ["x"])["x"].shape == (10**6,)


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(KitError, match="No such file"):
        read_arrays(tmp_path / "none.npz", ["x"])
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(zipfile.BadZipFile):
        read_arrays(tmp_path / "a.npz", ["x"])
