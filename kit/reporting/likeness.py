"""How alike the answers of two files are: classes, lists of labels, or probabilities."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from kit.competition import Competition
from kit.scoring.agreement import correlation, excess_loss, jaccard, kappa

SHOWN: Final = 5  # flips of a pair, unless all are asked for
_DENSE: Final = 1024  # classes of which a table of all pairs is made
_CELLS: Final = 1 << 21  # probabilities of a file, photos x classes, that are compared at most


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
class LabelFlip:
    """How many photos have a label by the `first` file of a pair alone, and by the `second`."""

    label: int
    first: int
    second: int

    def describe(self) -> dict[str, int]:
        """The flip as JSON has it."""
        return {"label": self.label, "a": self.first, "b": self.second}


@dataclass(frozen=True)
class ClassLikeness:
    """How alike classes are.

    `agreement` is 0..1, and `kappa` Cohen's: agreement beyond that of chance, 1 at most. `differ`
    photos have another class, and `tasks` says how many of them have another answer to each task.
    `flips` are the most frequent ones, and `other_flips` is the number of kinds left out.
    """

    measure: ClassVar[str] = "kappa"
    agreement: float
    kappa: float
    differ: int
    tasks: dict[str, int]
    flips: list[Flip]
    other_flips: int

    @property
    def similarity(self) -> float:
        """The number by which files are most alike."""
        return self.kappa

    def numbers(self) -> dict[str, Any]:
        """The numbers by name."""
        values = {"agreement": self.agreement, "kappa": self.kappa, "differ": self.differ}
        return {**values, **self.tasks}

    def details(self) -> dict[str, Any]:
        """The flips."""
        flips = [flip.describe() for flip in self.flips]
        return {"flips": flips, "other_flips": self.other_flips}


@dataclass(frozen=True)
class ListLikeness:
    """How alike lists of labels are.

    `jaccard` is the mean share of labels in both of those in either. `agreement` is the share of
    photos with equal lists, and `differ` photos have others. `flips` are the labels that differ
    most often, and `other_flips` is the number of those left out.
    """

    measure: ClassVar[str] = "jaccard"
    jaccard: float
    agreement: float
    differ: int
    flips: list[LabelFlip]
    other_flips: int

    @property
    def similarity(self) -> float:
        """The number by which files are most alike."""
        return self.jaccard

    def numbers(self) -> dict[str, Any]:
        """The numbers by name."""
        return {"jaccard": self.jaccard, "agreement": self.agreement, "differ": self.differ}

    def details(self) -> dict[str, Any]:
        """The flips."""
        flips = [flip.describe() for flip in self.flips]
        return {"flips": flips, "other_flips": self.other_flips}


@dataclass(frozen=True)
class ProbLikeness:
    """How alike probabilities are.

    `correlation` is Pearson's and `rank_correlation` Spearman's, each the mean over classes, of two
    classes that of the second. `log_loss` is what one file has more of it than the other, if that
    is the truth, the mean of both ways. Files are most alike by ranks where the metric is one
    `of_ranks`.
    """

    correlation: float
    rank_correlation: float
    log_loss: float
    of_ranks: bool = False

    @property
    def measure(self) -> str:
        """The name of the number by which files are most alike."""
        return "rank_correlation" if self.of_ranks else "correlation"

    @property
    def similarity(self) -> float:
        """The number by which files are most alike."""
        return self.rank_correlation if self.of_ranks else self.correlation

    def numbers(self) -> dict[str, Any]:
        """The numbers by name."""
        return {
            "correlation": self.correlation,
            "rank_correlation": self.rank_correlation,
            "log_loss_between": self.log_loss,
        }

    def details(self) -> dict[str, Any]:
        """Nothing more."""
        return {}


Likeness = ClassLikeness | ListLikeness | ProbLikeness


def of_classes(
    a: np.ndarray, b: np.ndarray, competition: Competition, all_flips: bool = False
) -> ClassLikeness:
    """How alike classes (N,) are, with the most frequent flips, or `all_flips`."""
    n = competition.num_classes
    names, first, second = np.arange(n), a, b
    if n > _DENSE:  # a table of all pairs would be large: the classes that there are
        names, both = np.unique(np.concatenate([a, b]), return_inverse=True)
        n, first, second = len(names), both[: len(a)], both[len(a) :]
    table = np.bincount(first * n + second, minlength=n**2).reshape(n, n)
    flips = np.where(np.eye(n, dtype=bool), 0, table).ravel()
    kinds = int(np.count_nonzero(flips))
    number = kinds if all_flips else min(kinds, SHOWN)
    order = np.argsort(-flips, kind="stable")[:number].tolist()
    answers = zip(competition.parts, competition.decode(a), competition.decode(b))
    return ClassLikeness(
        float(np.trace(table) / len(a)),
        kappa(table),
        int(flips.sum()),
        {task.name: int((one != other).sum()) for task, one, other in answers},
        [Flip(int(names[f // n]), int(names[f % n]), int(flips[f])) for f in order],
        kinds - len(order),
    )


def of_lists(a: np.ndarray, b: np.ndarray, all_flips: bool = False) -> ListLikeness:
    """How alike labels (N, C) are, with those that differ most often, or `all_flips`."""
    first, second = ((x > y).sum(axis=0) for x, y in ((a, b), (b, a)))
    kinds = int(np.count_nonzero(first + second))
    number = kinds if all_flips else min(kinds, SHOWN)
    order = np.argsort(-(first + second), kind="stable")[:number].tolist()
    differ = int((a != b).any(axis=1).sum())
    flips = [LabelFlip(c, int(first[c]), int(second[c])) for c in order]
    return ListLikeness(
        jaccard(a, b), (len(a) - differ) / len(a), differ, flips, kinds - len(order)
    )


def of_probs(
    a: np.ndarray, b: np.ndarray, several: bool = False, of_ranks: bool = False
) -> ProbLikeness:
    """How alike probabilities (N, C) are; of `several` labels each is its own.

    Of more than two million probabilities it is of as many photos, drawn at random.
    """
    number = max(_CELLS // a.shape[1], 100)
    if len(a) > number:
        rows = np.sort(np.random.default_rng(0).permutation(len(a))[:number])
        a, b = a[rows], b[rows]
    columns = slice(1, None) if a.shape[1] == 2 and not several else slice(None)
    x, y = a[:, columns], b[:, columns]
    return ProbLikeness(
        correlation(x, y), correlation(x, y, of_ranks=True), excess_loss(a, b, several), of_ranks
    )
