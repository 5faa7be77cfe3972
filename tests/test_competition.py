"""The probabilities of a task's classes, and definitions with mistakes."""

import dataclasses

import numpy as np
import pytest
from helpers import MASK, NUM_CLASSES, decode

from kit.competition import SCORE_NAMES, Competition
from kit.data.recorded import recorded_competition
from kit.system.errors import KitError
from kit.task import Task

TWO = Competition(name="two", tasks=(Task("kind", ("a", "b")),), frame=(64, 96), id="id")


def test_task_probs_sum_the_classes(seed=0):
    probs = np.random.default_rng(seed).dirichlet(np.ones(NUM_CLASSES), 5)
    for task, part in zip(MASK.tasks, decode(np.arange(NUM_CLASSES))):
        own = MASK.task_probs(probs, task)
        assert own.shape == (5, part.max() + 1) and own.sum(axis=1) == pytest.approx(np.ones(5))
        assert own[2, 1] == pytest.approx(
            sum(probs[2, c] for c in range(NUM_CLASSES) if part[c] == 1)
        )


FAULTS = {
    "frame": 64,
    "tasks": Task("kind", ("a", "b")),
    "name": 3,
    "answer": "classes",
    "answer_column": 3,
    "groups": "\x1b]0;title\x07",
    "inputs": "train",
}


@pytest.mark.parametrize("field", FAULTS)
def test_a_field_of_another_kind_is_told_of_a_definition_and_of_a_record(field):
    with pytest.raises(KitError, match=f"competition .*: {field}=.* must be "):
        dataclasses.replace(TWO, **{field: FAULTS[field]})
    if field != "tasks":
        with pytest.raises(ValueError, match=f"its competition is damaged .*{field}="):
            recorded_competition(TWO.describe() | {field: FAULTS[field]})


def test_no_task_is_called_as_a_score_of_all_classes():
    for name in SCORE_NAMES:
        tasks = (*TWO.tasks, Task(name, ("a", "b")))
        with pytest.raises(KitError, match="must be of other names than accuracy, f1, macro"):
            dataclasses.replace(TWO, tasks=tasks)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", ("a",)),
        ("classes", ("a", "a")),
        ("classes", "ab"),
        ("classes", ("a", "\x1b[31mb")),
        ("column", "fold"),
        ("column", ""),
        ("edges", (3, 2)),
        ("edges", (1, 2)),
        ("of_group", 3),
    ],
)
def test_a_task_s_field_of_another_kind_is_told(field, value):
    good = Task("kind", ("a", "b"), "years", (3,))
    with pytest.raises(KitError, match=f"task kind: {field}=.* must be "):
        dataclasses.replace(good, **{field: value})


def test_a_record_of_an_older_version_is_told():
    with pytest.raises(ValueError, match="is missing, as in files of an older version"):
        recorded_competition(None)


def test_a_mirror_swaps_classes_both_ways():
    own = Competition(name="x", classes=("a", "b", "c"), mirror={"c": "a"})
    assert own.mirrored.tolist() == [2, 1, 0]
    assert dataclasses.replace(own, mirror={}).mirrored.tolist() == [0, 1, 2]
    assert recorded_competition(own.describe()) == own
    assert recorded_competition(dataclasses.replace(own, mirror=None).describe()).mirror is None


def test_classes_are_one_task_and_words_have_defaults():
    own = Competition(name="x", classes=("a", "b"), kind="order", id="{img}", group="subject")
    assert own.tasks == (Task("class", ("a", "b"), ordered=True),) and own.id == "img"
    assert own.groups == "subjects" and own.is_grouped and own.parts == ()
    free = Competition(name="x", group_pattern="a(b)")
    assert (free.group, free.groups, free.is_grouped) == ("group", "groups", True)
    assert not Competition(name="x").is_grouped
    assert Competition(name="x", group="series").groups == "series"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mirror": {"a": "b", "c": "b"}}, "of pairs of classes, each class in one pair"),
        ({"mirror": {"a": 3}}, "of pairs of classes"),
        ({"mirror": ["a", "b"]}, "a dict of classes, or None"),
        ({"mirror": {"a": "d"}}, "of names of classes"),
        ({"kind": "label"}, r"one of .*did you mean labels"),
        ({"answer": "probability"}, "another form than probability"),
        ({"answer": "list"}, "another form than list"),
        ({"kind": "labels", "answer": "class"}, "list or probabilities, because kind is labels"),
        ({"target": ("a", "a")}, "a text, or a tuple of texts"),
        ({"strata": "sex"}, "a tuple of different texts"),
        ({"group_pattern": "a"}, "a regular expression with one group"),
        ({"pool": "sum"}, "one of mean, max"),
        ({"rows": 3}, "a function, or None"),
        ({"separator": ""}, "a text"),
    ],
)
def test_fields_that_do_not_go_together_are_told(fields, said):
    with pytest.raises(KitError, match=f"competition x: .* must be .*{said}"):
        Competition(name="x", **{"classes": ("a", "b", "c"), "kind": "classes", **fields})


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"kind": "labels", "answer": "class"}, "list or probabilities, because kind is labels"),
        ({"kind": "labels", "answer": "probability"}, "list or probabilities, because"),
        ({"kind": "classes", "answer": "list"}, "kind is not labels"),
        ({"kind": "classes", "answer": "probability"}, "there are more than two classes"),
        ({"kind": "labels", "answer": "list", "classes": ("a b", "c")}, "a text that no label has"),
        ({"answer": "probabilities", "answer_column": "{task}"}, "class or name where each task"),
        ({"answer": "probabilities", "answer_rows": "{id}_{task}"}, "class or name where each"),
    ],
)
def test_the_form_of_an_answer_goes_with_the_kind(fields, said):
    given = {"name": "pets", "classes": ("a", "b", "c"), "frame": (8, 8)} | fields
    with pytest.raises(KitError, match=said):
        Competition(**given)
