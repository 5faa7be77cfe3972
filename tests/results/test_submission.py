"""Submissions and answers: what is read, understood with a warning, and refused."""

from pathlib import Path

import numpy as np
import pytest
from answer_forms import FORMS, form, form_folder, predicted
from helpers import MASK, mask_folder

from kit.data.folder import DataFolder, answer_rows
from kit.results.answers import read_answers
from kit.results.submission import Predicted, read_submission, write_submission
from kit.system.disk import read_json
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
        read.ids.tolist() == ["a.jpg", "b.jpg"]
        and read.classes.tolist() == [3, 17]
        and read.classes.dtype == np.int64
    )
    active_members = capsys.readouterr().err
    assert (
        (said in active_members and active_members.count("\n") == 1 and "한글" in active_members)
        if said
        else active_members == ""
    )
    data = folder(tmp_path, "ImageID,ans\na.jpg,0\nb.jpg,0\n")
    if "\r" in content:
        assert read_submission(path, data).classes.tolist() == [3, 17]
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
    write_submission(tmp_path / "s.csv", Predicted(["b.jpg", "a.jpg"], np.array([17, 3])), data, {})
    assert (tmp_path / "s.csv").read_bytes() == b"ImageID,ans\nb.jpg,17\na.jpg,3\n"
    assert read_answers(tmp_path / "s.csv", MASK).classes.tolist() == [17, 3]


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
    assert read_answers(long, MASK).classes.tolist() == [3]
    with pytest.raises(KitError, match="would not pass"):
        read_submission(long, folder(tmp_path, "ImageID,ans\na.jpg,0\n"))
    index = text(
        tmp_path / "p.csv",
        ","
        + PROBS.splitlines()[0]
        + "\n"
        + "".join(f"{n},{line}\n" for n, line in enumerate(PROBS.splitlines()[1:])),
    )
    assert read_answers(index, MASK).classes.tolist() == [3, 17] and read_answers(
        index, MASK
    ).ids.tolist() == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_every_form_comes_back_as_it_was_written(tmp_path, name, seed):
    data = form_folder(tmp_path / "data", form(name))
    given, out = predicted(data, seed), tmp_path / "s.csv"
    record = write_submission(out, given, data, {"kit": "test"})
    assert record == read_json(out.with_suffix(".json"), "delete it")
    answers = read_submission(out, data)
    assert list(answers.ids) == list(given.ids) and np.array_equal(answers.classes, given.classes)
    if data.competition.answer in ("probability", "probabilities"):
        assert np.abs(answers.probs - given.probs).max() < 1e-6
    else:
        assert answers.probs is None
    again = write_submission(tmp_path / "t.csv", given, data, {})
    assert (tmp_path / "t.csv").read_bytes() == out.read_bytes()
    assert again["sha256"] == record["sha256"]


