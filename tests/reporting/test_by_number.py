"""What is predicted by a task's number, by hand."""

import numpy as np
import pytest
from helpers import MASK

from kit.competitions.mask_labels import AGE
from kit.reporting import figures as figures
from kit.reporting.by_number import NearEdges, by_number, near_edges, number_tasks, say_edges


def test_numbers_and_edges_by_hand(world):
    photos = world.plan.photos
    predicted = photos["label"].to_numpy().copy()
    of_59 = np.flatnonzero(photos["age"] == 59)
    predicted[of_59[:3]] += 1  # 30 to 59 as 60 and over
    rows = by_number(photos, predicted, MASK, AGE)
    found = {row.number: row for row in rows}
    assert (
        sorted(found) == [20, 25, 28, 35, 45, 59, 60]
        and found[20].right == 1
        and found[60].groups == 6
    )
    assert found[59].groups == 2 and found[59].predicted == (
        0,
        pytest.approx(11 / 14),
        pytest.approx(3 / 14),
    )
    near = near_edges(rows, AGE)
    # Of 28, 59 and 60, ten people of eighteen, are within two years of a boundary.
    assert near == NearEdges(pytest.approx(1), pytest.approx(10 / 18), 3)
    assert say_edges(AGE) == "28 to 31 or 58 to 61"
    gender = MASK.tasks[1]
    assert [task.name for task in number_tasks(MASK)] == ["age"] and gender.edges == ()
