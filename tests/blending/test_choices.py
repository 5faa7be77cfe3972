"""The names of blends and decisions."""

from kit.blending.choices import BLENDS, DECISIONS, FITTED, LINEAR
from kit.ensemble import build_parser


def test_every_blend_and_decision_is_a_choice_of_the_command_that_its_help_explains():
    options = {option.dest: option for option in build_parser()._actions}
    assert list(options["blend"].choices) == list(BLENDS)
    assert list(options["decision"].choices) == list(DECISIONS)
    assert set(FITTED) < set(LINEAR) < set(BLENDS)
