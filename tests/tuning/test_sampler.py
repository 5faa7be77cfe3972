"""The settings that are proposed: new ones, by the trials so far, the same every time."""

import importlib

import numpy as np
import pytest
from helpers import MASK, small

from kit.system.errors import KitError
from kit.tuning.sampler import load_optuna, propose
from kit.tuning.space import read_space
from kit.tuning.study import DONE, FAILED, PRUNED, Trial

pytest.importorskip("optuna")


def space(*texts):
    return read_space(texts, small(), MASK)


def told(settings, scores, first=1):
    return [
        Trial(n, one, DONE, float(score), ((float(score),),))
        for n, (one, score) in enumerate(zip(settings, scores), first)
    ]


def proposals(place, number, sign=1, seed=0, score=lambda s: 0.0):
    trials = []
    for n in range(1, number + 1):
        settings = propose(place, seed, n, trials, trials, sign)
        if settings is None:
            break
        trials += told([settings], [score(settings)], n)
    return [trial.settings for trial in trials]


def test_proposals_depend_on_seed_number_and_trials_alone():
    place = space("lr=1e-4..1e-1:log", "drop_rate=0,.2,.4")
    first = proposals(place, 14, score=lambda s: -s["lr"])
    assert first == proposals(place, 14, score=lambda s: -s["lr"])
    assert first != proposals(place, 14, seed=1, score=lambda s: -s["lr"])
    assert all(place.has(settings) and place.suits(settings) for settings in first)


@pytest.mark.parametrize("sign", [1, -1])
def test_later_proposals_are_drawn_to_what_scored_well(sign):
    """The best learning rate is .01, whichever way the metric goes."""
    place = space("lr=1e-5..1:log")

    def apart(settings):
        return abs(np.log10(settings["lr"]) + 2)

    settings = proposals(place, 40, sign, score=lambda s: -sign * apart(s))
    assert np.mean([*map(apart, settings[20:])]) < 0.9  # random ones: 1.3, give or take .2


def test_nothing_is_proposed_twice_and_the_end_of_a_space_is_seen():
    place = space("drop_rate=0,.2,.4", "optimizer=adam,sgd")
    settings = proposals(place, 20)
    assert len(settings) == 6 and len({str(one) for one in settings}) == 6


def test_settings_that_do_not_suit_each_other_are_not_proposed():
    place = space("warmup=1,2", "epochs=1,2")
    assert sorted(map(str, proposals(place, 20))) == sorted(
        map(
            str,
            [{"warmup": 1, "epochs": 1}, {"warmup": 1, "epochs": 2}, {"warmup": 2, "epochs": 2}],
        )
    )


def test_pruned_failed_and_outside_trials_are_taken_for_what_they_are():
    place = space("lr=1e-4..1e-1:log")
    trials = told([{"lr": 10.0}], [1.0], 0) + told([{"lr": 10.0**-n} for n in (2, 3)], [0.5, 0.4])
    trials += [Trial(3, {"lr": 0.05}, FAILED), Trial(4, {"lr": 0.06}, PRUNED, None, ((0.1, 0.2),))]
    assert place.has(propose(place, 0, 5, trials, trials, 1))


def test_without_optuna_the_line_says_how_to_install_it(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(KitError, match=r"pip install 'kfold-kit\[tune\]'"):
        load_optuna()
