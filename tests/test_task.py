"""A task: its classes, and those of numbers by edges."""

import numpy as np
import pytest

from kit.system.errors import KitError
from kit.task import Task, TrainingPhotos


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
