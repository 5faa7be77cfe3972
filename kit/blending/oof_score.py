"""The out-of-fold score of an ensemble, as its record has it.

Each class is an object of the record's JSON. `describe` gives plain values, and the functions
`read_...` take them back; for anything else they raise one of `RECORD_ERRORS`, of which
`Record.read` makes one line.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, get_type_hints

from kit.metrics.metric import MetricName
from kit.scoring.bootstrap import Interval
from kit.scoring.metrics import Scores
from kit.system.typed import from_json, value_of

RECORD_ERRORS: Final = (KeyError, TypeError, AttributeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Candidate:
    """A blend and decision: its score `in_sample` and `nested`, and its gain over the mean.

    Nested is fitted without the groups that it decides. A gain is positive where it is better.
    """

    name: str
    in_sample: float
    nested: float
    interval: Interval | None
    gain: float
    gain_interval: Interval | None


@dataclass(frozen=True)
class GainTest:
    """The nested gain of what was asked for, over what would be used instead."""

    over: str
    gain: float
    interval: Interval | None


@dataclass(frozen=True)
class ClassScore:
    """The score of a class, and how many groups have it."""

    score: float
    interval: Interval | None
    groups: int


@dataclass(frozen=True)
class TaskScore:
    """The score of a task."""

    score: float
    interval: Interval | None


@dataclass(frozen=True)
class MemberScore:
    """A member alone: its score, log-loss, and the correlation of its errors with others'.

    `correlations` (M,) are those with each member, empty of many members, and `correlation` is
    their mean.
    """

    score: float
    interval: Interval | None
    log_loss: float
    correlations: tuple[float, ...]
    correlation: float


@dataclass(frozen=True)
class ViewGain:
    """The score of a view alone, and what it adds to the others."""

    alone: float
    adds: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class OofScore:
    """The out-of-fold score of an ensemble.

    `scores` are nested, with `interval`; `folds` has the score by fold. `asked` and `used` are the
    blend and the decision; `tested` is None where nothing is fitted, and `forced` is True if they
    are used without a gain above chance. `log_loss` is nested, at the temperature, and
    `mean_log_loss` that of the members' mean. The score of a class is called `class_title`. `draws`
    are bootstrap draws of the score, as one text. `views` is None unless views were scored.
    """

    photos: int
    groups: int
    effective: float
    scores: Scores
    class_title: str
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
        """The score as JSON has it, with the fields of `scores` among its own."""
        values = plain(asdict(self))
        scores = values.pop("scores")
        del scores["tasks"]  # they are among the tasks' own
        if values["views"] is None:
            del values["views"]
        return dict(scores | values)


def read_oof_score(content: Mapping[str, Any]) -> OofScore:
    """The score that `OofScore.describe` has recorded."""
    hints: Mapping[str, Any] = get_type_hints(OofScore)
    tasks = value_of(hints["tasks"], content["tasks"], "tasks")
    scores = Scores(
        value_of(float, content["score"], "score"),
        from_json(MetricName, content["metric"]),
        value_of(dict[str, float], content["metrics"], "metrics"),
        {name: task.score for name, task in tasks.items()},
    )
    return OofScore(
        **{name: value_of(hints[name], v, name) for name, v in content.items() if name in hints}
        | {"scores": scores}
    )


def plain(value: Any) -> Any:
    """A value with lists for tuples, as JSON has it when it is read back."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
