"""JSON as the types of a dataclass."""

import dataclasses
import math
from dataclasses import dataclass, field

import pytest

from kit.system.typed import from_json, is_plain, is_unicode, value_of


@dataclass(frozen=True)
class Part:
    """A part of a whole."""

    name: str
    pair: tuple[int, float] | None = None


@dataclass(frozen=True)
class Whole:
    """Every type that records have."""

    count: int
    share: float
    flag: bool
    parts: tuple[Part, ...] = ()
    folds: dict[int, float] = field(default_factory=dict)
    free: dict[str, object] = field(default_factory=dict)


GOOD = {"count": 1, "share": 2, "flag": False}


def test_an_object_becomes_the_dataclass_and_keeps_its_numbers():
    whole = from_json(Whole, GOOD | {"parts": [{"name": "a", "pair": [1, 2.5]}], "folds": {"3": 1}})
    assert whole == Whole(1, 2, False, (Part("a", (1, 2.5)),), {3: 1}, {})
    assert type(whole.share) is int and dataclasses.asdict(whole)["parts"] == (
        {"name": "a", "pair": (1, 2.5)},
    )
    assert from_json(Part, {"name": "a", "pair": None}) == Part("a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "None is no object"),
        ([], "is no object"),
        ({"count": 1, "share": 2}, "it has no flag"),
        (GOOD | {"more": 1}, "'more', which is not known"),
        (GOOD | {"count": True}, "count is True"),
        (GOOD | {"count": 1.0}, "count is 1.0"),
        (GOOD | {"count": 10**30}, "count is 1000"),
        (GOOD | {"share": math.nan}, "share is nan"),
        (GOOD | {"share": 10**400}, "share is 1000"),
        (GOOD | {"share": "1"}, "share is '1'"),
        (GOOD | {"flag": 1}, "flag is 1"),
        (GOOD | {"parts": {}}, "parts is {}"),
        (GOOD | {"parts": [3]}, "3 is no object"),
        (GOOD | {"parts": [{"name": "\ud800"}]}, "name is"),
        (GOOD | {"parts": [{"name": "a", "pair": [1]}]}, "pair is"),
        (GOOD | {"parts": [{"name": "a", "pair": "ab"}]}, "pair is"),
        (GOOD | {"folds": {"x": 1}}, "folds is 'x'"),
        (GOOD | {"folds": {"1": "x"}}, "is 'x'"),
        (GOOD | {"folds": []}, "folds is"),
    ],
)
def test_another_type_is_refused_by_the_field_s_name(content, said):
    with pytest.raises(ValueError, match=said):
        from_json(Whole, content)


def test_what_is_no_interval_is_refused():
    interval = tuple[float, float] | None
    assert value_of(interval, None) is None and value_of(interval, [0.1, 1]) == (0.1, 1)
    for wrong in ("x", [0.1], 3, [0.1, "x"], [True, 1]):
        with pytest.raises(ValueError, match="it.* is "):
            value_of(interval, wrong)


def test_plain_values_are_finite_and_not_too_deep():
    deep: object = 1
    for _ in range(30):
        deep = [deep]
    assert is_plain({"a": [1, 2.5, None, "x", True]})
    assert not any(map(is_plain, (deep, math.inf, {"a": math.nan}, {1.5: {print}}, print)))
    assert is_unicode("") and is_unicode("한글") and not is_unicode("\udcff")
    assert not is_unicode("x" * (10**6 + 1))
