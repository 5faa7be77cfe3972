"""Which photos belong together."""

import numpy as np
import pandas as pd
import pytest

from kit.starting.groups import group_of, group_of_names
from kit.starting.paths import Lead
from kit.starting.tables import Table

N = 120


def table(path="train.csv", **columns):
    """A table whose column `id` leads to photos."""
    rows = pd.DataFrame({"id": [f"x{n}" for n in range(N)], "label": [n % 3 for n in range(N)]})
    return Table(path, rows.assign(**columns).astype(str), Lead("id", ("{id}.jpg",), 1.0))


def numbers(groups):
    """The numbers of groups of N photos."""
    return [n % groups for n in range(N)]


@pytest.mark.parametrize("name", ["subject", "patient_id", "PatientID", "lesion_id", "location"])
def test_a_column_is_found_by_its_name(name):
    group = group_of(table(**{name: numbers(20)}), ["label"], 3, [])
    assert group.column == group.word == name and group.number == 20


@pytest.mark.parametrize(
    "columns",
    [
        {"patient_id": list(range(N))},
        {"site": numbers(2)},
        {"variety": numbers(20)},
        {"subject": [n % 3 for n in range(N)]},
        {},
    ],
)
def test_what_groups_nothing_is_no_group(columns):
    group = group_of(table(**columns), ["label"], 3, [])
    assert group.word == "photo" and "no column" in group.why


def test_the_coarser_of_two_nested_columns_is_taken():
    given = table(seq_id=[n // 3 for n in range(N)], location=[n // 12 for n in range(N)])
    group = group_of(given, ["label"], 3, [])
    assert group.column == "location" and group.others == ()
    crossed = table(patient=numbers(12), study_id=[n // 12 for n in range(N)])
    group = group_of(crossed, ["label"], 3, [])
    assert group.column == "patient" and group.others == ("study_id",)


@pytest.mark.parametrize("start, other", [(0, False), (50, True), (None, None)])
def test_the_groups_of_photos_to_predict(start, other):
    tests = [] if start is None else [table("test.csv", subject=[start + n // 3 for n in range(N)])]
    group = group_of(table(subject=[n // 3 for n in range(N)]), ["label"], 3, tests)
    assert group.other_test is other


@pytest.mark.parametrize("seed", range(3))
def test_names_that_begin_alike_are_series(seed):
    rng = np.random.default_rng(seed)
    start = rng.permutation(np.arange(N) // 4)
    photos = [f"train/s{s:03d}_{n}.jpg" for n, s in enumerate(start)]
    group = group_of_names(photos)
    assert group.word == "series" and group.number == N // 4
    found = pd.Series(photos).str.extract(group.pattern, expand=False)
    assert found.tolist() == [f"s{s:03d}" for s in start]


@pytest.mark.parametrize("template", ["ISIC_{n}", "img_{n}", "{n:x}", "{n}-{n}", "class{c}_{n}"])
def test_names_that_say_no_more_than_the_class_or_the_photo(template):
    labels = [str(n % 6) for n in range(N)]
    photos = [template.format(n=n, c=n % 6) + ".jpg" for n in range(N)]
    assert group_of_names(photos, labels).word == "photo"
