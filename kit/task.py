"""A question about a photo, a frozen `Task`; and the photos that answer it, `TrainingPhotos`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from kit.system.fields import Rule, are_texts, check_rules, is_text, is_whole_tuple

STRATUM: Final = "stratum "  # before a column of `strata` in a table of training photos
PLAN_COLUMNS: Final = ("image", "group", "label", "fold")


@dataclass(frozen=True)
class Task:
    """One question about a photo: its `name`, and its `classes` in order.

    `ordered` is True if the classes rise, such as grades. `column` names a column of numbers in the
    fold plan that the class is a range of, such as years; `edges` are then the first numbers of the
    second class, the third, and so on. `of_group` is True if all photos of a group have the same
    class.
    """

    name: str
    classes: tuple[str, ...]
    column: str = ""
    edges: tuple[int, ...] = ()
    of_group: bool = True
    ordered: bool = False

    def __post_init__(self) -> None:
        check_rules(f"task {self.name}", self, self._rules())
        if self.edges:
            object.__setattr__(self, "ordered", True)

    def _rules(self) -> Iterator[Rule]:
        yield "name", is_text(self.name), "a printable text"
        several = are_texts(self.classes) and len(self.classes) > 1
        yield "classes", several, "a tuple of two or more different printable texts"
        free = (self.column == "" or is_text(self.column)) and self.column not in PLAN_COLUMNS
        yield "column", free, f"a text other than {', '.join(PLAN_COLUMNS)}"
        edges = self.edges
        rising = is_whole_tuple(edges) and edges == tuple(sorted(set(edges)))
        of_classes = rising and len(edges) in (0, len(self.classes) - 1)
        yield "edges", of_classes, "() or rising whole numbers, one fewer than the classes"
        yield "column", not edges or self.column != "", "a column's name where there are edges"
        yield "of_group", isinstance(self.of_group, bool), "True or False"
        yield "ordered", isinstance(self.ordered, bool), "True or False"

    def class_of(self, numbers: np.ndarray, edges: Sequence[int] = ()) -> np.ndarray:
        """The classes of numbers (N,) by `edges`, by default the task's own: int64 (N,)."""
        return np.searchsorted(edges or self.edges, numbers, side="right").astype(np.int64)


def are_counted(classes: Sequence[str]) -> bool:
    """True if classes are called by their own numbers, `0`, `1` and so on, in order."""
    return all(name == str(c) for c, name in enumerate(classes))


@dataclass(frozen=True)
class TrainingPhotos:
    """A competition's training photos as a definition reads them.

    `table` has a row a photo: `image` (a path below the folder of training photos), `group`, a
    column of numbers for each task that has one, and `label` (0..C-1; of a competition of several
    labels a photo their numbers as a text, `0 13 51`). It may have `fold`, folds 0..K-1 that are
    taken as they are, and columns of texts to balance besides, whose names begin with `STRATUM`.
    `remarks` are lines for the user. `corrections` are the label fixes that were applied, `path,
    field, old, new` each.
    """

    table: pd.DataFrame
    remarks: list[str] = field(default_factory=list)
    corrections: list[dict[str, str]] = field(default_factory=list)
