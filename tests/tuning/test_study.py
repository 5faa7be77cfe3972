"""The record of a search: written and read again, refused where damaged or another's."""

import dataclasses
import json

import pytest

from kit.system.checksum import with_checksum
from kit.system.errors import KitError
from kit.tuning.study import (
    ASKED,
    DONE,
    FAILED,
    PRUNED,
    Confirmation,
    Study,
    Trial,
    check_same,
    read_study,
    study_path,
    write_study,
)

TRIALS = (
    Trial(0, {"lr": 0.1, "ema": None}, DONE, 0.5, ((0.25, 0.5),)),
    Trial(1, {"lr": 0.2, "ema": 0}, DONE, 0.75, ((0.5, 0.75),)),
    Trial(2, {"lr": 0.4, "ema": 0.9}, PRUNED, None, ((0.125,),), "epoch 1"),
    Trial(3, {"lr": 0.8, "ema": 0}, FAILED, note="not finite"),
    Trial(4, {"lr": 0.3, "ema": 0}),
)
CONFIRMED = Confirmation(
    1, (0.5, 0.625), 0.125, (0.0625, 0.25), 60.0, 0.01, (0.125, 0.1875), (0.01, 0.3)
)


def study(**changes):
    fields = {
        "name": "a_tuned",
        "recipe": {"name": "a", "lr": 0.1},
        "plan": "f" * 64,
        "metric": "accuracy",
        "space": ("lr=0.1..0.8",),
        "search_folds": (0,),
        "confirm_folds": (1, 2),
        "number": 6,
        "round": 2,
        "seed": 0,
        "prune": True,
        "trials": TRIALS,
    }
    return Study(**fields | changes)


@pytest.mark.parametrize("confirmation", [None, CONFIRMED])
def test_a_study_is_read_as_it_was_written(tmp_path, confirmation):
    written = study(confirmation=confirmation, published=True, replaces=True)
    write_study(tmp_path, written)
    assert read_study(tmp_path) == written
    write_study(tmp_path, read_study(tmp_path))
    assert read_study(tmp_path) == written


def damaged(content, **changes):
    return json.dumps(with_checksum(json.loads(content) | changes))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: damaged(text, trials=[{"number": 0}]),
        lambda text: damaged(text, trials=[dataclasses.asdict(TRIALS[1])]),
        lambda text: damaged(text, trials=[dataclasses.asdict(TRIALS[0]) | {"score": None}]),
        lambda text: damaged(text, trials=[dataclasses.asdict(TRIALS[0]) | {"state": "lost"}]),
        lambda text: damaged(text, confirmation={"trial": 1}),
        lambda text: damaged(text, confirmation=dataclasses.asdict(CONFIRMED) | {"trial": 9}),
        lambda text: damaged(text, confirmation=dataclasses.asdict(CONFIRMED) | {"interval": 1}),
        lambda text: damaged(
            text, confirmation=dataclasses.asdict(CONFIRMED) | {"folds_interval": ["0", None]}
        ),
        lambda text: damaged(text, more=1),
        lambda text: damaged(text, round=0),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, damage):
    write_study(tmp_path, study())
    path = study_path(tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(KitError, match="tune.json"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"recipe": {"name": "a", "lr": 0.2}}, "lr was 0.1, is 0.2"),
        ({"plan": "0" * 64}, "the fold plan was another"),
        ({"space": ("ema=0,0.9",)}, "--vary was lr=0.1..0.8, is ema=0,0.9"),
        ({"seed": 1}, "seed was 0, is 1"),
        ({"search_folds": (1,)}, "--search-folds was 0, is 1"),
        ({"prune": False}, "prune was True, is False"),
    ],
)
def test_another_search_is_refused_and_says_what_differs(tmp_path, changes, line):
    with pytest.raises(KitError, match=line) as error:
        check_same(tmp_path, study(), study(trials=(), **changes))
    assert "--force" in str(error.value)


def test_more_trials_are_welcome_until_the_winner_is_confirmed(tmp_path):
    check_same(tmp_path, study(), study(number=60))
    check_same(tmp_path, study(), study(round=7, replaces=True))  # both are as they were recorded
    with pytest.raises(KitError, match="--trials was 6, is 60"):
        check_same(tmp_path, study(confirmation=CONFIRMED), study(number=60))


def test_trials_are_counted_by_their_state_and_round():
    one = study()
    assert [trial.number for trial in one.asked] == [4]
    assert [trial.number for trial in one.done] == [0, 1]
    assert [[t.number for t in one.before_round(n)] for n in range(5)] == [[], [], [0, 1]] + [
        [0, 1]
    ] + [[0, 1, 2, 3]]
    now = one.ended(dataclasses.replace(TRIALS[4], state=DONE, score=0.1))
    assert now.trials[4].state == DONE and now.trials[:4] == TRIALS[:4] and one.trials == TRIALS


def test_the_best_trial_is_the_first_of_equals_whichever_way_the_metric_goes():
    equal = dataclasses.replace(TRIALS[1], score=0.5)
    assert study().best(1).number == 1 and study().best(-1).number == 0
    assert study(trials=(TRIALS[0], equal)).best(1).number == 0
    assert TRIALS[4].state == ASKED


def test_above_chance_means_other_photos_and_other_trainings():
    assert CONFIRMED.above_chance
    for change in ({"interval": None}, {"interval": (-0.01, 0.2)}, {"folds_interval": (0.0, 0.3)}):
        assert not dataclasses.replace(CONFIRMED, **change).above_chance
