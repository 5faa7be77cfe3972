"""The out-of-fold score in a record: written, read, refused."""

import json

import pytest
from draws import oof_of

from kit.blending.oof_score import RECORD_ERRORS, plain, read_interval, read_oof_score
from kit.blending.select import select_blend
from kit.scoring.metrics import METRICS


def test_a_score_is_read_as_it_was_written():
    score = select_blend(oof_of(1, 3.0, people=40), "weights", "bias").score
    written = json.loads(json.dumps(score.describe()))
    assert read_oof_score(written) == score
    assert written["metric"]["name"] == "f1_macro" and set(written["metrics"]) == set(METRICS)
    assert written["tasks"]["mask"]["score"] == score.scores.tasks["mask"]
    assert "views" not in written and written["tested"]["over"] == "mean + argmax"


def test_plain_values_are_those_of_json():
    value = {"a": (1, (2.5, None)), "b": [("c",)]}
    assert plain(value) == {"a": [1, [2.5, None]], "b": [["c"]]} == json.loads(json.dumps(value))


def test_what_is_no_interval_or_number_is_refused():
    assert read_interval(None) is None and read_interval([0.1, 1]) == (0.1, 1)
    for wrong in ("x", [0.1], 3, [0.1, "x"], [True, 1]):
        with pytest.raises(RECORD_ERRORS):
            read_interval(wrong)
