"""Other teams' probabilities as members."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.competition import Competition
from kit.competitions import find_competition
from kit.data.plan import Plan
from kit.inference.member import Member
from kit.results.probs import PROBABILITY_FILES, Probs, read_foreign_probs
from kit.system.disk import near
from kit.system.errors import problem


def only_files(paths: Sequence[Path]) -> bool:
    """True if paths name files of probabilities alone, for which no photo is needed."""
    return all(path.suffix in PROBABILITY_FILES and not path.is_dir() for path in paths)


def oof_path(path: Path) -> Path:
    """The file of out-of-fold probabilities beside a probability file: `<stem>.oof.<suffix>`."""
    return path.with_name(f"{path.stem}.oof{path.suffix}")


def read_member_file(
    path: Path,
    plan: Plan | None,
    ids: Sequence[str],
    beside: Path | None = None,
    competition: Competition | None = None,
) -> Member:
    """A member of another team's probabilities: of the photos to predict, and out of fold.

    The out-of-fold ones are in the same file or in the file `beside`. Without a plan, which tells
    training photos, only the photos to predict, `ids`, are taken, and the competition is the one
    given, by default that of `find_competition`. Raises `KitError` if ids are missing, or are
    neither to be predicted nor training photos.
    """
    if not path.exists():
        what = f"there is no such file{near(path)}"
        raise problem(path, what, remedy="name a run's folder, or a file of probabilities")
    files = (path, beside) if beside and plan is not None else (path,)
    competition = plan.competition if plan is not None else competition or find_competition()
    tables = [read_foreign_probs(file, competition) for file in files]
    train = set(plan.photos["image"]) if plan is not None else set()
    if plan is not None:
        for file, table in zip(files, tables):
            _check_known(file, table, train.union(ids), plan)
    both = Probs(np.concatenate([t.ids for t in tables]), np.concatenate([t.probs for t in tables]))
    if len(np.unique(both.ids)) < len(both.ids):
        what = f"has ids that {path.name} has, too"
        raise problem(files[-1], what, remedy="keep each in one of the two")
    test = np.isin(both.ids, list(ids))
    _check_whole(path, "photos to predict", ids, both.ids[test])
    rows = Probs(both.ids[test], both.probs[test])
    if plan is None or test.all():
        return Member(path.stem, (), files, rows)
    _check_whole(files[-1], "training photos", sorted(train), both.ids[~test])
    return Member(path.stem, (), files, rows, Probs(both.ids[~test], both.probs[~test]))


def _check_known(path: Path, table: Probs, known: set[str], plan: Plan) -> None:
    """Raise `KitError` for ids that are not `known`."""
    extra = [i for i in table.ids.tolist() if i not in known]
    if extra:
        first = plan.photos["image"].iloc[0]
        raise problem(
            path,
            "has ids that are neither to be predicted nor training photos",
            extra,
            f"training photos are called as in the plan, such as {first}",
        )


def _check_whole(path: Path, what: str, wanted: Sequence[str], ids: np.ndarray) -> None:
    """Raise `KitError` for photos without a row."""
    missing = sorted(set(wanted) - set(ids.tolist()))
    if missing:
        raise problem(path, f"lacks {what}", missing, "every one of them needs a row")
