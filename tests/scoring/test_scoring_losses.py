"""Losses of log-probabilities by hand; `training/test_losses.py` tests those of whole batches."""

import math

import pytest
import torch

from kit.recipe import CHOICES
from kit.scoring.losses import LOSSES, LossTerms

TRUTH = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
LOGS = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).log()


def terms(gamma=2.0, margins=(0.0, 0.0, 0.0), goal=TRUTH, smoothing=0.0):
    return LossTerms(TRUTH, goal, torch.ones(3), torch.tensor(margins), smoothing, gamma)


def value(name, **changes):
    return float(LOSSES[name].value(LOGS, terms(**changes)))


def test_the_losses_of_two_photos_by_hand():
    assert value("ce") == pytest.approx(-math.log(0.5) - math.log(0.8))
    assert value("focal") == pytest.approx(-0.25 * math.log(0.5) - 0.04 * math.log(0.8))
    # The soft F1 of the two classes that are there: 2 p / (all of the class + 1).
    assert value("f1") == pytest.approx(1 - (2 * 0.5 / 1.6 + 2 * 0.8 / 2.05) / 2)


def test_a_margin_lowers_the_logit_of_the_true_class():
    assert value("ldam") == pytest.approx(value("ce"), rel=1e-5)
    lowered = [0.5 / math.e / (0.5 / math.e + 0.5), 0.8 / math.e / (0.8 / math.e + 0.2)]
    margins = (1.0, 1.0, 1.0)
    assert value("ldam", margins=margins) == pytest.approx(-sum(map(math.log, lowered)), rel=1e-5)


def test_without_gamma_focal_is_cross_entropy_and_weights_multiply():
    assert value("focal", gamma=0.0) == pytest.approx(value("ce"))
    for name in ("ce", "focal"):
        assert value(name, goal=3 * TRUTH) == pytest.approx(3 * value(name))


def test_recipes_name_these_losses_and_which_need_a_whole_batch_or_cosines():
    assert set(LOSSES) == set(CHOICES["loss"])
    assert [name for name, kind in LOSSES.items() if kind.whole_batch] == ["f1"]
    assert [name for name, kind in LOSSES.items() if kind.cosine] == ["ldam"]


def test_the_losses_of_labels_by_hand():
    truth = torch.tensor([[1.0, 0]])
    logits = torch.tensor([[0.0, math.log(3)]])  # probabilities of 1/2 and 3/4
    of = LossTerms(truth, truth, torch.ones(2), torch.zeros(2), 0.0, 2.0)
    found = {n: float(kind.of_labels(logits, of)) for n, kind in LOSSES.items() if kind.of_labels}
    assert found["ce"] == found["bce"] == pytest.approx(-math.log(0.5) - math.log(0.25))
    assert found["focal"] == pytest.approx(-0.25 * math.log(0.5) - 0.75**2 * math.log(0.25))
    # The second label's probability is lowered by .05, to .7.
    assert found["asl"] == pytest.approx(-0.5 * math.log(0.5) - 0.7**4 * math.log(0.3), rel=1e-5)
    assert found["f1"] == pytest.approx(1 - 2 * 0.5 / 1.5)  # of the label that is there
    assert {name for name, kind in LOSSES.items() if kind.value is None} == {"bce", "asl"}
