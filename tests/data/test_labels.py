"""Kinds of tasks, classes and labels, found in the columns of a training table."""

import numpy as np
import pandas as pd
import pytest
from pets_folder import pets, sample, usual, usual_folder

from kit.data.definition import complete
from kit.data.labels import labels_of
from kit.data.train_rows import read_rows
from kit.system.errors import KitError
from kit.task import Task


def found(root, train: pd.DataFrame, **changes):
    """A completed competition, and its labels."""
    root, given = usual_folder(root, table=train, **changes)
    competition = complete(given, root)
    return competition, labels_of(competition, read_rows(competition, root))


def of(values: list[str], name: str = "breed") -> pd.DataFrame:
    """A training table with such a column of targets."""
    return pets(len(values)).assign(**{name: values})


def flags(*rows: str) -> pd.DataFrame:
    """A training table with columns a, b, c of 0 and 1."""
    return pets(len(rows)).assign(**{name: [r[i] for r in rows] for i, name in enumerate("abc")})


def test_numbers_are_ordered_by_size_and_names_as_texts(tmp_path):
    competition, table = found(tmp_path / "a", of(["10", "9", "2", "9"]))
    assert competition.class_names == ("2", "9", "10") and table["label"].tolist() == [2, 1, 0, 1]
    competition, table = found(tmp_path / "b", of(["b", "10", "2", "b"]))
    assert competition.class_names == ("10", "2", "b")
    given = ("b", "2", "10")
    competition, table = found(tmp_path / "c", of(["b", "10", "2", "b"]), classes=given)
    assert competition.class_names == given and table["label"].tolist() == [0, 2, 1, 0]


def test_ordered_classes(tmp_path):
    competition, _ = found(tmp_path, of(["0", "4", "2", "2"]), kind="order")
    assert competition.tasks[0].ordered and competition.metric == "quadratic_kappa"
    assert competition.answer == "name" or competition.answer == "class"
    values = ["mild", "severe", "none", "mild"]
    with pytest.raises(KitError, match="which way these classes rise .3 found, the first: mild"):
        found(tmp_path / "a", of(values), kind="order")
    with pytest.raises(KitError, match="which way these classes rise .3 found, the first: 1"):
        found(tmp_path / "d", of(["1", "mild", "2"]), kind="order")
    names = ("none", "mild", "severe")
    assert found(tmp_path / "b", of(values), kind="order", classes=names)[1]["label"].tolist() == [
        *(1, 2, 0, 1)
    ]
    decimals = found(tmp_path / "c", of(["10.5", "2.0", "0.5"]), kind="order")[0]
    assert decimals.class_names == ("0.5", "2.0", "10.5") and decimals.answer == "name"


def test_numbers_that_pandas_wrote_as_fractions_are_whole(tmp_path):
    competition, labels = found(
        tmp_path, of(["1.0", "2.0", "3.0", "1.0"]), predict=sample({"breed": 1})
    )
    assert competition.class_names == ("1", "2", "3") and competition.answer == "name"
    assert labels["label"].tolist() == [0, 1, 2, 0]


def test_the_answer_s_column_may_name_the_class_whose_probability_it_is(tmp_path):
    table, one = of(["cat", "dog", "cat"]), sample({"cat": 0.5})
    assert found(tmp_path / "a", table, predict=one)[0].class_names == ("dog", "cat")
    with pytest.raises(KitError, match="'cat' asks for the probability of cat.*set classes="):
        found(tmp_path / "b", table, predict=one, classes=("cat", "dog"))


def test_whitespace_makes_no_other_class_label_or_group(tmp_path):
    table = of(["cat", " cat", "dog ", "dog"]).assign(owner=["a", "b ", " a", "b"])
    competition, labels = found(tmp_path / "a", table, group="owner")
    assert competition.class_names == ("cat", "dog") and labels["label"].tolist() == [0, 0, 1, 1]
    assert read_rows(competition, tmp_path / "a").groups.tolist() == ["a", "b", "a", "b"]
    competition, labels = found(tmp_path / "b", of(["a", "b", "a, b", "b , a"]), separator=",")
    assert competition.kind == "labels" and labels["label"].tolist() == ["0", "1", "0 1", "0 1"]


def test_columns_of_0_and_1_that_exclude_each_other_are_classes(tmp_path):
    columns = ("a", "b", "c")
    table = flags("100", "010", "001", "010").replace({"a": {"1": "1.0", "0": "0.0"}})
    competition, labels = found(
        tmp_path, table, target=columns, predict=sample(dict.fromkeys("cab", 0))
    )
    assert competition.kind == "classes" and competition.class_names == ("c", "a", "b")
    assert labels["label"].tolist() == [1, 2, 0, 2] and competition.answer == "probabilities"


