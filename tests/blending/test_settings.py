"""What an ensemble is asked to be."""

import dataclasses

import pytest
from helpers import MASK, ensemble_arguments

from kit.blending.settings import EnsembleSettings, check_settings
from kit.competition import Competition
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
    assert "takes one of three" in fails(main) and "takes one of three" in fails(
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


def asked(metric, kind="classes", classes=3, answer="class"):
    names = tuple(map(str, range(classes)))
    return Competition(name="any", kind=kind, classes=names, metric=metric, answer=answer)


LABELS = asked("f1_samples", "labels", answer="list")
LOSS = asked("log_loss", answer="probabilities")
AUC = asked("roc_auc", "classes", 2, "probability")


@pytest.mark.parametrize(
    "competition, settings, said",
    [
        (LABELS, {"fast": True}, "--fast: decides one class a photo, and a photo may have several"),
        (LOSS, {"fast": True}, "--fast: decides classes, and a submission has probabilities"),
        (asked("quadratic_kappa", "order"), {"fast": True}, "--fast: .* is the expected one, cut"),
        (LOSS, {"blend": "vote"}, "--blend vote: decides answers, and log-loss scores prob"),
        (LOSS, {"blend": "rank"}, "--blend rank: gives ranks, .* log-loss needs them"),
        (
            asked("roc_auc", answer="probabilities"),
            {"blend": "rank"},
            "--blend rank: gives ranks, which do not sum to 1",
        ),
        (MASK, {"blend": "rank"}, "--blend rank: .* macro-F1 needs them"),
        (AUC, {"decision": "bias"}, "--decide bias: ROC AUC looks at the order of probabilities"),
        (asked(max), {"decision": "bias"}, "--decide bias: max is a function of probabilities"),
        (
            asked("accuracy", "labels", answer="list"),
            {"decision": "bias"},
            "--decide bias: nothing is fitted to accuracy of labels",
        ),
    ],
)
def test_settings_that_do_not_go_with_a_competition(competition, settings, said):
    with pytest.raises(KitError, match=said):
        check_settings(EnsembleSettings(**settings), competition)


@pytest.mark.parametrize(
    "competition, settings",
    [
        (LABELS, {"blend": "vote", "decision": "bias"}),
        (LABELS, {"blend": "gmean"}),
        (LOSS, {"blend": "weights", "decision": "bias"}),
        (AUC, {"blend": "rank"}),
        (asked("quadratic_kappa", "order"), {"blend": "greedy", "decision": "bias"}),
        (MASK, {"fast": True, "blend": "greedy", "decision": "bias"}),
    ],
)
def test_settings_that_go_with_a_competition(competition, settings):
    check_settings(EnsembleSettings(**settings), competition)
