"""Mistakes of a definition's `read`, each told in one line."""

from pathlib import Path

import pandas as pd
import pytest

from kit.competition import Competition, Task, TrainingPhotos
from kit.data.folder import DataFolder
from kit.data.planning import plan_folds
from kit.system.errors import KitError

GOOD = pd.DataFrame(
    {"image": ["a.jpg", "b.jpg"], "group": ["a", "b"], "years": [1, 5], "label": [0, 1]}
)
TASK = Task("kind", ("young", "old"), "years", (3,))


def fail():
    """A mistake in the file of the definition."""
    raise KeyError("colour")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: None, "must return TrainingPhotos, and not None"),
        (lambda: TrainingPhotos(GOOD.drop(columns="group")), "lacks columns .*: group"),
        (lambda: TrainingPhotos(GOOD.drop(columns="years")), "lacks columns .*: years"),
        (lambda: TrainingPhotos(GOOD.astype({"label": str})), "no whole numbers .*: label"),
        (lambda: TrainingPhotos(GOOD.assign(label=[1, 2])), r"labels 0..1 .*: b.jpg"),
        (lambda: TrainingPhotos(GOOD[:0]), "for one photo or more"),
        (fail, r"test_planning.py line \d+: KeyError: 'colour'"),
    ],
)
def test_a_mistake_of_read_is_told(tmp_path: Path, given, message):
    def read(data: Path, corrections: Path | None) -> TrainingPhotos:
        return given()

    competition = Competition(name="two", tasks=(TASK,), frame=(64, 96), read=read)
    with pytest.raises(KitError, match=message):
        plan_folds(DataFolder(tmp_path, competition), tmp_path / "folds.csv")
