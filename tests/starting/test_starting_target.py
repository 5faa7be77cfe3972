"""What is asked: columns or folders of the classes, and their kind."""

import pandas as pd
import pytest

from kit.starting.paths import Lead
from kit.starting.tables import Table
from kit.starting.target import separator_of, target_of, target_of_paths

N = 60


def table(**columns):
    """A training table whose column `id` leads to photos."""
    rows = pd.DataFrame({"id": [f"x{n}" for n in range(N)]} | columns).astype(str)
    return Table("train.csv", rows, Lead("id", ("{id}.jpg",), 1.0))


def asked(*columns):
    """A sample submission with these columns."""
    return Table("sample_submission.csv", pd.DataFrame(columns=["id", *columns]), None)


@pytest.mark.parametrize(
    "values, separator",
    [
        (["0 13 51", "13", "0 51"], " "),
        (["scab rust", "scab", "rust", "healthy"], " "),
        (["a,b", "a", "b"], ","),
        (["Common wheat", "Loose Silky-bent", "Maize"], ""),
        (["new york", "los angeles"], ""),
        (["a", "b"], ""),
        (["clear road", "clear sea road", "haze sea", "clear sea", "haze road"], " "),
        (["1 1", "1"], ""),
    ],
)
def test_lists_are_told_from_names_with_spaces(values, separator):
    assert separator_of(pd.Series(values)) == separator


def test_columns_of_flags_are_one_class_or_several():
    one = table(a=[n % 2 for n in range(N)], b=[1 - n % 2 for n in range(N)])
    assert target_of(one, asked("a", "b")).kind == "classes"
    both = table(a=[n % 2 for n in range(N)], b=[1] * N)
    assert target_of(both, asked("a", "b")).kind == "labels"


def test_the_column_that_the_submission_asks_for_comes_first():
    given = table(label=list("ab") * 30, cancer=[n % 2 for n in range(N)])
    target = target_of(given, asked("cancer"))
    assert target.columns == ("cancer",) and target.asked
    other = target_of(given, asked("Predicted"))
    assert other.columns == ("label",) and not other.asked


@pytest.mark.parametrize("answer", ["ann", "ann bob cat new_one"])
def test_the_column_whose_values_the_submission_has_comes_before_one_by_its_name(answer):
    given = table(
        species=list("xy") * 30, who=["ann", "bob", "cat"] * 20, n=[n % 2 for n in range(N)]
    )
    sample = pd.DataFrame({"id": ["a", "b"], "predictions": answer})
    target = target_of(given, Table("sample_submission.csv", sample, None))
    assert target.columns == ("who",) and target.asked


def test_values_that_are_columns_of_the_submission_are_the_target_in_any_case():
    given = table(other=list("xy") * 30, dx=["mel", "NV"] * 30)
    assert target_of(given, asked("MEL", "NV", "DF")).columns == ("dx",)


@pytest.mark.parametrize(
    "name, kind", [("diagnosis", "order"), ("level", "order"), ("label", "classes")]
)
def test_grades_rise_by_the_name_of_their_column(name, kind):
    target = target_of(table(**{name: [n % 5 for n in range(N)]}), asked(name))
    assert target.kind == kind and target.classes == tuple("01234")
    gaps = target_of(table(**{name: [n % 2 * 7 for n in range(N)]}), asked(name))
    assert gaps.kind == "classes"


def test_a_column_of_many_values_is_no_target():
    assert target_of(table(weight=[n * 7 for n in range(N)]), asked("weight")) is None


def test_tasks_are_found_by_the_ends_of_ids():
    given = table(root=[n % 3 for n in range(N)], vowel=[n % 2 for n in range(N)])
    ids = [f"t{n}_{task}" for n in range(3) for task in ("root", "vowel")]
    sample = Table("s.csv", pd.DataFrame({"row_id": ids, "target": "0"}), None)
    target = target_of(given, sample)
    assert target.kind == "tasks" and target.columns == ("root", "vowel")


@pytest.mark.parametrize(
    "template, glob, classes",
    [
        ("train/{c}/{n}.png", "train/*/*.png", ("cat", "dog")),
        ("{c}/{n}.png", "*/*.png", ("cat", "dog")),
        ("data/train/{c}/sub{n}/{n}.jpg", "data/train/*/*/*.jpg", ("cat", "dog")),
        ("train/{c}.{n}.jpg", "train/*.jpg", ("cat", "dog")),
        ("train/{c}_{n}.jpg", "train/*.jpg", ("cat", "dog")),
    ],
)
def test_paths_tell_classes(template, glob, classes):
    photos = [template.format(c=("cat", "dog")[n % 2], n=n) for n in range(N)]
    target = target_of_paths(photos)
    assert (target.glob, target.classes) == (glob, classes)
    found = pd.Series(photos).str.extract(target.pattern, expand=False)
    assert found.tolist() == [("cat", "dog")[n % 2] for n in range(N)]


@pytest.mark.parametrize("template", ["train/{n}.png", "train/IMG_{n}.png"])
def test_paths_that_tell_no_class(template):
    assert target_of_paths([template.format(n=n) for n in range(N)]) is None
