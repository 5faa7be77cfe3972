"""The out-of-fold score in a record: written, read, refused."""

import dataclasses
import json

from draws import oof_of

from kit.blending.oof_score import plain, read_oof_score
from kit.blending.select import select_blend
from kit.scoring.metrics import METRICS


def test_a_score_is_read_as_it_was_written():
    score = select_blend(oof_of(1, 3.0, people=40), "weights", "bias").score
    written = json.loads(json.dumps(score.describe()))
    assert read_oof_score(written) == score
    assert written["metric"]["name"] == "f1_macro" and set(written["metrics"]) == set(METRICS)
    assert written["tasks"]["mask"]["score"] == score.scores.tasks["mask"]
    assert "views" not in written and written["tested"]["over"] == "mean + argmax"


def test_a_task_may_be_called_as_a_field_of_the_score():
    score = select_blend(oof_of(1, 3.0, people=40), "mean", "argmax").score
    for name in ("photos", "interval", "views"):
        tasks = {name: score.tasks["mask"]}
        scores = dataclasses.replace(score.scores, tasks={name: score.tasks["mask"].score})
        changed = dataclasses.replace(score, scores=scores, tasks=tasks)
        assert read_oof_score(json.loads(json.dumps(changed.describe()))) == changed


def test_plain_values_are_those_of_json():
    value = {"a": (1, (2.5, None)), "b": [("c",)]}
    assert plain(value) == {"a": [1, [2.5, None]], "b": [["c"]]} == json.loads(json.dumps(value))
