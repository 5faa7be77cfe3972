"""The form of a submission: columns, and the units and tasks of its rows, by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from answer_forms import form

from kit.data.answer_rows import answer_columns, match_rows, split_tasks
from kit.system.errors import KitError

PATH = Path("test.csv")


def test_columns_are_the_sample_s_where_it_has_them():
    competition = form("probabilities")
    assert answer_columns(competition) == ["image", "cat", "dog", "owl"]
    header = ["owl", "cat", "Usage", "dog", "image"]
    assert answer_columns(competition, header) == ["owl", "cat", "dog", "image"]
    assert answer_columns(competition, ["image", "cat"]) == ["image", "cat", "dog", "owl"]
    assert answer_columns(form("task_columns")) == ["image", "root", "vowel"]


def test_photos_of_one_row_are_one_unit_in_the_order_of_appearance():
    table = pd.DataFrame({"patient": list("baab"), "side": list("LLLR"), "photo": list("1234")})
    rows = match_rows(PATH, form("pooled"), table, ["1", "2", "3", "4"])
    assert rows.ids == rows.units == ["b_L", "a_L", "b_R"] and rows.pooled
    assert rows.of_photo.tolist() == [0, 1, 1, 2] and rows.unit.tolist() == [0, 1, 2]
    # The table is itself the sample where it has the ids: its order holds.
    ids = ["b_L", "a_L", "a_L", "b_R"]
    same = match_rows(PATH, form("pooled"), table.assign(prediction_id=ids), list("1234"))
    assert same.ids == rows.ids and same.of_photo.tolist() == rows.of_photo.tolist()


def test_each_task_has_a_row():
    table = pd.DataFrame({"photo": ["p1", "p0"]})
    rows = match_rows(PATH, form("task_rows"), table, ["p1.png", "p0.png"])
    assert rows.ids == ["p1_root", "p1_vowel", "p0_root", "p0_vowel"]
    assert rows.units == ["p1", "p0"] and not rows.pooled
    assert rows.unit.tolist() == [0, 0, 1, 1] and rows.task.tolist() == [0, 1, 0, 1]
    sample = pd.DataFrame(
        {
            "photo": ["p0", "p1", "p0", "p1"],
            "row_id": ["p0_vowel", "p1_root", "p0_root", "p1_vowel"],
        }
    )
    rows = match_rows(PATH, form("task_rows"), sample, [f"{p}.png" for p in sample["photo"]])
    assert rows.ids == sample["row_id"].tolist() and rows.units == ["p0", "p1"]
    assert rows.unit.tolist() == [0, 1, 0, 1] and rows.task.tolist() == [1, 0, 0, 1]
    assert rows.of_photo.tolist() == [0, 1]
    units, task = split_tasks(PATH, form("task_rows"), rows.ids)
    assert [rows.units[u] for u in rows.unit] == units and np.array_equal(task, rows.task)


def test_photos_of_one_unit_have_a_row_a_task():
    table = pd.DataFrame({"patient": list("aba"), "photo": list("123")})
    competition = form("task_rows", answer_rows="{task}-{patient}")
    rows = match_rows(PATH, competition, table, list("123"))
    assert rows.ids == ["root-a", "vowel-a", "root-b", "vowel-b"] and rows.pooled
    assert rows.units == ["a", "b"] and rows.of_photo.tolist() == [0, 1, 0]
    assert split_tasks(PATH, competition, rows.ids)[0] == ["a", "a", "b", "b"]


def test_ids_that_name_no_task_are_refused():
    with pytest.raises(KitError, match="ids that are none of answer_rows .*p0_rot.; the tasks"):
        split_tasks(PATH, form("task_rows"), ["p0_root", "p0_rot"])
    table = pd.DataFrame({"a": ["1", "11"], "b": ["11", "1"]})
    competition = form("pooled", answer_rows="{a}{b}")
    assert match_rows(PATH, competition, table, ["x", "y"]).ids == ["111"]  # one unit by its name
