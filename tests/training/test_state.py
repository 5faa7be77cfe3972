"""What `last.pt` says, checked."""

import json
import math

import pytest
from helpers import small

from kit.metrics.metric import find_metric
from kit.system.versions import versions
from kit.training.state import check_rows, check_state

STATE = {
    "recipe": json.dumps(small().describe()), "plan": "abc", "fold": 0, "rows": [], "step": 3,
    "loss": 0.5, "seconds": 1.0, "waited": 0, "learner": {}, "versions": dict(versions()),
    "version": 1, "threads": 1, "precision": "float32", "device": "CPU",
}  # fmt: skip
ROW = {"epoch": 1, "lr": 0.1, "train_loss": 1.0, "val_loss": 1.0, "val_acc": 0.5}
ROW |= {"val_f1_macro": 0.5}


def test_a_state_as_it_is_written_is_taken():
    check_state(STATE | {"rows": [ROW]})
    check_rows([ROW, ROW | {"epoch": 2}], find_metric("f1_macro"))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": 3}, {"recipe": "{}"}, {"recipe": "no JSON"}, {"plan": None}, {"fold": -1},
        {"fold": True}, {"fold": "0"}, {"rows": {}}, {"rows": [{"epoch": math.nan}]},
        {"rows": [print]}, {"step": -1}, {"step": 0.5}, {"loss": math.nan}, {"loss": "x"},
        {"seconds": math.inf}, {"waited": None}, {"learner": []}, {"versions": {"torch": 2}},
        {"threads": -1}, {"precision": 16}, {"device": None},
    ],
    ids=str,
)  # fmt: skip
def test_every_other_type_is_refused(changes):
    with pytest.raises(ValueError, match="."):
        check_state(STATE | changes)


def test_a_key_that_is_not_there_is_named():
    for name in STATE:
        with pytest.raises(ValueError, match=f"it lacks {name}"):
            check_state({key: value for key, value in STATE.items() if key != name})
    with pytest.raises(ValueError, match="no dict"):
        check_state([])


def test_rows_are_those_of_whole_epochs_in_order():
    metric = find_metric("f1_macro")
    for wrong in ([3], [ROW | {"epoch": 2}], [{"epoch": 1}], [ROW, ROW], [ROW | {"lr": "x"}]):
        with pytest.raises(ValueError, match="of its metrics is"):
            check_rows(wrong, metric)
