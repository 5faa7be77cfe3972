"""The probabilities of a task's classes, and definitions with mistakes."""

import dataclasses

import numpy as np
import pytest
from helpers import MASK, NUM_CLASSES, decode

from kit.competition import SCORE_NAMES, Competition
from kit.data.recorded import recorded_competition
from kit.system.errors import KitError
from kit.system.script import RecordedFunction, ScriptFunction
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


HEADS = (Task("root", ("a", "b", "c"), "age", (3, 9)), Task("vowel", ("x", "y")))
FIELDS = {field.name for field in dataclasses.fields(Competition)}
PATTERN = "a regular expression with one group, such as '([a-z]+)[0-9]*$'"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name='' must be a printable text"),
        ({"group": ""}, "group='' must be a printable text"),
        ({"train": "\n"}, "must be a place below the data folder"),
        ({"train_images": 1}, "train_images=1 must be a place below the data folder"),
        ({"test": ""}, "test='' must be a place below the data folder"),
        ({"test_images": None}, "test_images=None must be a place below the data folder"),
        ({"id": 3}, "id=3 must be a printable text"),
        ({"fold": "\t"}, "must be a printable text"),
        ({"answer_rows": 3}, "answer_rows=3 must be a printable text"),
        ({"target_pattern": 3}, "target_pattern=3 must be a printable text"),
        ({"group_pattern": "("}, f"group_pattern='(' must be {PATTERN}"),
        ({"target_pattern": "a(b)(c)"}, f"target_pattern='a(b)(c)' must be {PATTERN}"),
        ({"image": ()}, "image=() must be a text, or a tuple of texts"),
        ({"image": ("a", 3)}, "image=('a', 3) must be a text, or a tuple of texts"),
        ({"test_image": 3}, "test_image=3 must be a text, or a tuple of texts"),
        ({"strata": ("a", "a")}, "strata=('a', 'a') must be a tuple of different texts"),
        ({"inputs": ("",)}, "inputs=('',) must be a tuple of different texts"),
        ({"tasks": [HEADS[0]]}, "must be a tuple of tasks, such as (task,)"),
        ({"tasks": ("a",), "classes": ()}, "tasks=('a',) must be a tuple of tasks"),
        ({"classes": ("a",)}, "classes=('a',) must be a tuple of two or more different texts"),
        ({"tasks": HEADS}, "classes=('a', 'b', 'c') must be () where there are tasks"),
        ({"classes": (), "tasks": HEADS[:1] * 2}, "must be of different names"),
        (
            {"classes": (), "tasks": (HEADS[0], Task("x", ("a", "b"), "age"))},
            "must be of different columns",
        ),
        ({"frame": (8, 0)}, "frame=(8, 0) must be a pair (height, width) of pixels"),
        ({"frame": (0, 8)}, "frame=(0, 8) must be a pair"),
        ({"frame": (8, 8, 8)}, "frame=(8, 8, 8) must be a pair"),
        ({"crop": (1.0,)}, "crop=(1.0,) must be a pair (height, width) of shares up to 1.0, such"),
        ({"crop": (0.0, 1.0)}, "crop=(0.0, 1.0) must be a pair"),
        ({"id": "a", "answer_column": "a"}, "answer_column='a' must be another column than id"),
        ({"channels": 65}, "channels=65 must be a whole number from 0 to 64"),
        ({"channels": -1}, "channels=-1 must be a whole number from 0 to 64"),
        ({"image": ("r", "g"), "channels": 3}, "channels=3 must be the number of templates of im"),
        ({"image": ("r", "g"), "read": len}, "must be None where image has a template a channel"),
        ({"separator": 3}, "separator=3 must be a text"),
        ({"greater": 1}, "greater=1 must be True or False"),
        ({"metric": None}, "metric=None must be the name of a metric, or a function"),
        ({"mirror": {"a": ""}}, "mirror={'a': ''} must be of pairs of classes"),
        ({"mirror": {"a": "b", "b": "c"}}, "must be of pairs of classes, each class in one pair"),
        ({"read": 3}, "read=3 must be a function, or None"),
        ({"draw": 3}, "draw=3 must be a function, or None"),
        ({"answer": "probability", "classes": ("a",) * 3}, "must be a tuple of two or more diff"),
    ],
)
def test_the_first_rule_that_is_broken_is_told(fields, said):
    with pytest.raises(KitError, match=f"^competition {fields.get('name', 'x')}: ") as told:
        Competition(**{"name": "x", "classes": ("a", "b", "c"), **fields})
    assert said in str(told.value) and str(told.value).split(": ")[1].split("=")[0] in FIELDS


