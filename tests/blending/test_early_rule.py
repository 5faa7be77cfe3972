"""How photos are decided early."""

import numpy as np
import pytest
from helpers import everywhere
from networks import blocks_of

import kit.blending.margins
from kit.blending.early_rule import EarlyPolicy, early_rule, pass_order
from kit.blending.rule import uniform_rule
from kit.inference import photo_set

RULE = uniform_rule("mean", 1, 18)


def test_in_fp32_no_sample_is_needed(world):
    blocks = blocks_of(world, world.runs / "small")
    early = early_rule(blocks, RULE, EarlyPolicy([0.0]), None)
    assert early.slack == 0 and early.agree is None and early.probs.shape == (6, 0, 18)
    assert early.margins.after.tolist() == [1.0] * 5 and blocks.networks.computed == 0


def test_a_sample_tells_the_margins_and_its_parts_are_numbered_anew(copy, world, monkeypatch):
    monkeypatch.setattr(photo_set, "BLOCK", 4)
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    blocks = blocks_of(world, copy / "runs" / "small")
    early = early_rule(blocks, RULE, EarlyPolicy([0.0], 0.7), None)
    assert early.probs.shape == (6, 7, 18) and early.agree.sample == 7
    part = early.part(slice(4, 10))
    inside = [row for row in early.rows.tolist() if row >= 4]
    assert (part.rows + 4).tolist() == inside == (part.margins.sample + 4).tolist()
    assert (part.probs == early.probs[:, [early.rows.tolist().index(r) for r in inside]]).all()
    # A second time nothing runs, whether photos were kept each for itself or with their block.
    again = blocks_of(world, copy / "runs" / "small")
    assert (early_rule(again, RULE, EarlyPolicy([0.0], 0.7), None).probs == early.probs).all()
    assert again.networks.computed == 0


@pytest.mark.parametrize("agree", [None, 0.7])
def test_known_passes_come_first_but_for_agree(world, agree):
    blocks = blocks_of(world, world.runs / "small")
    policy, known = EarlyPolicy([0.0], agree), np.arange(6) == 4
    assert pass_order(blocks, policy) == [0, 1, 2, 3, 4, 5]
    first = [4, 0, 1, 2, 3, 5] if agree is None else [0, 1, 2, 3, 4, 5]
    assert pass_order(blocks, policy, known) == first
