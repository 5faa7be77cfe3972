"""What is strange about a submission."""

import numpy as np
import pandas as pd
from helpers import CLASS_NAMES, NUM_CLASSES, mask_folder

from kit.results.check import check_submission, expected_counts
from kit.scoring.class_counts import Expected


def test_absent_classes_and_far_counts_are_warned_of(copy):
    info = copy / "data" / "eval" / "info.csv"
    frame = pd.read_csv(info, dtype=str).assign(ans="4")
    frame.to_csv(copy / "all4.csv", index=False)
    expected = Expected(np.full(NUM_CLASSES, 100), (2.0, 17.0), "the out-of-fold predictions")
    lines = check_submission(copy / "all4.csv", mask_folder(copy / "data"), expected)
    assert any("no photo has any of 17 classes" in line for line in lines)
    assert any(
        "otherwise than the out-of-fold predictions (p = " in line and CLASS_NAMES[4] in line
        for line in lines
    )
    assert expected_counts(copy / "all4.csv", None, 18) is None
