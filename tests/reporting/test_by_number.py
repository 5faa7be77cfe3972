"""What is predicted by a task's number, by hand."""

import numpy as np
import pytest

from kit.reporting import figures as figures
from kit.reporting.numbers import boundary, years


def test_years_and_boundary_by_hand(world):
    photos = world.plan.photos
    predicted = photos["label"].to_numpy().copy()
    of_59 = np.flatnonzero(photos["age"] == 59)
    predicted[of_59[:3]] += 1  # 30 to 59 as 60 and over
    found = {row["age"]: row for row in years(photos, predicted)}
    assert (
        sorted(found) == [20, 25, 28, 35, 45, 59, 60]
        and found[20]["right"] == 1
        and found[60]["people"] == 6
    )
    assert found[59]["people"] == 2 and found[59]["predicted"] == [
        0,
        pytest.approx(11 / 14),
        pytest.approx(3 / 14),
    ]
    near = boundary(years(photos, predicted))
    # Of 28, 59 and 60, ten people of eighteen, are within two years of a boundary.
    assert near == {"errors": pytest.approx(1), "photos": pytest.approx(10 / 18), "wrong": 3}
