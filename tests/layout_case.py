"""A layout of a real competition: its definition as a person writes it, and a tiny drawing."""

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout

SIZE: Final = (24, 32)


@dataclasses.dataclass(frozen=True)
class Case:
    """A competition: the fields of its definition, its drawing, and the groups that are drawn."""

    fields: Mapping[str, Any]
    layout: Layout
    groups: int = 12

    @property
    def competition(self) -> Competition:
        """The definition."""
        return Competition(**self.fields)

    def draw(self, out: Path, seed: int = 0) -> Path:
        """Draw a data set of it."""
        return self.layout.draw(
            self.competition, out, self.groups, max(2, self.groups // 4), seed, False
        )

    def write(self, path: Path, **more: Any) -> None:
        """Write the definition as a file."""
        fields = {**self.fields, **more}
        lines = [f"    {name}={value!r}," for name, value in fields.items()]
        text = "\n".join(
            ["from kit.competition import Competition", "", "competition = Competition("]
        )
        path.write_text("\n".join([text, *lines, ")", ""]), encoding="utf-8")


def shipped(name: str, groups: int = 12, **changes: Any) -> Case:
    """The case of a shipped definition."""
    module = importlib.import_module(f"kit.competitions.{name}")
    written = {
        field.name: value
        for field in dataclasses.fields(Competition)
        if field.name not in ("draw", "groups")
        and (value := getattr(module.competition, field.name))
        != getattr(Competition(name="x"), field.name)
    }
    return Case(written, dataclasses.replace(module.LAYOUT, size=SIZE, **changes), groups)


def case(fields: dict[str, Any], layout: dict[str, Any], groups: int = 12) -> Case:
    """The case of a definition, and of a tiny drawing."""
    return Case(fields, Layout(**{"size": SIZE, **layout}), groups)
