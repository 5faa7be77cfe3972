"""Submissions joined by id."""

import numpy as np
import pytest
from helpers import MASK, write_classes

from kit.results.predictions import read_files
from kit.system.errors import KitError


def test_files_join_in_the_order_of_the_first_one(tmp_path):
    a = write_classes(tmp_path / "a.csv", [3, 1, 2])
    b = write_classes(tmp_path / "b.csv", [5, 6, 7], order=[2, 0, 1])
    answers = write_classes(tmp_path / "answers.csv", [3, 6, 9], order=[1, 2, 0])
    found = read_files([a, b], answers, MASK)
    assert found.names == ["a", "b"] and found.ids == ["0.jpg", "1.jpg", "2.jpg"]
    assert found.classes.tolist() == [[3, 1, 2], [5, 6, 7]] and found.truth.tolist() == [3, 6, 9]
    assert found.groups is None and found.chosen is None
    turned = read_files([b, a], None, MASK)
    assert turned.ids == ["2.jpg", "0.jpg", "1.jpg"] and turned.truth is None
    assert turned.classes.tolist() == [[7, 5, 6], [2, 3, 1]]


def test_answers_may_have_groups(tmp_path):
    a = write_classes(tmp_path / "a.csv", [3, 1])
    (tmp_path / "answers.csv").write_text("ImageID,ans,person\n1.jpg,1,ann\n0.jpg,4,bob\n")
    found = read_files([a], tmp_path / "answers.csv", MASK)
    assert found.groups.tolist() == ["bob", "ann"] and np.array_equal(found.truth, [4, 1])


def test_names_are_whole_paths_where_stems_repeat(tmp_path):
    (tmp_path / "other").mkdir()
    a = write_classes(tmp_path / "a.csv", [3])
    b, c = (write_classes(tmp_path / "other" / f"{name}.csv", [4]) for name in "ab")
    assert read_files([a, b, c], None, MASK).names == [str(a), str(b), "b"]
    with pytest.raises(KitError, match="the same file twice .1 found: .*other/../a.csv"):
        read_files([a, tmp_path / "other" / ".." / "a.csv"], None, MASK)


def test_other_ids_are_told(tmp_path):
    a = write_classes(tmp_path / "a.csv", [3, 1, 2])
    b, c = (write_classes(tmp_path / f"{n}.csv", [1] * n) for n in (2, 5))
    with pytest.raises(KitError, match=r"2.csv: lacks ids of .*a.csv \(1 found: 2.jpg\)"):
        read_files([a, b], None, MASK)
    with pytest.raises(KitError, match=r"5.csv: has ids that are not in .*\(2 found, the first: 3"):
        read_files([a, c], None, MASK)
