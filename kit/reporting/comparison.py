"""Submissions, or runs, compared with each other and with the truth: a `Comparison`."""

from dataclasses import dataclass
from typing import Any

from kit.competition import Competition
from kit.reporting.likeness import Likeness
from kit.scoring.bootstrap import Interval
from kit.scoring.metrics import Scores


@dataclass(frozen=True)
class Gain:
    """How much better a pair's second file scores than its first, and whether it may be chance.

    `value` is positive where it is better, whichever way the metric goes. `interval` is the 95 %
    one, None where it would rest on too few groups; `p` is that of a paired permutation test.
    """

    value: float
    interval: Interval | None
    p: float

    def describe(self) -> dict[str, Any]:
        """The gain as JSON has it."""
        return {"gain": self.value, "gain_interval": _plain(self.interval), "p": self.p}


@dataclass(frozen=True)
class Pair:
    """How alike two files, `a` and `b`, are on their `photos`.

    `gain` is None if the truth is not known, or files are many.
    """

    a: str
    b: str
    photos: int
    likeness: Likeness
    gain: Gain | None = None

    def describe(self) -> dict[str, Any]:
        """The pair as JSON has it."""
        return {
            "a": self.a,
            "b": self.b,
            "photos": self.photos,
            **self.likeness.numbers(),
            **(self.gain.describe() if self.gain else {}),
            **self.likeness.details(),
        }


@dataclass(frozen=True)
class OofCounts:
    """The class `counts` (C,) of a file's out-of-fold predictions, by the record beside it.

    `p` is how likely counts that differ as much as the file's are by chance, and `scale` is the
    number of the file's photos over that of the counted ones.
    """

    counts: list[int]
    p: float
    scale: float


@dataclass(frozen=True)
class ComparedFile:
    """A file's class `counts` (C,); its scores and their interval where the truth is known.

    Of probabilities it has their `means` (C,) instead.
    """

    counts: list[int]
    scores: Scores | None = None
    interval: Interval | None = None
    oof: OofCounts | None = None
    means: list[float] | None = None

    def describe(self) -> dict[str, Any]:
        """The file as JSON has it."""
        file: dict[str, Any] = {"counts": self.counts}
        if self.means is not None:
            file = {"means": self.means}
        if self.scores is not None:
            file |= {"scores": self.scores.describe(), "interval": _plain(self.interval)}
        if self.oof is not None:
            file |= {"oof_counts": self.oof.counts, "oof_p": self.oof.p}
        return file


@dataclass(frozen=True)
class Truth:
    """The true classes that files are scored against: `counts` (C,), and what intervals rest on.

    `by` is the competition's word for groups, or `photos` where groups are not known, which makes
    intervals too narrow. `effective` is the number of them that the intervals rest on.
    """

    by: str
    effective: float
    counts: list[int]

    def describe(self) -> dict[str, Any]:
        """The truth as JSON has it."""
        return {"by": self.by, "effective": self.effective, "true_counts": self.counts}


@dataclass(frozen=True)
class Comparison:
    """Files by name, compared with each other, and with the truth where it is known.

    `order` has the names, similar ones side by side. `apart` are the files that are strong and
    least alike (`agreement.most_diverse`). `chosen_on_fold` are the names of runs whose epochs were
    chosen on the fold that they are scored on; None of files.
    """

    competition: Competition
    files: dict[str, ComparedFile]
    order: list[str]
    pairs: list[Pair]
    apart: list[dict[str, Any]] | None
    truth: Truth | None = None
    chosen_on_fold: list[str] | None = None

    def describe(self) -> dict[str, Any]:
        """The comparison as `kit.compare --json` prints it."""
        result: dict[str, Any] = {
            "files": {name: file.describe() for name, file in self.files.items()},
            "order": self.order,
            "pairs": [pair.describe() for pair in self.pairs],
            **(self.truth.describe() if self.truth else {}),
            "apart": self.apart,
        }
        if self.chosen_on_fold is not None:
            result["chosen_on_fold"] = self.chosen_on_fold
        return result


def _plain(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None
