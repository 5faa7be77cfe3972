"""A task: its classes, and those of numbers by edges."""

import numpy as np
import pytest

from kit.system.errors import KitError
from kit.task import PLAN_COLUMNS, STRATUM, Task, TrainingPhotos, are_counted


def test_a_number_s_class_begins_at_its_edge():
    task = Task("years", ("young", "grown", "old"), "years", (30, 60))
    numbers = np.array([0, 29, 30, 59, 60, 99])
    assert task.class_of(numbers).tolist() == [0, 0, 1, 1, 2, 2]
    assert task.class_of(numbers, (1, 99)).tolist() == [0, 1, 1, 1, 1, 2] and task.ordered


def test_classes_rise_only_where_that_is_said():
    assert not Task("kind", ("a", "b")).ordered and Task("kind", ("a", "b"), ordered=True).ordered
    with pytest.raises(KitError, match="task kind: ordered=1 must be True or False"):
        Task("kind", ("a", "b"), ordered=1)  # type: ignore[arg-type]


def test_training_photos_share_no_lists():
    import pandas as pd

    one, two = TrainingPhotos(pd.DataFrame()), TrainingPhotos(pd.DataFrame())
    one.remarks.append("x")
    assert two.remarks == [] and two.corrections == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name='' must be a printable text"),
        ({"classes": ("a",)}, "must be a tuple of two or more different printable texts"),
        ({"column": 3}, "column=3 must be a text other than image, group, label, fold"),
        ({"column": "label"}, "column='label' must be a text other than image, group"),
        ({"edges": [1]}, r"edges=.1. must be .. or rising whole numbers, one fewer than the cla"),
        ({"edges": (1, 2)}, "must be .. or rising"),
        ({"classes": ("a", "b", "c"), "edges": (2, 2)}, "must be .. or rising"),
        ({"classes": ("a", "b", "c"), "edges": (2, 1)}, "must be .. or rising"),
        ({"column": ""}, "column='' must be a column's name where there are edges"),
        ({"of_group": 1}, "of_group=1 must be True or False"),
    ],
)
def test_a_task_s_fields_have_rules(fields, said):
    good = {"name": "size", "classes": ("a", "b"), "column": "cm", "edges": (3,)}
    assert Task(**good).of_group and Task(**good | {"edges": ()}).edges == ()
    with pytest.raises(KitError, match=f"^task {fields.get('name', 'size')}: .*{said}"):
        Task(**good | fields)


def test_classes_that_are_called_by_their_numbers():
    assert are_counted(("0", "1", "2")) and are_counted(())
    assert not are_counted(("1", "2")) and not are_counted(("0", "2")) and not are_counted("01a")
    assert (PLAN_COLUMNS, STRATUM) == (("image", "group", "label", "fold"), "stratum ")
    assert Task("kind", ("a", "b")).column == ""
