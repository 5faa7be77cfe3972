"""What a person reads: a line a trial, the table, and the verdict with its reason."""

import dataclasses

import pytest

from kit.metrics.metric import find_metric
from kit.tuning.show import say_folds, say_time_left, say_trial, show_result
from kit.tuning.study import DONE, FAILED, PRUNED, Confirmation, Study, Trial

LOSS, ACCURACY = find_metric("log_loss").named, find_metric("accuracy").named
TRIALS = (
    Trial(0, {"lr": 0.1}, DONE, 0.5, ((0.6, 0.5),)),
    Trial(1, {"lr": 0.2}, DONE, 0.25, ((0.6, 0.25),)),
    Trial(2, {"lr": 0.4}, PRUNED, None, ((0.9,),), "on fold 0, epoch 2: worse than the median"),
    Trial(3, {"lr": 9.0}, FAILED, note="the loss is not finite; lower lr"),
)
CONFIRMED = Confirmation(
    1, (0.5, 0.375), 0.125, (0.0625, 0.25), 60.0, 0.01, (0.1, 0.15), (0.01, 0.3)
)


def study(**changes):
    fields = {
        "name": "a_tuned",
        "recipe": {"name": "a"},
        "plan": "",
        "metric": "log_loss",
        "space": (),
        "search_folds": (0,),
        "confirm_folds": (1, 2),
        "number": 4,
        "round": 1,
        "seed": 0,
        "prune": True,
        "trials": TRIALS,
        "confirmation": CONFIRMED,
    }
    return Study(**fields | changes)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_each_trial_is_a_line(capsys):
    for trial in TRIALS:
        say_trial(study(), trial, LOSS)
    assert lines(capsys) == [
        "trial   0 of 4  lr=0.1, as it is  log-loss 0.5000",
        "trial   1 of 4  lr=0.2  log-loss 0.2500  best so far",
        "trial   2 of 4  lr=0.4  pruned on fold 0, epoch 2: worse than the median",
        "trial   3 of 4  lr=9.0  failed (the loss is not finite)",
    ]


def test_the_time_left_counts_rounds_and_confirming_trainings(capsys):
    # Two rounds of two are left; two times three folds are confirmed, two at once.
    say_time_left(study(number=7, round=2, confirm_folds=(1, 2, 3)), 10.0, 2)
    assert lines(capsys) == ["about 20 s more for the trials, and 30 s to confirm the best one"]


def test_the_winner_s_curse_is_shown_beside_the_confirmed_gain(capsys):
    show_result(study(), LOSS, "people")
    shown = lines(capsys)
    assert shown[0] == "The best of 4 trials on fold 0, 1 pruned, 1 failed"
    assert [line.split()[0] for line in shown[2:4]] == ["1", "as"]
    assert "fold 0        0.5000   0.2500  +0.2500" in shown
    assert "folds 1, 2    0.5000   0.3750  +0.1250" in shown
    assert "gain +0.1250 by people: 95 % interval +0.0625 +0.2500, p 0.01" in shown
    assert shown[-1] == "take it: lr=0.2"


def test_more_is_better_of_an_accuracy(capsys):
    show_result(study(metric="accuracy"), ACCURACY, "people")
    assert lines(capsys)[2].startswith("as it is")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"interval": None, "groups": 7.0}, "too few people tell whether trial 1 is better"),
        ({"interval": (-0.01, 0.2)}, "the gain of trial 1 is not above chance"),
        ({"interval": (-0.2, 0.1), "gain": -0.01}, "trial 1 is not better on folds that nothing"),
        ({"folds_interval": (-0.1, 0.3)}, "no larger than trainings of one recipe may differ"),
    ],
)
def test_keep_what_you_have_says_why(capsys, changes, reason):
    confirmed = dataclasses.replace(CONFIRMED, **changes)
    show_result(study(confirmation=confirmed), LOSS, "people")
    last = lines(capsys)[-1]
    assert last.startswith("keep what you have: ") and reason in last


def test_nothing_is_confirmed_where_no_trial_is_better(capsys):
    show_result(study(trials=TRIALS[:1], confirmation=None), LOSS, "people")
    shown = lines(capsys)
    assert "these are all settings that there are; 4 trials were wanted" in shown
    assert shown[-1] == "keep what you have: no trial is better than the recipe on fold 0"


def test_folds_in_words():
    assert (say_folds([0]), say_folds([1, 2])) == ("fold 0", "folds 1, 2")
