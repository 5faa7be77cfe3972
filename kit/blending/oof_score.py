"""The out-of-fold score of an ensemble, as its record has it.

Each class is an object of the record's JSON. `describe` gives plain values, and the functions
`read_...` take them back; for anything else they raise one of `RECORD_ERRORS`, of which
`Record.read` makes one line.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from kit.scoring.bootstrap import Interval
from kit.scoring.metrics import METRICS, Scores

RECORD_ERRORS: Final = (KeyError, TypeError, AttributeError, ValueError, OverflowError)
T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A blend and decision: macro-F1 `in_sample` and `nested`, and the latter's gain over the mean.

    Nested is fitted without the groups that it decides.
    """

    name: str
    in_sample: float
    nested: float
    interval: Interval | None
    gain: float
    gain_interval: Interval | None


@dataclass(frozen=True)
class GainTest:
    """The nested gain in macro-F1 of what was asked for, over what would be used instead."""

    over: str
    gain: float
    interval: Interval | None


@dataclass(frozen=True)
class ClassScore:
    """F1 of a class, and how many groups have it."""

    f1: float
    interval: Interval | None
    groups: int


@dataclass(frozen=True)
class TaskScore:
    """Macro-F1 of a task."""

    f1: float
    interval: Interval | None


@dataclass(frozen=True)
class MemberScore:
    """A member alone: macro-F1, log-loss, and the correlation of its errors with others'.

    `correlations` (M,) are those with each member, empty of many members, and `correlation` is
    their mean.
    """

    f1: float
    interval: Interval | None
    log_loss: float
    correlations: tuple[float, ...]
    correlation: float


@dataclass(frozen=True)
class ViewGain:
    """Macro-F1 of a view alone, and what it adds to the others."""

    alone: float
    adds: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class OofScore:
    """The out-of-fold score of an ensemble.

    `scores` are nested, with `interval`; `folds` has macro-F1 by fold. `asked` and `used` are the
    blend and the decision; `tested` is None where nothing is fitted, and `forced` is True if they
    are used without a gain above chance. `log_loss` is nested, at the temperature, and
    `mean_log_loss` that of the members' mean. `draws` are bootstrap draws of macro-F1, as one text.
    `views` is None unless views were scored.
    """

    photos: int
    groups: int
    effective: float
    scores: Scores
    interval: Interval | None
    in_sample: float
    folds: dict[int, float]
    asked: tuple[str, str]
    used: tuple[str, str]
    tested: GainTest | None
    forced: bool
    candidates: tuple[Candidate, ...]
    log_loss: float
    mean_log_loss: float
    classes: tuple[ClassScore, ...]
    tasks: dict[str, TaskScore]
    true_counts: tuple[int, ...]
    predicted_counts: tuple[int, ...]
    rao_scott_correction: tuple[float, float]
    draws: str
    members: tuple[MemberScore, ...]
    views: dict[str, ViewGain] | None = None

    def describe(self) -> dict[str, Any]:
        """The score as JSON has it, with the fields of `scores` among its own.

        A task's score is in `tasks`, too, and is there alone if its name is that of a field.
        """
        values: dict[str, Any] = {}
        for name, value in plain(asdict(self)).items():
            if name == "scores":
                values |= {n: v for n, v in self.scores.describe().items() if n not in _fields()}
            elif name != "views" or value is not None:
                values[name] = value
        return values


def _fields() -> set[str]:
    """The names of the fields of a score."""
    return {field.name for field in fields(OofScore)}


def read_oof_score(content: Mapping[str, Any]) -> OofScore:
    """The score that `OofScore.describe` has recorded."""
    tasks = {name: TaskScore(**_checked(row)) for name, row in content["tasks"].items()}
    scores = Scores(
        read_number(content["f1"]),
        {name: read_number(content[name]) for name in METRICS if name in content},
        {name: read_number(task.f1) for name, task in tasks.items()},
    )
    values = {name: value for name, value in content.items() if name in _fields()}
    tested, views = content["tested"], content.get("views")
    return OofScore(
        **_checked(values)
        | {
            "scores": scores,
            "folds": {int(k): read_number(f1) for k, f1 in content["folds"].items()},
            "tested": None if tested is None else GainTest(**_checked(tested)),
            "candidates": _rows(Candidate, content["candidates"]),
            "classes": _rows(ClassScore, content["classes"]),
            "members": _rows(MemberScore, content["members"]),
            "tasks": tasks,
            "views": views and {name: ViewGain(**_checked(row)) for name, row in views.items()},
        }
    )


def plain(value: Any) -> Any:
    """A value with lists for tuples, as JSON has it when it is read back."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_interval(value: Any) -> Interval | None:
    """An interval of a record."""
    if value is None:
        return None
    low, high = value
    return read_number(low), read_number(high)


# What numbers a record has by name, wherever they are in it.
_NUMBERS: Final = (
    "f1",
    "gain",
    "in_sample",
    "nested",
    "log_loss",
    "mean_log_loss",
    "correlation",
    "alone",
    "adds",
    "effective",
    "photos",
    "groups",
)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an object, checked by their names: numbers and intervals; tuples for lists."""
    checked = {}
    for name, value in values.items():
        if name.endswith("interval"):
            checked[name] = read_interval(value)
        elif name in _NUMBERS:
            checked[name] = read_number(value)
        elif name == "correlations":
            checked[name] = tuple(read_number(r) for r in value)
        else:
            checked[name] = tuple(value) if isinstance(value, list) else value
    return checked


def read_number(value: Any) -> Any:
    """A number of a record, which is finite."""
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not whole or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return value


def _rows(kind: Callable[..., T], rows: Any) -> tuple[T, ...]:
    """The objects of a list."""
    return tuple(kind(**_checked(row)) for row in rows)