def test_0_and_1_may_be_written_as_pandas_and_python_do(tmp_path):
    table = pets(4).assign(a=["0.0", "1", "0", "1.0"], b=["True", "False", "True", "False"])
    competition, labels = found(tmp_path, table, target=("a", "b"))
    assert competition.kind == "classes" and labels["label"].tolist() == [1, 0, 1, 0]
    both = found(tmp_path / "b", table.assign(b="1"), target=("a", "b"))
    assert both[0].kind == "labels" and both[1]["label"].tolist() == ["1", "0 1", "1", "0 1"]
    with pytest.raises(KitError, match="column 'b' must hold 0 or 1, as one of .*'yes' at .*p01"):
        found(tmp_path, table.assign(b=["1", "yes", "1", "0"]), target=("a", "b"), kind="labels")


@pytest.mark.parametrize("row", ["110", "000"])
def test_columns_of_0_and_1_of_which_several_or_none_may_be_1_are_labels(tmp_path, row):
    columns = ("a", "b", "c")
    competition, labels = found(
        tmp_path, flags("100", "010", row), target=columns, predict=sample(dict.fromkeys("abc", 0))
    )
    assert competition.kind == "labels" and competition.class_names == columns
    assert labels["label"].tolist() == ["0", "1", {"110": "0 1", "000": ""}[row]]
    assert (competition.answer, competition.metric) == ("probabilities", "roc_auc")
    with pytest.raises(
        KitError, match="3 columns of classes, of which not one alone is 1 .1 found: .*p02"
    ):
        complete(usual(target=columns, kind="classes"), tmp_path)


def test_several_columns_of_names_are_tasks(tmp_path):
    table = of(["x", "y", "x", "y", "x"], "shape").assign(size=["2", "10", "2", "2", "10"])
    competition, labels = found(
        tmp_path, table, target=("shape", "size"), predict=sample({"ans": 0})
    )
    assert competition.kind == "tasks" and competition.shape == (2, 2)
    assert [task.classes for task in competition.tasks] == [("x", "y"), ("2", "10")]
    assert labels["label"].tolist() == [0, 3, 0, 2, 1] and competition.answer == "class"
    assert not any(task.of_group for task in competition.tasks)
    tasks = (Task("form", ("y", "x")), Task("size", ("small", "large"), "cm", (5,)))
    own, labels = found(tmp_path / "b", table, target=("shape", "size"), tasks=tasks)
    assert own.kind == "tasks" and labels["cm"].tolist() == [2, 10, 2, 2, 10]
    assert labels["label"].tolist() == [2, 1, 2, 0, 3] and own.columns == ("cm",)


def test_a_number_becomes_a_class_by_edges(tmp_path):
    task = Task("years", ("young", "old"), "years", (30,))
    table = of(["29", "30", "7"], "years")
    competition, labels = found(tmp_path, table, target="years", tasks=(task,))
    assert competition.kind == "order" and labels["label"].tolist() == [0, 1, 0]
    assert labels["years"].tolist() == [29, 30, 7]
    (tmp_path / "labels.csv").write_text("id,years\np00,old\np01,3\n")
    with pytest.raises(
        KitError, match="column 'years' must hold whole numbers .* 'old' at train/p00"
    ):
        read = read_rows(competition, tmp_path)
        labels_of(competition, read)


def test_a_number_may_stand_beside_a_class_that_is_no_range_of_it(tmp_path):
    task = Task("breed", ("a", "b"), "grams")
    table = of(["b", "a", "b"]).assign(grams=["0", "999999999", "30"])
    competition, labels = found(tmp_path, table, target="breed", tasks=(task,))
    assert labels["grams"].tolist() == [0, 999999999, 30]
    assert labels["label"].tolist() == [1, 0, 1] and competition.kind == "classes"
    with pytest.raises(KitError, match="'grams' must hold whole numbers 0..999.* 'x' at train/p02"):
        bad = table.assign(grams=["0", "1", "x"])
        found(tmp_path, bad, target="breed", tasks=(task,))
    years = Task("years", ("young", "old"), "years", (999999999,))
    numbers = of(["999999998", "999999999", "0"], "years")
    labels = found(tmp_path / "b", numbers, target="years", tasks=(years,))[1]
    assert labels["label"].tolist() == [0, 1, 0]


