"""What an ensemble is asked to be."""

import dataclasses

import pytest
from conftest import ensemble_arguments

from kit.blending.settings import EnsembleSettings
from kit.ensemble import main


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
