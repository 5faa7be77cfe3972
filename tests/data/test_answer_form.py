"""The form of answers, as the table of photos to predict shows it."""

import pandas as pd
import pytest
from pets_folder import sample, usual

from kit.competition import Competition
from kit.data.answer_form import class_columns, read_test_table, with_answer
from kit.system.errors import KitError
from kit.task import Task


def asked(names: tuple[str, ...], table: pd.DataFrame | None, **changes) -> tuple[str, str, str]:
    """The form, the column and the metric that are found for classes and a table."""
    kind = changes.pop("kind", "classes")
    tasks = (Task("class", names, ordered=kind == "order"),)
    found = with_answer(usual(kind=kind, tasks=tasks, **changes), table)
    return found.answer, found.answer_column, str(found.metric)


def column(*values: str) -> pd.DataFrame:
    """A table of ids and of one column, `y`."""
    return sample(number=len(values))[["id"]].assign(y=list(values))


AB, DIGITS = ("a", "b"), ("0", "1", "2")


@pytest.mark.parametrize(
    ("names", "table", "changes", "expected"),
    [
        (AB, column("a", "b"), {}, ("name", "y", "accuracy")),
        (AB, column("0", "0"), {}, ("class", "y", "accuracy")),
        (("1", "2"), column("0", "0"), {}, ("name", "y", "accuracy")),
        (("0.5", "1.5"), column("1", "1"), {}, ("name", "y", "accuracy")),
        (AB, column("a", "a"), {"rows": max}, ("name", "y", "accuracy")),
        (AB, column("0", "0"), {"rows": max}, ("class", "y", "accuracy")),
        (("1", "2"), column("0", "0"), {"rows": max}, ("name", "y", "accuracy")),
        (AB, column("0.5", "0.5"), {}, ("probability", "y", "roc_auc")),
        (AB, column("0", "0"), {"metric": "roc_auc"}, ("probability", "y", "roc_auc")),
        (DIGITS, column("0", "2"), {}, ("class", "y", "accuracy")),
        (DIGITS, column("", ""), {"kind": "order"}, ("class", "y", "quadratic_kappa")),
        (AB, column("", ""), {}, ("name", "y", "accuracy")),
        (AB, sample({"b": 0, "a": 0}), {}, ("probabilities", "breed", "log_loss")),
        (AB, sample({}), {"metric": "log_loss"}, ("probability", "breed", "log_loss")),
        (DIGITS, sample({}), {"metric": "log_loss"}, ("probabilities", "breed", "log_loss")),
        (AB, column("a", "a"), {"kind": "labels"}, ("list", "y", "f1_samples")),
        (AB, sample({"a": 0, "b": 0}), {"kind": "labels"}, ("probabilities", "breed", "roc_auc")),
        (AB, sample({"x": "0", "y": "0"}), {"answer_column": "y"}, ("class", "y", "accuracy")),
        (AB, sample({"x": 0, "z": 0}), {"answer": "name"}, ("name", "breed", "accuracy")),
        (AB, None, {"id": "id", "answer": "class"}, ("class", "breed", "accuracy")),
        (AB, column("a"), {"metric": "f1_macro"}, ("name", "y", "f1_macro")),
        (("a", "b", "c"), sample(dict.fromkeys("abc", 0)), {"metric": "balanced_accuracy"},
         ("probabilities", "breed", "balanced_accuracy")),
    ],
)  # fmt: skip
def test_forms(names, table, changes, expected):
    assert asked(names, table, **changes) == expected


def test_columns_that_templates_name_are_no_answers():
    table = sample({"path": "x", "place": "y", "Unnamed: 0": 0})
    competition = usual(test_image="{path}", answer_rows="{place}_{task}", id="id")
    assert class_columns(competition, table) == [] == class_columns(competition, None)
    assert class_columns(usual(test_image="{id}"), table) == ["path", "place"]


@pytest.mark.parametrize(
    ("classes", "value", "form"),
    [
        (DIGITS, "0", "class"),
        (("1", "2"), "1", "name"),
        (("x", "y"), "0", "class"),
        (("x", "y"), "x", "name"),
    ],
)
def test_answers_of_one_task_each_are_as_the_sample_shows_them(classes, value, form):
    tasks = (Task("p", classes), Task("q", AB if form == "class" else classes))
    wide = usual(kind="tasks", tasks=tasks)
    assert with_answer(wide, sample({"p": value, "q": value})).answer == form
    long = usual(kind="tasks", tasks=tasks, answer_rows="{id}_{task}", answer_column="y")
    assert with_answer(long, column(value)).answer == form


def test_the_product_of_tasks_is_answered_by_the_class():
    tasks = (Task("x", ("a", "b")), Task("y", ("c", "d")))
    found = with_answer(usual(kind="tasks", tasks=tasks, target=("x", "y")), column("", ""))
    assert (found.answer, found.answer_column, found.id) == ("class", "y", "id")


@pytest.mark.parametrize(
    ("table", "changes", "said"),
    [
        (
            sample({"x": 0, "y": 0}),
            {},
            "columns x,y fit no answer: classes .*2 found, the first: a",
        ),
        (sample({"a": 0, "B": 0}), {}, "classes without a column .1 found: b"),
        (column("a"), {"answer": "probabilities"}, "fit no answer"),
        (sample({"a": 0, "b": 0, "c": 0}), {}, "columns that are none of the classes .1 found: c"),
        (column("a"), {"metric": "log_loss", "answer": "name"}, "scores probabilities"),
        (column("a"), {"metric": "f2_samples"}, "f2_samples scores several labels"),
        (column("a"), {"metric": "quadratic_kappa", "kind": "labels"}, "scores one class a photo"),
    ],
)
def test_what_fits_no_answer_is_told(table, changes, said):
    with pytest.raises(KitError, match=said):
        asked(AB, table, **changes)


def test_labels_that_hold_the_separator_cannot_be_joined():
    names = ("frog eye", "rust")
    with pytest.raises(KitError, match="separator=' ' must be a text that no label has in it"):
        asked(names, column("rust"), kind="labels")
    assert asked(names, column("rust"), kind="labels", separator=",")[0] == "list"


def test_the_table_may_be_absent_where_all_is_said(tmp_path):
    assert read_test_table(usual(id="id", answer="class"), tmp_path) is None
    with pytest.raises(KitError, match="sample_submission.csv: there is no such table; set test"):
        read_test_table(usual(id="id"), tmp_path)
    sample().to_csv(tmp_path / "sample_submission.csv", index=False)
    table = read_test_table(usual(id="id"), tmp_path)
    assert table is not None and isinstance(usual(), Competition) and list(table) == ["id", "breed"]
