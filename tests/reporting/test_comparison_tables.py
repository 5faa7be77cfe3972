"""What a comparison prints, with and without tasks, groups and the truth."""

import dataclasses

import pytest

from kit.competition import Competition
from kit.metrics.metric import metric_of
from kit.reporting.comparison import ComparedFile, Comparison, Pair, Truth
from kit.reporting.comparison_tables import show
from kit.reporting.likeness import ClassLikeness
from kit.scoring.metrics import Scores
from kit.task import Task

SHAPES = Competition(name="shapes", tasks=(Task("shape", ("circle", "square")),), frame=(8, 8))
COLOURED = dataclasses.replace(
    SHAPES, tasks=(*SHAPES.tasks, Task("colour", ("red", "blue"))), group="sheet", groups="sheets"
)


def comparison(competition: Competition, truth: Truth | None = None) -> Comparison:
    """Two files with equal classes."""
    tasks = {task.name: 0 for task in competition.parts}
    scores = (
        Scores(1.0, metric_of(competition).named, {"accuracy": 1.0}, dict.fromkeys(tasks, 1.0))
        if truth
        else None
    )
    file = ComparedFile([2] * competition.num_classes, scores, None)
    pair = Pair("a", "b", 4, ClassLikeness(1.0, 1.0, 0, tasks, [], 0))
    return Comparison(competition, {"a": file, "b": file}, ["a", "b"], [pair], [], truth)


def test_one_task_has_no_column_and_several_have_one_each(capsys):
    show(comparison(SHAPES))
    out = capsys.readouterr().out
    assert "a | b  100.00%  1.000       0\n" in out and " 1 square" in out and "shape" not in out
    show(comparison(COLOURED))
    out = capsys.readouterr().out
    assert "differ  shape  colour" in out and " 3 square blue" in out and "true" not in out


@pytest.mark.parametrize(
    "competition, by, hint",
    [(SHAPES, "photos", False), (COLOURED, "photos", True), (COLOURED, "sheets", False)],
)
def test_intervals_by_photos_are_called_too_narrow_where_groups_could_be_known(
    capsys, competition, by, hint
):
    show(comparison(competition, Truth(by, 3.0, [2] * competition.num_classes)))
    out = capsys.readouterr().out
    assert f"95 % interval by {by}" in out and f"would rest on 3 {by} of" in out
    assert ("too narrow: add a column `sheet` to the answers" in out) == hint