@pytest.mark.parametrize(
    "fields",
    [
        {"frame": (1, 1)},
        {"crop": (0.5, 1.0)},
        {"channels": 64},
        {"image": ("r", "g"), "channels": 2},
        {"image": "a", "read": len},
        {"mirror": {"a": "b", "b": "a"}},
        {"mirror": {"a": "a"}},
        {"mirror": {"a": "b"}, "classes": ("a", "b")},
        {"metric": len, "greater": False},
        {"kind": "labels", "answer": "list"},
        {"kind": "labels", "answer": "probabilities"},
        {"kind": "labels"},
        {"answer": "list"},
        {"answer": "probability", "classes": ("a", "b")},
        {"answer": "list", "separator": "|", "classes": ("a b", "c")},
        {"answer": "class", "answer_column": "{task}"},
        {"answer": "name", "answer_rows": "{id}_{task}"},
        {"answer_column": "{task}"},
        {"id": "", "answer_column": ""},
        {"classes": (), "answer": "probability"},
        {"classes": (), "mirror": {"left": "right"}},
        {"classes": (), "tasks": HEADS},
        {"tasks": (Task("class", ("a", "b", "c")),)},
        {"strata": ("a", "b"), "inputs": (".", "more")},
        {"rows": len, "draw": len},
    ],
)
def test_what_goes_together_is_taken(fields):
    made = Competition(**{"name": "x", "classes": ("a", "b", "c"), **fields})
    assert all(getattr(made, name) == value for name, value in fields.items() if name != "classes")
    assert dataclasses.replace(made) == made


def test_what_a_definition_leaves_out():
    own = Competition(name="x")
    assert dataclasses.replace(own, groups="", channels=0) == own
    kept = {"kind": "", "tasks": (), "classes": (), "frame": (0, 0), "crop": (1.0, 1.0), "id": ""}
    kept |= {"group": "photo", "groups": "photos", "group_pattern": "", "fold": "", "strata": ()}
    kept |= {"train": "train.csv", "train_images": ".", "image": "", "target": "", "channels": 3}
    kept |= {"target_pattern": "", "separator": " ", "metric": "", "greater": True, "mirror": {}}
    kept |= {"test": "sample_submission.csv", "test_images": ".", "test_image": "", "answer": ""}
    kept |= {"answer_column": "", "answer_rows": "", "pool": "mean", "inputs": (".",)}
    kept |= {"name": "x", "rows": None, "read": None, "draw": None}
    assert {field.name: getattr(own, field.name) for field in dataclasses.fields(own)} == kept
    assert own.shape == () and own.class_names == ("",) and own.columns == ()
    assert Competition(name="x", image=("r", "g", "b", "nir")).channels == 4
    assert Competition(name="x", image=("r", "g"), channels=2).channels == 2
    ids = ("{img}", "a{img}", "{img}b", "{a}{b}", "{}")
    assert [Competition(name="x", id=text).id for text in ids] == ["img", *ids[1:4], ""]
    assert Competition(name="x", group="dog", group_pattern="a(b)", groups="hounds").group == "dog"
    assert Competition(name="x", group="dog", groups="hounds").groups == "hounds"


def test_what_follows_from_the_tasks_and_the_answer():
    own = Competition(name="x", tasks=HEADS, separator="|")
    assert (own.shape, own.num_classes, own.columns, own.parts) == ((3, 2), 6, ("age",), HEADS)
    assert own.class_names == ("a x", "a y", "b x", "b y", "c x", "c y")
    assert own.names_of([5, 0]) == "c y|a x" and not own.several_labels
    answers = own.decode(np.arange(6))
    assert [part.tolist() for part in answers] == [[0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1]]
    assert own.encode(answers).tolist() == list(range(6)) and own.encode(answers).dtype == np.int64
    forms = ("class", "name", "probability", "probabilities", "list")
    made = [Competition(name="x", classes=("a", "b"), answer=answer) for answer in forms]
    assert [one.answers_classes for one in made] == [True, True, False, False, False]
    assert [one.decided for one in made] == [True, True, False, False, True]
    assert Competition(name="x", classes=("a", "b"), kind="labels").several_labels


def test_a_record_has_all_that_changes_an_answer():
    read = ScriptFunction("/a/competition.py", "def read(path): ...", "read", "competition")
    own = Competition(name="x", tasks=HEADS, read=read, rows=len, draw=len)
    record = own.describe()
    assert record["read"] == {"path": "", "text": read.text, "name": "read"}
    assert record["tasks"][0]["edges"] == [3, 9] and not {"rows", "draw", "classes"} & {*record}
    again = recorded_competition(record)
    assert again.read == RecordedFunction("", read.text, "read", "competition")
    assert again.rows is None
    assert again == dataclasses.replace(own, read=again.read)
    metric = dataclasses.replace(read, name="gap")
    described = dataclasses.replace(own, read=None, metric=metric, greater=False).describe()
    assert recorded_competition(described).metric.name == "gap" and described["greater"] is False
    for bad in (record | {"tasks": []}, record | {"tasks": 3}, record | {"read": {}}, [], "x"):
        with pytest.raises(ValueError, match="^its competition is damaged .*"):
            recorded_competition(bad)
    with pytest.raises(ValueError, match="damaged .it has no tasks.$"):
        recorded_competition(record | {"tasks": []})
