import pytest
from helpers import MASK, small

from kit.metrics.metric import find_metric
from kit.scoring.metrics import Scores
from kit.training.history import History, scores_of, scores_row

F1 = find_metric("f1_macro").named


def rows(f1, losses=None):
    """Rows of metrics with these scores and losses."""
    return [
        {
            "epoch": n,
            "val_loss": loss,
            **scores_row(Scores(value, F1, {"accuracy": 0.5}, {"a": 0.25})),
        }
        for n, (value, loss) in enumerate(zip(f1, losses or [1.0] * len(f1)), 1)
    ]


def test_the_best_epoch_is_the_first_of_equals_by_the_monitor():
    table = rows([0.1, 0.3, 0.3], [3.0, 1.0, 1.0])
    assert History(small(), F1, table).best is table[1]
    table = rows([0.1, 0.3, 0.2], [1.0, 2.0, 3.0])
    assert History(small(monitor="loss"), F1, table).best is table[0]


def test_the_selected_epoch_is_the_last_or_the_best():
    table = rows([0.1, 0.3, 0.2])
    assert History(small(), F1, table).selected is table[2]
    history = History(small(select="best"), F1, table)
    assert history.selected is table[1]
    assert history.scores == Scores(0.3, F1, {"accuracy": 0.5}, {"a": 0.25})


@pytest.mark.parametrize(
    "f1, patience, finished",
    [
        ([], 0, False),
        ([0.1, 0.2], 0, False),
        ([0.1, 0.2, 0.3, 0.4], 0, True),
        ([0.3, 0.2], 1, True),
        ([0.3, 0.2], 2, False),
        ([0.3, 0.2, 0.3], 2, True),
    ],
)
def test_training_ends_after_all_epochs_or_too_many_without_a_better_one(f1, patience, finished):
    assert History(small(epochs=4, patience=patience), F1, rows(f1)).finished == finished


def test_scores_go_into_a_row_and_come_back():
    for scores in (
        Scores(0.5, F1, {"accuracy": 0.6}),
        Scores(0.5, F1, {"accuracy": 0.6}, dict.fromkeys(["mask", "age"], 0.1)),
    ):
        assert scores_of({"epoch": 1} | scores_row(scores), F1) == scores
    tasks = {task.name: 0.5 for task in MASK.parts}
    assert list(scores_row(Scores(0.1, F1, {"accuracy": 0.2}, tasks)))[2:] == [
        f"val_f1_{name}" for name in tasks
    ]


def test_a_finished_fold_is_described_with_its_last_epoch():
    history = History(small(select="best"), F1, rows([0.1, 0.3, 0.2]))
    assert history.describe() == "epoch 2 of 3, macro-F1 0.300 (a 0.250); the last epoch 0.200"
    assert "last epoch" not in History(small(), F1, rows([0.1])).describe()


def test_less_is_better_where_the_metric_says_so():
    loss = find_metric("log_loss").named
    table = [{"epoch": n, "val_log_loss": value} for n, value in enumerate([0.3, 0.1, 0.2], 1)]
    assert History(small(), loss, table).best is table[1]
