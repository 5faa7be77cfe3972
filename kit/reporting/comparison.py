"""Submissions, or runs, compared with each other and with the truth: a `Comparison`."""

from dataclasses import dataclass
from typing import Any

from kit.competition import Competition
from kit.scoring.bootstrap import Interval
from kit.scoring.metrics import Scores


@dataclass(frozen=True)
class Flip:
    """How many photos the first file of a pair has in class `before` and the second in `after`."""

    before: int
    after: int
    photos: int

    def describe(self) -> dict[str, int]:
        """The flip as JSON has it."""
        return {"from": self.before, "to": self.after, "photos": self.photos}


@dataclass(frozen=True)
class Gain:
    """Macro-F1 of a pair's second file over that of its first, and whether it may be chance.

    `interval` is the 95 % one, None where it would rest on too few groups; `p` is that of a paired
    permutation test.
    """

    f1: float
    interval: Interval | None
    p: float

    def describe(self) -> dict[str, Any]:
        """The gain as JSON has it."""
        return {"gain": self.f1, "gain_interval": _plain(self.interval), "p": self.p}


@dataclass(frozen=True)
class Pair:
    """The agreement of two files, `a` and `b`, on their `photos`.

    `agreement` is 0..1, and `kappa` Cohen's: agreement beyond that of chance, 1 at most. `differ`
    photos have another class, and `tasks` says how many of them have another answer to each task.
    `flips` are the most frequent ones, and `other_flips` is the number of kinds left out. `gain` is
    None if the truth is not known, or files are many.
    """

    a: str
    b: str
    photos: int
    agreement: float
    kappa: float
    differ: int
    tasks: dict[str, int]
    flips: list[Flip]
    other_flips: int
    gain: Gain | None = None

    def describe(self) -> dict[str, Any]:
        """The pair as JSON has it."""
        return {
            "a": self.a,
            "b": self.b,
            "photos": self.photos,
            "agreement": self.agreement,
            "kappa": self.kappa,
            "differ": self.differ,
            **self.tasks,
            **(self.gain.describe() if self.gain else {}),
            "flips": [flip.describe() for flip in self.flips],
            "other_flips": self.other_flips,
        }


@dataclass(frozen=True)
class OofCounts:
    """The class `counts` (C,) of a file's out-of-fold predictions, by the record beside it.

    `p` is how likely counts that differ as much as the file's are by chance.
    """

    counts: list[int]
    p: float


@dataclass(frozen=True)
class ComparedFile:
    """A file's class `counts` (C,); its scores and their interval where the truth is known."""

    counts: list[int]
    scores: Scores | None = None
    interval: Interval | None = None
    oof: OofCounts | None = None

    def describe(self) -> dict[str, Any]:
        """The file as JSON has it."""
        file: dict[str, Any] = {"counts": self.counts}
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
