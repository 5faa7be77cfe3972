"""Submissions and answers: what is read, understood with a warning, and refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers import MASK, mask_folder

from kit.data.folder import DataFolder
from kit.results.submission import Predicted, read_answers, read_submission, write_submission
from kit.system.errors import KitError


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode("utf-8"))
    return path


def folder(root: Path, content: str) -> DataFolder:
    """A folder with a table of photos to predict."""
    text(root / "eval" / "info.csv", content)
    return mask_folder(root)


@pytest.mark.parametrize("answer", ["18", "18.0", "-1", "3.5", "", "x", "nan"])
def test_answers_are_whole_numbers_below_18(tmp_path, answer):
    with pytest.raises(KitError, match="whole numbers 0..17"):
        read_answers(text(tmp_path / "s.csv", f"ImageID,ans\na.jpg,3\nb.jpg,{answer}\n"), MASK)


PROBS = (
    "ImageID,"
    + ",".join(map(str, range(18)))
    + "\n"
    + "".join(
        f"{i}," + ",".join(str(float(c == best)) for c in range(18)) + "\n"
        for i, best in (("a.jpg", 3), ("b.jpg", 17))
    )
)


@pytest.mark.parametrize(
    "content, said",
    [
        (",ImageID,ans\n0,a.jpg,3\n1,b.jpg,17\n", "index column"),
        (PROBS, "holds probabilities"),
        ("ImageID,ans\na.jpg,3.0\nb.jpg,17.00\n", "2 classes written as 3.0"),
        ("\ufeffImageID,ans\na.jpg,3\nb.jpg,17\n", "byte-order mark"),
        ("ImageID,ans,conf\na.jpg,3,.5\nb.jpg,17,.6\n", "column 'conf'"),
        ("Unnamed: 0,ImageID,ans\n0,a.jpg,3\n1,b.jpg,17\n", "index column"),
        ("ImageID,ans\r\na.jpg,3\r\nb.jpg,17\r\n", ""),
        ("ans,ImageID\n3,a.jpg\n17,b.jpg\n", "the header 'ans,ImageID'"),
    ],
)
def test_what_can_be_understood_is_and_that_is_said_but_it_is_no_submission(
    tmp_path, capsys, content, said
):
    path = text(tmp_path / "한글 제출.csv", content)
    read = read_answers(path, MASK)
    assert (
        read["ImageID"].tolist() == ["a.jpg", "b.jpg"]
        and read["ans"].tolist() == [3, 17]
        and read["ans"].dtype == np.int64
    )
    active_members = capsys.readouterr().err
    assert (
        (said in active_members and active_members.count("\n") == 1 and "한글" in active_members)
        if said
        else active_members == ""
    )
    data = folder(tmp_path, "ImageID,ans\na.jpg,0\nb.jpg,0\n")
    if "\r" in content:
        assert read_submission(path, data).tolist() == [3, 17]
    else:
        with pytest.raises(KitError, match="would not pass|whole numbers|has no column 'ans'"):
            read_submission(path, data)


@pytest.mark.parametrize(
    "content, said",
    [
        ("ImageID;ans\na.jpg;3\n", "separated by something else"),
        ("ImageID\tans\na.jpg\t3\n", "separated by something else"),
        ("ImageID,label\na.jpg,3\n", "has no column 'ans'"),
        (PROBS.replace("1.0", "0.7"), "do not sum to 1"),
        ("ImageID,ans\na.jpg,3,4\n", "more fields"),
        ("ImageID,ans\na.jpg,3\na.jpg,4\n", "repeats"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, content, said):
    with pytest.raises(KitError, match=said):
        read_answers(text(tmp_path / "s.csv", content), MASK)


def test_korean_text_of_another_encoding_is_refused(tmp_path):
    (tmp_path / "s.csv").write_bytes("ImageID,ans\n사진.jpg,3\n".encode("cp949"))
    with pytest.raises(KitError, match="is no UTF-8 CSV"):
        read_answers(tmp_path / "s.csv", MASK)
    (tmp_path / "s.csv").write_bytes("ImageID,ans\n사진.jpg,3\n".encode("utf-16"))
    with pytest.raises(KitError, match="is no UTF-8 CSV|NUL|has no column"):
        read_answers(tmp_path / "s.csv", MASK)


def test_a_submission_is_info_csv_with_ans_filled_in(tmp_path):
    data = folder(tmp_path, "ImageID,ans\nb.jpg,0\na.jpg,0\n")
    predicted = Predicted(["b.jpg", "a.jpg"], np.array([17, 3]))
    write_submission(tmp_path / "s.csv", predicted, data, {})
    assert (tmp_path / "s.csv").read_bytes() == b"ImageID,ans\nb.jpg,17\na.jpg,3\n"
    assert read_answers(tmp_path / "s.csv", MASK)["ans"].tolist() == [17, 3]


@pytest.mark.parametrize(
    "ids, classes, said",
    [
        (["a.jpg", "b.jpg"], [0, 1], "another order"),
        (["b.jpg"], [0], "lacks ids"),
        (["b.jpg", "a.jpg", "c.jpg"], [0, 1, 2], "ids not in"),
        (["b.jpg", "a.jpg"], [0, 18], "0..17"),
    ],
)
def test_a_submission_that_would_not_pass_is_not_written(tmp_path, ids, classes, said):
    data = folder(tmp_path, "ImageID,ans\nb.jpg,0\na.jpg,0\n")
    with pytest.raises(KitError, match=said):
        write_submission(tmp_path / "s.csv", Predicted(ids, np.array(classes)), data, {})
    assert [p.name for p in tmp_path.iterdir()] == ["eval"]


def test_an_error_stays_one_readable_line(tmp_path):
    with pytest.raises(KitError) as found:
        read_answers(text(tmp_path / "s.csv", f"ImageID,ans\n{'x' * 100_000}\x1b[31m,77\n"), MASK)
    assert (
        len(str(found.value)) < 1000
        and "x..." in str(found.value)
        and "\x1b" not in str(found.value)
    )
    long = text(
        tmp_path / "l.csv", f"\n  \nImageID,ans,{'y' * 200_000}\na.jpg,3,1\n"
    )  # blank lines first, and no name's length
    assert read_answers(long, MASK)["ans"].tolist() == [3]
    with pytest.raises(KitError, match="would not pass"):
        read_submission(long, folder(tmp_path, "ImageID,ans\na.jpg,0\n"))
    index = text(
        tmp_path / "p.csv",
        ","
        + PROBS.splitlines()[0]
        + "\n"
        + "".join(f"{n},{line}\n" for n, line in enumerate(PROBS.splitlines()[1:])),
    )
    assert read_answers(index, MASK)["ans"].tolist() == [3, 17] and read_answers(index, MASK)[
        "ImageID"
    ].tolist() == ["a.jpg", "b.jpg"]
