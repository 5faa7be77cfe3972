"""The text of a definition, a comment a line."""

import json
from typing import Any, Final

from kit.starting.guess import Guess, Line
from kit.system.errors import escaped

_WIDTH: Final = 100
_SKIPPED: Final = {"kind": "classes", "group": "photo"}  # what a definition need not say


def definition_text(guess: Guess) -> str:
    """A Python file with a variable `competition`, and what is unsure as comments."""
    lines = [
        '"""What is to be predicted, as `python -m kit.start` found it. Look at every line."""',
        "",
        "from kit.competition import Competition",
        "",
    ]
    for text in guess.unsure:
        lines += _comment(f"Unsure: {text}")
    lines.append("competition = Competition(")
    for line in guess.lines:
        if _SKIPPED.get(line.field) != line.value:
            lines += _field(line)
    return "\n".join([*lines, ")", ""])


def _field(line: Line) -> list[str]:
    """A field with its comment, behind it where there is room, else above."""
    code, why = f"    {line.field}={literal(line.value)},", escaped(" ".join(line.why.split()))
    if len(code) + len(why) + 4 <= _WIDTH:
        return [f"{code}  # {why}"]
    if len(code) > _WIDTH and isinstance(line.value, tuple):
        values = [f"        {literal(value)}," for value in line.value]
        code = "\n".join([f"    {line.field}=(", *values, "    ),"])
    return [*_comment(why, "    "), code]


def _comment(text: str, indent: str = "") -> list[str]:
    """A comment, broken into lines."""
    lines = [f"{indent}#"]
    for word in escaped(" ".join(text.split())).split():
        if len(lines[-1]) + len(word) + 1 > _WIDTH:
            lines.append(f"{indent}#  ")
        lines[-1] += f" {word}"
    return lines


def literal(value: Any) -> str:
    """A value as Python writes it, with double quotes."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    raw = isinstance(value, str) and "\\" in value and '"' not in value
    if raw and value.isprintable() and not value.endswith("\\"):
        return f'r"{value}"'
    # A file that is run shows each character as what it is, none of which turns a line around.
    quoted = isinstance(value, str) and value.isprintable()
    return json.dumps(value, ensure_ascii=False) if quoted else repr(value)
