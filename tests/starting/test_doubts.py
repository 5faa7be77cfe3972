"""What a definition is unsure of."""

import pandas as pd
import pytest

from kit.starting.answers import Answers
from kit.starting.doubts import doubts, left_out
from kit.starting.groups import Group
from kit.starting.look import Facts
from kit.starting.paths import Lead
from kit.starting.tables import Table
from kit.starting.target import Target


def facts(tmp_path, *sizes):
    """Facts of a folder whose photos have these sizes."""
    return Facts(tmp_path, ("a.jpg",), {}, ("b.csv: is empty",), {}, tuple((s, 1) for s in sizes))


def told(tmp_path, target, group=Group(), sizes=((4, 3),)):
    """The words that doubts begin with."""
    answers = Answers(None, (), "class", "accuracy", "", "", unsure=("answer: told",))
    lines = doubts(facts(tmp_path, *sizes), target, group, answers)
    return [line.partition(":")[0] for line in lines]


ALWAYS = ["metric", "mirror"]


@pytest.mark.parametrize(
    "target, more",
    [
        (Target(("x",), "classes", ("a", "b"), ""), []),
        (Target(("x",), "classes", ("0", "1"), ""), []),
        (Target(("x",), "classes", ("0", "1", "2"), ""), ["kind"]),
        (Target(("x",), "order", ("0", "1", "2"), ""), ["kind"]),
        (Target(("x",), "classes", tuple(map(str, range(1, 90))), ""), ["target"]),
        (Target(("x",), "classes", ("a", "b"), "", others=("y",)), ["target"]),
    ],
)
def test_metric_and_mirror_are_always_unsure(target, more, tmp_path):
    assert told(tmp_path, target) == [*ALWAYS, *more, "answer"]


def test_groups_and_sizes(tmp_path):
    target = Target(("x",), "classes", ("a", "b"), "")
    assert told(tmp_path, target, Group("who", other_test=True)) == [*ALWAYS, "answer"]
    assert told(tmp_path, target, Group("who")) == [*ALWAYS, "group", "answer"]
    assert told(tmp_path, target, Group("who", other_test=False)) == [*ALWAYS, "group", "answer"]
    assert told(tmp_path, target, Group(pattern="x")) == [*ALWAYS, "group", "answer"]
    sizes = ((4, 3), (5, 3))
    assert told(tmp_path, target, sizes=sizes) == [*ALWAYS, "answer", "frame"]


def test_tables_that_are_left_out_are_named(tmp_path):
    lead = Lead("id", ("{id}.jpg",), 1.0)
    one = Table("a.csv", pd.DataFrame({"id": ["a"], "x": ["1"]}), lead)
    two = Table("b.csv", pd.DataFrame({"id": ["a"], "lesion": ["1"]}), lead)
    lines = left_out(facts(tmp_path), one, [one, two])
    assert lines == ["table: b.csv: is empty", "table: b.csv is left out; it has lesion"]
