"""Rules of fields: the first that is broken is told."""

from types import SimpleNamespace

import pytest

from kit.system.errors import KitError
from kit.system.fields import check_rules, choices, is_whole_tuple, numbers, whole_numbers


def broken(rules):
    """The fields whose rules are broken, and what they must be."""
    return {field: text for field, good, text in rules if not good}


def test_the_first_broken_rule_is_told():
    values = SimpleNamespace(a=1, b="x", c=None)
    check_rules("made.py", values, iter([("a", True, "one")]))
    with pytest.raises(KitError, match=r"^made.py: b='x' must be a number$"):
        rules = [("a", True, "one"), ("b", False, "a number"), ("c", False, "set")]
        check_rules("made.py", values, iter(rules))


def test_choices_suggest_what_was_meant():
    values = SimpleNamespace(loss="focl", head="tasks")
    table = {"loss": ("ce", "focal"), "head": ("classes", "tasks")}
    assert broken(choices(values, table)) == {"loss": "one of ce, focal (did you mean focal?)"}


@pytest.mark.parametrize(
    "value, good", [(1, True), (5, True), (0, False), (6, False), (2.0, False), (True, False)]
)
def test_whole_numbers_have_limits_and_are_no_truths(value, good):
    rules = list(whole_numbers(SimpleNamespace(n=value), {"n": (1, 5)}))
    assert rules == [("n", good, "a whole number from 1 to 5")]


@pytest.mark.parametrize(
    "value, of, above",
    [
        (0, True, False),
        (0.5, True, True),
        (1, True, True),
        (1.1, False, False),
        (-0.1, False, False),
        (float("nan"), False, False),
        ("1", False, False),
        (True, False, False),
    ],
)
def test_numbers_may_have_to_be_above_0(value, of, above):
    fields = SimpleNamespace(x=value)
    assert list(numbers(fields, {"x": 1.0}, [])) == [("x", of, "a number from 0 to 1")]
    assert list(numbers(fields, {"x": 1.0}, ["x"])) == [("x", above, "a number above 0 to 1")]


def test_tuples_of_whole_numbers():
    assert is_whole_tuple((1, 2)) and is_whole_tuple(()) and is_whole_tuple((3,), 3, 3)
    for value in ([1, 2], (1, 2.0), (True,), (-1,), (4,), None):
        assert not is_whole_tuple(value, 0, 3)