def test_classes_may_be_written_in_another_case(tmp_path):
    given = ("Cat", "DOG")
    competition, labels = found(tmp_path / "a", of(["cat", "Dog", "CAT"]), classes=given)
    assert competition.class_names == given and labels["label"].tolist() == [0, 1, 0]
    with pytest.raises(KitError, match="none of the classes .1 found: 'CAT' at train/p02"):
        found(tmp_path / "b", of(["Cat", "cat", "CAT"]), classes=("Cat", "cat"))
    predict = sample({"CAT": 0.5, "DOG": 0.5})
    assert found(tmp_path / "c", of(["cat", "dog"]), predict=predict)[0].class_names == (
        "CAT",
        "DOG",
    )


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["0 13 51", "2", "13", "0"], ("0", "2", "13", "51")),
        (["rust scab", "scab", "rust", "healthy"], ("healthy", "rust", "scab")),
        (["7 2", "2 7"], ("2", "7")),
    ],
)
def test_lists_in_a_column_are_labels(tmp_path, values, names):
    competition, labels = found(tmp_path, of(values), predict=sample({"breed": names[0]}))
    assert competition.kind == "labels" and competition.class_names == names
    for value, text in zip(values, labels["label"]):
        assert {names[int(c)] for c in text.split()} == set(value.split())
    assert (competition.answer, competition.metric) == ("list", "f1_samples")


def test_names_with_a_space_are_no_lists_and_a_definition_decides(tmp_path):
    values = ["golden retriever", "labrador retriever", "pug", "pug"]
    assert found(tmp_path / "a", of(values))[0].kind == "classes"
    competition, labels = found(tmp_path / "b", of([*values, ""]), kind="labels")
    assert competition.class_names == ("golden", "labrador", "pug", "retriever")
    assert labels["label"].tolist() == ["0 3", "1 3", "2", "2", ""]
    known = found(tmp_path / "d", of(["b a", "c", "c"]), classes=("c", "b", "a"))
    assert known[0].kind == "labels" and known[1]["label"].tolist() == ["1 2", "0", "0"]
    spaced = ("golden retriever", "pug", "labrador retriever")
    assert found(tmp_path / "e", of(values), classes=spaced)[0].kind == "classes"
    competition, _ = found(tmp_path / "c", of(["a|b", "a", "b|c"]), kind="labels", separator="|")
    assert competition.class_names == ("a", "b", "c")


def test_a_pattern_s_classes(tmp_path):
    competition, labels = found(tmp_path, pets(12), target="", target_pattern="/p([01])")
    assert competition.class_names == ("0", "1") and labels["label"].tolist() == [0] * 10 + [1] * 2
    with pytest.raises(KitError, match="none of some paths .9 found, the first: train/p01.jpg"):
        found(tmp_path, pets(10), target="", target_pattern="/p0(0)?")


def test_a_task_is_of_groups_if_each_has_one_class(tmp_path):
    same = pets().assign(breed=np.repeat(["a", "b", "c"], 4))
    assert found(tmp_path / "a", same, group="owner")[0].tasks[0].of_group
    assert not found(tmp_path / "b", pets(), group="owner")[0].tasks[0].of_group


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        (
            ["pug", "", "corgi"],
            {},
            "column 'breed' gives no class to some photos .1 found: train/p01",
        ),
        (
            ["a b", "c"],
            {"kind": "labels", "classes": ("a", "c")},
            "none of the classes .1 found: 'b' at",
        ),
        (
            ["a b", "c"],
            {"kind": "labels", "classes": ("a", "b", "c", "d")},
            "no photo of some .*: d",
        ),
        (
            ["a", "b"],
            {"target": ("breed", "sex"), "kind": "labels"},
            "must hold 0 or 1, as .*'a' at",
        ),
        (
            ["a", "a"],
            {},
            "labels.csv: the target has one class alone .1 found: a.; name another col",
        ),
        (["a", "b"], {"kind": "tasks"}, "target has 1 columns, and kind='tasks' needs one"),
        (
            ["a", "b"],
            {"kind": "order", "tasks": (Task("x", ("a", "b")), Task("y", ("c", "d")))},
            "kind='order' has one task, and the definition has 2",
        ),
    ],
)
def test_targets_that_do_not_fit(tmp_path, values, changes, said):
    with pytest.raises(KitError, match=said):
        found(tmp_path, of(values), **changes)


def test_the_definition_s_classes_differ_from_the_columns(tmp_path):
    with pytest.raises(
        KitError, match=r"none of the classes .1 found: 'b' at target .did you mean bb"
    ):
        found(tmp_path, flags("110", "001"), target=("a", "b", "c"), classes=("a", "bb", "c"))
