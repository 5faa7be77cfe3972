"""The text of a definition."""

import pytest

from kit.starting.guess import Guess, Line
from kit.starting.write import definition_text, literal

LONG = tuple(f"a column with a long name {n}" for n in range(12))
LINES = (
    Line("name", 'the "data"', "the folder"),
    Line("train", "train/*/*.png", "no table"),
    Line("target_pattern", r"([a-z]+)\.[0-9]+$", "beginnings of names"),
    Line("kind", "classes", "one class"),
    Line("group", "photo", "nothing\nelse"),
    Line("target", LONG, "a reason of many words " * 9),
    Line("mirror", {}, "classes that a mirror swaps"),
)


def test_the_text_gives_the_fields_back_with_a_comment_each():
    text = definition_text(Guess(LINES, ("metric: " + "look it up " * 20,)))
    scope: dict[str, object] = {}
    exec(text.replace("from kit.competition import Competition", "Competition = dict"), scope)
    given = {line.field: line.value for line in LINES if line.field not in ("kind", "group")}
    assert scope["competition"] == given
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100 and "# Unsure: metric: look it up" in text
    for field in given:
        (n,) = [n for n, line in enumerate(lines) if line.startswith(f"    {field}=")]
        assert "  # " in lines[n] or lines[n - 1].lstrip().startswith("#")


@pytest.mark.parametrize(
    "value", ["a", 'a "b"', r"\d+", "a\\", "\\\n", "가", ("a",), ("a", "b"), (), {}, None]
)
def test_a_literal_is_the_value(value):
    assert eval(literal(value)) == value
