"""What an ensemble is asked to be."""

import dataclasses

import pytest
from helpers import MASK, ensemble_arguments

from kit.blending.settings import EnsembleSettings, check_settings
from kit.ensemble import main
from kit.system.errors import KitError


def test_settings_are_frozen_and_plain():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EnsembleSettings().blend = "vote"


def test_fast_and_agree_say_what_they_cannot_do(copy, fails):
    root = ensemble_arguments(copy)
    assert "--fast: of a vote blend" in fails(main, *root, "--fast", "--blend", "vote")
    assert "allows 0 of 10 photos" in fails(main, *root, "--agree", ".998")
    assert "--agree 2: take a share" in fails(main, *root, "--agree", "2")
    assert "there is no view to score" in fails(main, *root, "--score-tta")
    assert "one of the three" in fails(main) and "one of the three" in fails(
        main, *root, "--check", "x.csv"
    )
    assert not (copy / "s.csv").exists()


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"score": False, "decision": "bias"}, "--no-score: a fitted blend or decision"),
        ({"score": False, "score_tta": True, "tta": "hflip"}, "--no-score"),
        ({"fast": True, "blend": "gmean"}, "of a gmean blend it cannot be told early"),
        ({"force_blend": True, "blend": "vote"}, "--force-blend: nothing is fitted"),
        ({"agree": 0.4}, "take a share from 0.5 to below 1"),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(KitError, match=said):
        check_settings(EnsembleSettings(**settings), MASK)


def test_what_is_recorded_makes_the_same_settings():
    settings = EnsembleSettings(tta="hflip", fast=True, agree=0.99)
    check_settings(settings, MASK)
    assert EnsembleSettings(**settings.describe()) == settings
    assert "allow_missing" not in settings.describe()
