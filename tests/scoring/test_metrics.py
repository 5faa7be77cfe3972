import dataclasses

import numpy as np
import pytest
from draws import macro_f1
from helpers import MASK

from kit.scoring.metrics import score


def test_macro_f1_by_hand():
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    # class 0: P 1, R 1/2 -> 2/3; class 1: P 1/3, R 1 -> 1/2; class 2: 0; the other 15 are absent
    # and count 0.
    assert macro_f1(truth, predicted, 3) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert macro_f1(truth, predicted, 18) == pytest.approx((2 / 3 + 1 / 2) / 18)
    assert score(np.arange(18), np.arange(18), MASK) == dataclasses.replace(
        score(np.arange(18), np.arange(18), MASK), score=1, tasks={"mask": 1, "gender": 1, "age": 1}
    )
    wrong_age = score(np.arange(18), np.arange(18) // 3 * 3, MASK)
    assert (wrong_age.tasks["mask"], wrong_age.tasks["gender"]) == (1, 1)
    assert wrong_age.metrics["accuracy"] == pytest.approx(1 / 3)