WRITTEN = {
    "class": "image,target\n0.jpg,2\n1.jpg,0\n",
    "name": "image,target\n0.jpg,owl\n1.jpg,cat\n",
    "order": "image,target\n0.jpg,2\n1.jpg,0\n",
    "probabilities": "image,cat,dog,owl\n0.jpg,0.25,0.25,0.5\n1.jpg,0.5,0.25,0.25\n",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_forms_by_hand(tmp_path, name):
    data = form_folder(tmp_path, form(name), 2)
    probs = np.array([[1, 1, 2], [2, 1, 1]]) / 4
    write_submission(
        tmp_path / "s.csv", Predicted(["0.jpg", "1.jpg"], probs.argmax(1), probs), data, {}
    )
    assert (tmp_path / "s.csv").read_text() == WRITTEN[name]


def test_lists_tasks_and_one_probability_by_hand(tmp_path):
    def written(name, classes, probs=None):
        data = form_folder(tmp_path / name, form(name), 2)
        units = answer_rows(data).units
        out = tmp_path / name / "s.csv"
        write_submission(out, Predicted(units, np.array(classes), probs), data, {})
        return out.read_text()

    lists = [[0, 1, 0, 1], [0, 0, 0, 0]]
    assert written("list", lists) == "image,target\n0.jpg,rust|frog eye\n1.jpg,\n"
    probs = np.array([[0.75, 0.25], [0.1, 0.9]])
    assert written("probability", [0, 1], probs) == "image,target\n0.jpg,0.25\n1.jpg,0.9\n"
    assert written("tasks", [5, 0]) == "image,target\n0.jpg,5\n1.jpg,0\n"
    assert written("task_columns", [5, 0]) == "image,root,vowel\n0.jpg,c,y\n1.jpg,a,x\n"
    assert written("task_rows", [5, 2]) == (
        "row_id,target\np0_vowel,1\np0_root,2\np1_vowel,0\np1_root,1\n"
    )
    # Labels' probabilities need not sum to 1, and are written as they are.
    free = np.array([[0.5, 0.5, 0.5, 1.0], [0, 0, 0, 0]])
    assert written("labels", lists, free).splitlines()[1:] == [
        "0.jpg,0.5,0.5,0.5,1",
        "1.jpg,0,0,0,0",
    ]


def test_columns_are_in_the_order_of_the_sample(tmp_path):
    data = form_folder(tmp_path, form("probabilities"), 2)
    text(tmp_path / data.competition.test, "owl,image,dog,cat\n0,0.jpg,0,0\n0,1.jpg,0,0\n")
    given = predicted(data)
    write_submission(tmp_path / "s.csv", given, data, {})
    assert (tmp_path / "s.csv").read_text().startswith("owl,image,dog,cat\n")
    assert np.array_equal(read_submission(tmp_path / "s.csv", data).classes, given.classes)
    text(tmp_path / "t.csv", "image,cat,dog,owl\n0.jpg,1,0,0\n1.jpg,1,0,0\n")
    with pytest.raises(KitError, match="would not pass: it has the header 'image,cat,dog,owl'"):
        read_submission(tmp_path / "t.csv", data)


FAULTS = [
    ("class", "0.jpg,3", "whole numbers 0..2 .1 found: '3' at 0.jpg"),
    ("class", "0.jpg,cat", "whole numbers 0..2"),
    ("order", "0.jpg,4", "whole numbers 0..3"),
    ("name", "0.jpg,cow", "must hold names of classes, such as cat .1 found: 'cow' at 0.jpg"),
    ("name", "0.jpg,0", "must hold names of classes"),
    ("name", "0.jpg,", "must hold names of classes"),
    ("probability", "0.jpg,1.5", "must hold probabilities 0..1 .1 found: '1.5' at 0.jpg"),
    ("probability", "0.jpg,-0.1", "must hold probabilities 0..1"),
    ("probability", "0.jpg,malignant", "must hold probabilities 0..1"),
    ("probability", "0.jpg,nan", "must hold probabilities 0..1"),
    ("probabilities", "0.jpg,0.5,0.5,0.5", "rows that do not sum to 1 .1 found: 0.jpg: 1.5"),
    ("probabilities", "0.jpg,2,-1,0", "values outside 0..1 .1 found: 0.jpg: 2"),
    ("probabilities", "0.jpg,1,0,x", "no numbers"),
    ("labels", "0.jpg,2,0,0,0", "values outside 0..1 .1 found: 0.jpg: 2.; give sigmoid"),
    ("labels", "0.jpg,,0,0,0", "no numbers"),
    ("list", "0.jpg,rust scab", "holds labels that are none .1 found: 'rust scab' at 0.jpg"),
    ("list", "0.jpg,rust|rus", r"none .1 found: 'rus' at .*did you mean rust"),
    ("list", "0.jpg,rust|", "holds labels that are none .1 found: '' at 0.jpg"),
    ("list", "0.jpg,scab|rust|scab", "holds a label twice .1 found: 'scab' at 0.jpg"),
    ("tasks", "0.jpg,6", "whole numbers 0..5"),
    ("task_columns", "0.jpg,a,z", "column 'vowel' must hold names of classes, such as x"),
]


@pytest.mark.parametrize("name, row, said", FAULTS)
def test_a_fault_of_a_row_is_one_line(tmp_path, name, row, said):
    data = form_folder(tmp_path, form(name), 2)
    out = tmp_path / "s.csv"
    write_submission(out, predicted(data), data, {})
    lines = out.read_text().splitlines()
    text(out, "\n".join([lines[0], row, *lines[2:]]) + "\n")
    with pytest.raises(KitError, match=said):
        read_submission(out, data)


@pytest.mark.parametrize("name", FORMS)
def test_faults_of_rows_and_columns_are_one_line_in_every_form(tmp_path, name):
    data = form_folder(tmp_path, form(name))
    out = tmp_path / "s.csv"
    write_submission(out, predicted(data), data, {})
    header, *rows = out.read_text().splitlines()
    columns = header.split(",")

    def refused(head, lines, said):
        text(out, "\n".join([head, *lines]) + "\n")
        with pytest.raises(KitError, match=said) as found:
            read_submission(out, data)
        assert "\n" not in str(found.value)

    refused(header, rows[:-1], "lacks ids|lacks rows of tasks")
    refused(header, rows[::-1], "another order")
    refused(header, [*rows, rows[0]], "repeats")
    stranger = [r.replace(rows[0].split(",")[0], f"q{rows[0].split(',')[0]}", 1) for r in rows[:1]]
    refused(header, [*rows, *stranger], "ids not in|lacks rows of tasks")
    refused(header, [f"{row},7" for row in rows], "more fields|do not sum|no numbers|fields")
    refused(header.replace(columns[-1], "other"), rows, "no column 'other'|no column|no class")
    refused(f",{header}", [f"{n},{row}" for n, row in enumerate(rows)], "index column")
    refused("\ufeff" + header, rows, "byte-order mark")
    refused(f"{header},more", [f"{row},1" for row in rows], "the column 'more'|no class")
