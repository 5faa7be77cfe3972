"""What is strange about a submission."""

import json

import numpy as np
import pandas as pd
import pytest
from answer_forms import FORMS, form, form_folder, predicted
from helpers import CLASS_NAMES, MASK, NUM_CLASSES, mask_folder

from kit.results.check import check_submission, expected_counts
from kit.results.submission import Predicted, write_submission
from kit.scoring.class_counts import Expected
from kit.system.disk import write_json


def test_absent_classes_and_far_counts_are_warned_of(copy):
    info = copy / "data" / "eval" / "info.csv"
    frame = pd.read_csv(info, dtype=str).assign(ans="4")
    frame.to_csv(copy / "all4.csv", index=False)
    expected = Expected(np.full(NUM_CLASSES, 100), (2.0, 17.0), "the out-of-fold predictions")
    lines = check_submission(copy / "all4.csv", mask_folder(copy / "data"), expected)
    assert any("no photo has any of 17 classes" in line for line in lines)
    assert any(
        "otherwise than the out-of-fold predictions (p = " in line and CLASS_NAMES[4] in line
        for line in lines
    )
    assert expected_counts(copy / "all4.csv", None, MASK) is None


@pytest.mark.parametrize("name", FORMS)
def test_an_equal_file_of_every_form_is_told(tmp_path, name):
    data = form_folder(tmp_path / "data", form(name))
    for file, seed in (("a", 0), ("b", 1), ("c", 0)):
        write_submission(tmp_path / f"{file}.csv", predicted(data, seed), data, {})
    assert not [x for x in check_submission(tmp_path / "b.csv", data, None) if "same" in x]
    lines = check_submission(tmp_path / "c.csv", data, None)
    assert any("is the same submission as" in line and "a.csv" in line for line in lines)


def test_a_column_of_one_value_is_told(tmp_path):
    data = form_folder(tmp_path / "data", form("labels"))
    given = predicted(data)
    given.probs[:, 1] = 0.5
    write_submission(tmp_path / "s.csv", given, data, {})
    (line,) = check_submission(tmp_path / "s.csv", data, None)
    assert "all photos have the same probability of a class (rust)" in line


@pytest.mark.parametrize("empty", [5, 6])
def test_rows_without_labels_are_told_where_most_are(tmp_path, empty):
    data, lists = form_folder(tmp_path / "data", form("list"), 10), np.ones((10, 4), np.uint8)
    lists[:empty] = 0
    write_submission(
        tmp_path / "s.csv", Predicted([f"{n}.jpg" for n in range(10)], lists), data, {}
    )
    told = " ".join(check_submission(tmp_path / "s.csv", data, None))
    assert ("6 of 10 rows have no label" in told) == (empty == 6) == ("--decide bias" in told)


def recorded(path, oof):
    """Put an out-of-fold score into the record beside a submission."""
    record = json.loads(path.with_suffix(".json").read_text())
    write_json(path.with_suffix(".json"), record | {"oof": oof}, force=True)


def test_labels_are_compared_by_their_shares(tmp_path):
    data = form_folder(tmp_path / "data", form("list"), 400)
    rng = np.random.default_rng(0)
    share, path = np.array([0.5, 0.2, 0.1, 0.05]), tmp_path / "s.csv"
    ids = [f"{n}.jpg" for n in range(400)]
    lists = (rng.random((400, 4)) < share).astype(np.uint8)
    write_submission(path, Predicted(ids, lists), data, {})
    oof = {"rao_scott_correction": [1.0, 1.0], "photos": 1000}
    recorded(path, oof | {"predicted_counts": [500, 200, 100, 50]})
    expected = expected_counts(path, None, data.competition)
    assert expected.photos == 1000 and check_submission(path, data, expected) == []
    recorded(path, oof | {"predicted_counts": [500, 200, 400, 50]})
    (line,) = check_submission(path, data, expected_counts(path, None, data.competition))
    assert "most of all scab: " in line and "instead of 40.0%" in line


def test_probabilities_are_compared_where_they_must_be_calibrated(tmp_path):
    data = form_folder(tmp_path / "data", form("probabilities"), 400)
    path, rng = tmp_path / "s.csv", np.random.default_rng(0)
    probs = rng.dirichlet([5, 3, 2], 400)
    ids = [f"{n}.jpg" for n in range(400)]
    write_submission(path, Predicted(ids, probs.argmax(1), probs), data, {})
    oof = {"rao_scott_correction": [1.0, 2.0], "photos": 1000}
    recorded(path, oof | {"true_counts": [500, 300, 200]})
    assert check_submission(path, data, expected_counts(path, None, data.competition)) == []
    recorded(path, oof | {"true_counts": [200, 300, 500]})
    (line,) = check_submission(path, data, expected_counts(path, None, data.competition))
    assert "its probabilities are on the average distributed otherwise" in line
    assert expected_counts(path, None, form("probabilities", metric="roc_auc")) is None
    assert expected_counts(path, None, form("probability")) is None  # ROC AUC, the usual metric
