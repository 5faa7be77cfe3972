import numpy as np
import pandas as pd
import pytest
from conftest import MASK, age_class, encode, small

from kit.training.fold_data import training_labels


def people():
    """Labels and ages of every mask, gender and age from 0 to 100."""
    mask, gender, ages = (
        part.ravel() for part in np.meshgrid(np.arange(3), np.arange(2), np.arange(101))
    )
    return encode(mask, gender, age_class(ages)), ages


def photos(labels, ages):
    """Rows of a plan."""
    return pd.DataFrame({"label": labels, "age": ages})


def test_a_recipe_that_does_not_say_otherwise_trains_on_all_labels_as_they_are():
    labels, ages = people()
    kept, trained = training_labels(small(), photos(labels, ages), MASK)
    assert kept.all() and np.array_equal(trained, labels) and set(trained) == set(range(18))


@pytest.mark.parametrize(
    "boundary, moved, by", [(58, {58, 59}, 1), (62, {60, 61}, -1), (60, set(), 0)]
)
def test_the_age_boundary_moves_the_labels_of_the_ages_between(boundary, moved, by):
    labels, ages = people()
    before = labels.copy()
    kept, trained = training_labels(small(edges=(30, boundary)), photos(labels, ages), MASK)
    assert kept.all() and np.array_equal(
        trained - labels, np.where(np.isin(ages, list(moved)), by, 0)
    )
    assert np.array_equal(labels, before)


def test_dropped_ages_are_left_out_and_nothing_else_changes():
    labels, ages = people()
    kept, trained = training_labels(small(drop=(57, 59)), photos(labels, ages), MASK)
    assert (
        set(ages[~kept]) == {57, 58, 59}
        and len(ages[~kept]) == 18
        and np.array_equal(trained, labels)
    )
    kept, _ = training_labels(small(drop=(0, 0)), photos(labels, ages), MASK)
    assert set(ages[~kept]) == {0}
