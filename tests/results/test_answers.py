"""Answers of every form, read from submissions and from files of the truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from answer_forms import FORMS, LEAVES, form, form_folder, predicted

from kit.results.answers import read_answers
from kit.results.submission import write_submission
from kit.system.errors import KitError


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize("name", FORMS)
def test_a_submission_is_read_alike_whether_strictly_or_not(tmp_path, capsys, name):
    data = form_folder(tmp_path / "data", form(name))
    write_submission(tmp_path / "s.csv", predicted(data), data, {})
    strict, free = (read_answers(tmp_path / "s.csv", data.competition, s) for s in (True, False))
    assert list(strict.ids) == list(free.ids) and np.array_equal(strict.classes, free.classes)
    assert (strict.probs is None) == (free.probs is None) and capsys.readouterr().err == ""


def test_the_truth_may_be_classes_where_probabilities_are_asked_for(tmp_path, capsys):
    competition = form("probabilities", group="student")
    named = text(tmp_path / "a.csv", "image,truth,student\na,owl,ann\nb,cat,bob\n")
    answers = read_answers(named, competition)
    assert answers.classes.tolist() == [2, 0] and answers.probs is None
    assert answers.groups.tolist() == ["ann", "bob"]
    numbered = text(tmp_path / "b.csv", "image,truth\na,2\nb,0\n")
    assert read_answers(numbered, competition).classes.tolist() == [2, 0]
    columns = text(tmp_path / "c.csv", "image,cat,dog,owl\na,0,0,1\nb,1,0,0\n")
    assert read_answers(columns, competition).classes.tolist() == [2, 0]
    binary = form("probability")
    for content in ("a,malignant\nb,benign\n", "a,1\nb,0\n"):
        truth = text(tmp_path / "d.csv", f"image,target\n{content}")
        assert read_answers(truth, binary).classes.tolist() == [1, 0]
    assert capsys.readouterr().err == ""
    with pytest.raises(KitError, match="must hold names of classes, such as cat"):
        read_answers(text(tmp_path / "e.csv", "image,truth\na,owl\nb,cow\n"), competition)


def test_labels_are_read_from_lists_and_from_columns(tmp_path, capsys):
    wanted = [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    listed = text(tmp_path / "a.csv", "image,target\na, scab| rust\nb,\nc,healthy|\n")
    assert read_answers(listed, form("list")).classes.tolist() == wanted
    assert read_answers(listed, form("list")).classes.dtype == np.uint8
    with pytest.raises(KitError, match="labels that are none"):
        read_answers(listed, form("list"), strict=True)
    columns = tmp_path / "b.csv"
    pd.DataFrame(wanted, columns=list(LEAVES), index=list("abc")).to_csv(
        columns, index_label="image"
    )
    assert read_answers(columns, form("labels")).classes.tolist() == wanted
    assert capsys.readouterr().err == ""
    assert read_answers(columns, form("list")).classes.tolist() == wanted
    assert "holds probabilities, and no lists of labels" in capsys.readouterr().err
    truth = text(tmp_path / "c.csv", "image,truth\na,rust|scab\n")
    competition = form("labels", separator="|", answer="probabilities")
    assert read_answers(truth, competition).classes.tolist() == wanted[:1]


def test_classes_are_taken_where_names_are_asked_for_and_the_other_way_round(tmp_path, capsys):
    numbered = text(tmp_path / "a.csv", "image,target\na,2\nb,0\n")
    assert read_answers(numbered, form("name")).classes.tolist() == [2, 0]
    with pytest.raises(KitError, match="names of classes"):
        read_answers(numbered, form("name"), strict=True)
    floats = text(tmp_path / "b.csv", "image,target\na,2.0\nb,0.0\n")
    assert read_answers(floats, form("class")).classes.tolist() == [2, 0]
    assert "2 classes written as 2.0" in capsys.readouterr().err


def test_each_task_has_a_row_in_any_order(tmp_path):
    rows = ["p1_vowel,1", "p0_root,2", "p1_root,0", "p0_vowel,0"]
    competition = form("task_rows", group="writer")
    long = text(tmp_path / "a.csv", "\n".join(["row_id,target", *rows]) + "\n")
    answers = read_answers(long, competition)
    assert list(answers.ids) == ["p1", "p0"] and answers.classes.tolist() == [1, 4]
    for bad, said in (
        (rows[:3], "lacks rows of tasks .1 found: vowel of p0"),
        ([*rows[:3], "p0_vowel,2"], "whole numbers 0..1 .1 found: '2' at p0_vowel"),
        ([*rows[:3], "p0_vowels,0"], "ids that are none of answer_rows"),
        ([*rows, rows[0]], "repeats a value in column 'row_id'"),
    ):
        with pytest.raises(KitError, match=said):
            read_answers(text(long, "\n".join(["row_id,target", *bad]) + "\n"), competition)
    grouped = [f"{row},w{row[1]}" for row in rows]
    text(long, "\n".join(["row_id,target,writer", *grouped]) + "\n")
    assert read_answers(long, competition).groups.tolist() == ["w1", "w0"]


def test_a_label_s_name_may_be_a_number(tmp_path):
    competition = form("list", classes=("0", "13", "51"), separator=" ")
    path = text(tmp_path / "a.csv", "image,target\na,0 51\nb,13\n")
    assert read_answers(path, competition).classes.tolist() == [[1, 0, 1], [0, 1, 0]]
