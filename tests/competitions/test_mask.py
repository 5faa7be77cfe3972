"""The mask competition as the kit sees it."""

import numpy as np
from helpers import MASK, make_data

from kit.competitions import find_competition
from kit.data.recorded import recorded_competition


def test_classes_are_mask_then_gender_then_age():
    assert MASK.shape == (3, 2, 3) and MASK.num_classes == 18
    answers = [np.array([2]), np.array([1]), np.array([0])]
    assert MASK.encode(answers).tolist() == [2 * 6 + 1 * 3 + 0]
    assert [task.of_group for task in MASK.tasks] == [False, True, True]


def test_it_is_found_by_name_and_comes_back_from_a_record():
    assert find_competition("mask") == MASK
    again = recorded_competition(MASK.describe())
    assert again.class_names == MASK.class_names and again.frame == (512, 384)


def test_its_folder_is_read_with_a_row_a_photo(tmp_path):
    root = make_data(tmp_path / "data", [("000001", "male", 29), ("000002", "female", 60)], 1)
    table = MASK.rows(root, None).table.set_index("image")
    assert len(table) == 14 and set(table["group"]) == {
        "000001_male_Asian_29",
        "000002_female_Asian_60",
    }
    assert table.at["000001_male_Asian_29/mask3.jpg", "label"] == 0
    assert table.at["000002_female_Asian_60/normal.jpg", "label"] == 17
