"""Which table is the training table, and which one asks for answers."""

import pandas as pd
import pytest

from kit.starting.look import Facts
from kit.starting.paths import PhotoIndex
from kit.starting.tables import find_answers, other_tables, training_tables
from kit.system.errors import KitError

TRAIN = pd.DataFrame({"id": [f"a{n}" for n in range(9)], "label": list("012012012")})
TEST = pd.DataFrame({"id": [f"t{n}" for n in range(4)], "label": "0"})
PHOTOS = tuple([f"train/a{n}.jpg" for n in range(9)] + [f"test/t{n}.jpg" for n in range(4)])
INDEX = PhotoIndex(PHOTOS)


def facts(tmp_path, **tables):
    """A folder's facts with these tables, named with `_` for `/`."""
    named = {f"{name}.csv": rows for name, rows in tables.items()}
    return Facts(tmp_path, PHOTOS, named, (), {}, ())


def test_the_sample_submission_comes_before_the_test_table(tmp_path):
    given = facts(tmp_path, test=TEST[["id"]], sampleSubmission=TEST, train=TRAIN)
    answers = find_answers(given, INDEX)
    assert answers.path == "sampleSubmission.csv" and answers.lead.templates == ("test/{id}.jpg",)
    assert [t.path for t in other_tables(given, INDEX, answers)] == ["test.csv"]
    assert find_answers(facts(tmp_path, test=TEST[["id"]], train=TRAIN), INDEX).path == "test.csv"


def test_other_submissions_and_test_tables_are_no_training_tables(tmp_path):
    given = facts(
        tmp_path, sample_submission=TEST, answers=TEST.assign(label="1"), meta=TEST, train=TRAIN
    )
    answers = find_answers(given, INDEX)
    tests = [answers, *other_tables(given, INDEX, answers)]
    assert [t.path for t in training_tables(given, INDEX, tests)] == ["train.csv"]


def test_photos_to_train_on_and_to_predict_may_both_be_numbered_from_1(tmp_path):
    index = PhotoIndex(
        (*[f"train/{n}.jpg" for n in range(1, 10)], *[f"test/{n}.jpg" for n in range(1, 5)])
    )
    train = TRAIN.assign(id=[str(n) for n in range(1, 10)])
    test = TEST.assign(id=[str(n) for n in range(1, 5)])
    given = facts(tmp_path, train_labels=train, sample_submission=test, photos=test[["id"]])
    tests = [find_answers(given, index), *other_tables(given, index, find_answers(given, index))]
    assert [t.path for t in tests] == ["sample_submission.csv", "photos.csv"]
    (found,) = training_tables(given, index, tests)
    assert found.path == "train_labels.csv" and found.lead.templates == ("train/{id}.jpg",)


def test_a_table_that_names_no_photos_of_its_own_is_none(tmp_path):
    twice = pd.concat([TRAIN, TRAIN])
    names = pd.DataFrame({"label": list("012"), "name": ["x", "y", "z"]})
    given = facts(tmp_path, sample_submission=TEST, twice=twice, names=names)
    answers = find_answers(given, INDEX)
    assert training_tables(given, INDEX, [answers]) == []


def test_no_table_of_photos_to_predict_is_one_line(tmp_path):
    with pytest.raises(KitError, match="no table of photos to predict.*put the sample"):
        find_answers(facts(tmp_path, train=TRAIN), INDEX)
