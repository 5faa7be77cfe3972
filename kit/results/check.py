"""What is wrong with a submission, and what is unusual about it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.data.targets import targets
from kit.metrics.metric import metric_of
from kit.results import leaderboard
from kit.results.answers import Answers, read_answers
from kit.results.record_file import check_record, is_replaceable, read_record
from kit.results.submission import SAME, read_submission
from kit.results.unfinished import is_unfinished
from kit.scoring.class_counts import Expected, class_counts, distribution_p, rao_scott_correction
from kit.system.disk import check_output
from kit.system.errors import KitError, problem

_FAR = 0.001  # the p of a chi-square below which class counts are strange


def check_place(out: Path, inputs: Iterable[Path], force: bool, command: str = "") -> None:
    """Raise `KitError` unless a submission may be written to `out`, and its record beside it.

    A record alone that is of the same `command` line is of one that was killed, and is replaced.
    """
    if out.name == leaderboard.NAME:
        what = "is no name for a submission, but the leaderboard log's"
        raise problem(out, what, remedy="choose another --out")
    record, inputs = out.with_suffix(".json"), list(inputs)
    check_output(out, "a submission", suffixes=(".csv",), inputs=inputs, force=force)
    check_output(record, inputs=inputs, force=force or is_unfinished(out, command))
    if record.exists() and not is_replaceable(record):
        what = "is no record of a submission, and would be replaced by one"
        raise problem(record, what, remedy="delete it, or choose another --out")


def paired_draws(rows: Sequence[leaderboard.BoardRow], folder: Path) -> np.ndarray | None:
    """The bootstrap draws (submissions, draws) of out-of-fold scores that records hold.

    `rows` are those of the submissions in the leaderboard log of a `folder`. None unless all draws
    are paired, that is, of the same photos of one fold plan: then each draw takes the same groups.
    """
    draws, photos = [], []
    for row in rows:
        try:
            record = read_record(folder / row.submission) or {}
            oof = record["oof"]
            of = (record["plan"], oof["photos"], oof["groups"], sorted(oof["folds"]))
            photos.append((row.sha256 == record["sha256"], *of))
            draws.append([float(value) for value in oof["draws"].split()])
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
    same = bool(photos) and photos[0][0] and all(other == photos[0] for other in photos)
    if not same or len({len(values) for values in draws}) > 1:
        return None
    table = np.array(draws)
    return table if table.size and np.isfinite(table).all() else None


def expected_counts(path: Path, plan: Plan | None, competition: Competition) -> Expected | None:
    """The class counts that a submission's are compared with.

    They are its record's out-of-fold counts, or, without a record, the plan's labels. Probabilities
    are compared with the true counts, and only where log-loss holds them to be calibrated.
    """
    decided, classes = competition.decided, competition.num_classes
    if not decided and metric_of(competition).name != "log_loss":
        return None
    try:
        oof = (read_record(path) or {})["oof"]
        scale, freedom = oof["rao_scott_correction"]
        photos = int(oof["photos"]) if competition.several_labels else 0
        counts = np.array(oof["predicted_counts" if decided else "true_counts"])
        if counts.shape != (classes,) or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise ValueError(f"{len(counts)} classes")
        if photos < 0 or not counts.any() or not all(0 <= x < np.inf for x in (scale, freedom)):
            raise ValueError("numbers that no record has")
        correction = float(scale), float(freedom)
        source = "the out-of-fold predictions" if decided else "the training labels"
        return Expected(counts, correction, source, photos)
    except (KeyError, TypeError, ValueError, OverflowError):
        if plan is None:
            return None
    labels, groups = targets(plan.photos, competition), plan.photos["group"].to_numpy()
    correction = rao_scott_correction(labels, groups, classes)
    photos = len(labels) * competition.several_labels
    return Expected(class_counts(labels, classes), correction, "the training labels", photos)


def count_answers(answers: Answers, competition: Competition) -> np.ndarray:
    """How many of the rows have each class, (C,); of probabilities their sums."""
    if answers.probs is not None and not competition.decided:
        return np.asarray(answers.probs.sum(axis=0, dtype=np.float64))
    return class_counts(answers.classes, competition.num_classes)


def check_submission(path: Path, data: DataFolder, expected: Expected | None) -> list[str]:
    """Check a submission as the competition will; warnings for the user.

    They are of absent classes, empty answers, unusual counts and an equal file. Raises `KitError`
    if ids, order or classes are not those that the competition wants, or the record beside it is
    another's.
    """
    competition = data.competition
    check_record(path)
    answers = read_submission(path, data)
    if competition.decided:
        warnings = _absent(
            path, class_counts(answers.classes, competition.num_classes), competition
        )
        warnings += _empty(path, answers) if competition.several_labels else []
    else:
        warnings = _constant(path, answers, competition)
    if expected is not None:
        warnings += _strange(path, answers, expected, competition)
    others = [p for p in sorted(path.parent.glob("*.csv")) if p.resolve() != path.resolve()]
    equal = [other for other in others if _same(other, answers, competition)]
    if equal:
        more = f", and {len(equal) - 1} more" * (len(equal) > 1)
        warnings.append(f"{path}: is the same submission as {equal[0]}{more}")
    return warnings


def _absent(path: Path, counts: np.ndarray, competition: Competition) -> list[str]:
    """A warning of the classes that no photo has, if there are any."""
    absent = [competition.class_names[c] for c in np.flatnonzero(counts == 0)]
    if not absent:
        return []
    which = "the class" if len(absent) == 1 else f"any of {len(absent)} classes"
    names = f"{', '.join(absent[:3])}{', ...' * (len(absent) > 3)}"
    zero = ""
    if metric_of(competition).averaged:
        zero = f", whose {metric_of(competition).class_title} is 0 then"
    return [f"{path}: no photo has {which} ({names}){zero}"]


def _empty(path: Path, answers: Answers) -> list[str]:
    """A warning of the rows without any label, if most are."""
    empty = int((~answers.classes.any(axis=1)).sum())
    if 2 * empty <= len(answers.ids):
        return []
    remedy = "kit.ensemble --decide bias fits the labels' thresholds"
    rows = f"{empty:,} of {len(answers.ids):,} rows have no label"
    return [f"{path}: {rows}, which some sites refuse; {remedy}"]


def _constant(path: Path, answers: Answers, competition: Competition) -> list[str]:
    """A warning of the classes that all photos have the same probability of, if there are any."""
    if answers.probs is None or len(answers.probs) < 2:
        return []
    names = [competition.class_names[c] for c in np.flatnonzero(np.ptp(answers.probs, axis=0) == 0)]
    if not names:
        return []
    which = "a class" if len(names) == 1 else f"{len(names)} classes"
    shown = f"{', '.join(names[:3])}{', ...' * (len(names) > 3)}"
    return [f"{path}: all photos have the same probability of {which} ({shown})"]


def _strange(
    path: Path, answers: Answers, expected: Expected, competition: Competition
) -> list[str]:
    """A warning of class counts that chance does not explain."""
    counts, photos = count_answers(answers, competition), len(answers.ids)
    p = distribution_p(counts, expected, photos)
    if p >= _FAR:
        return []
    shares, usual = counts / counts.sum(), expected.counts / expected.counts.sum()
    if expected.photos:
        shares, usual = counts / photos, expected.counts / expected.photos
    far = np.abs(shares - usual).argmax()
    what = "classes are" if competition.decided else "probabilities are on the average"
    return [
        f"{path}: its {what} distributed otherwise than {expected.source} (p = {p:.1g}), most "
        f"of all {competition.class_names[far]}: {shares[far]:.1%} instead of {usual[far]:.1%}"
    ]


def _same(other: Path, answers: Answers, competition: Competition) -> bool:
    """True if another file is a submission of the same answers."""
    try:
        others = read_answers(other, competition, strict=True)
    except KitError:
        return False  # a leaderboard, or another file
    rows = others.ids.get_indexer(answers.ids)
    if len(others.ids) != len(rows) or (rows < 0).any():
        return False
    if answers.probs is not None and others.probs is not None:
        return bool((np.abs(others.probs[rows] - answers.probs) <= SAME).all())
    return bool((others.classes[rows] == answers.classes).all())
