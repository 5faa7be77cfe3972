"""The names of blends and decisions are those that rules are made by."""

import numpy as np
import pytest
from helpers import MASK

from kit.blending.choices import BLENDS, DECISIONS, FITTED, LINEAR
from kit.blending.rule import plain_rule, weighted
from kit.blending.settings import EnsembleSettings


@pytest.mark.parametrize("blend", [name for name in BLENDS if name != "rank"])
def test_only_linear_blends_are_weighted_sums(blend):
    members = np.random.default_rng(0).dirichlet(np.ones(18), (2, 50))
    rule = plain_rule(blend, 2, MASK)
    same = np.allclose(rule.probs(members), weighted(members, rule.weights))
    assert same == (blend in LINEAR)


def test_the_first_names_are_the_defaults():
    settings = EnsembleSettings()
    assert (settings.blend, settings.decision) == (next(iter(BLENDS)), next(iter(DECISIONS)))
    assert set(FITTED) < set(LINEAR) < set(BLENDS) and settings.blend not in FITTED
