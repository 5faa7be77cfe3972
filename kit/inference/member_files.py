"""Other teams' probabilities as members."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.data.plan import Plan
from kit.inference.member import Member
from kit.results.probs import PROBABILITY_FILES, Probs, read_foreign_probs
from kit.system.disk import near
from kit.system.errors import problem


def only_files(paths: Sequence[Path]) -> bool:
    """True if paths name files of probabilities alone, for which no photo is needed."""
    return all(path.suffix in PROBABILITY_FILES and not path.is_dir() for path in paths)


def oof_path(path: Path) -> Path:
    """Where a probability file's out-of-fold ones lie, if they are not in it:
    `<stem>.oof.<suffix>`.
    """
    return path.with_name(f"{path.stem}.oof{path.suffix}")


def read_member_file(
    path: Path, plan: Plan | None, ids: Sequence[str], beside: Path | None = None
) -> Member:
    """A member of another team's probabilities: `path`, and the out-of-fold ones in it or in the
    file `beside`.

    Without a plan, which tells training photos, only the photos to predict are taken. Raises
    `KitError` where ids are missing, or are neither to be predicted nor training photos.
    """
    if not path.exists():
        raise problem(
            path,
            "there is no such file" + near(path),
            remedy="name a run's folder, or a file of probabilities",
        )
    files = (path, beside) if beside and plan is not None else (path,)
    tables = [read_foreign_probs(file) for file in files]
    train = set(plan.photos["image"]) if plan is not None else set()
    known = train.union(ids)
    for file, table in zip(files, tables):
        extra = [i for i in table.ids.tolist() if i not in known and plan is not None]
        if extra:
            raise problem(
                file,
                "has ids that are neither to be predicted nor training photos",
                extra,
                "training photos are called as in the plan, PERSON/mask1.jpg",
            )
    both = Probs(np.concatenate([t.ids for t in tables]), np.concatenate([t.probs for t in tables]))
    if len(np.unique(both.ids)) < len(both.ids):
        raise problem(
            files[-1], f"has ids that {path.name} has, too", remedy="keep each in one of the two"
        )
    test = np.isin(both.ids, list(ids))
    oof = Probs(both.ids[~test], both.probs[~test]) if plan is not None and not test.all() else None
    for what, wanted, there in (
        ("photos to predict", ids, both.ids[test]),
        ("training photos", sorted(train), both.ids[~test]),
    ):
        missing = sorted(set(wanted) - set(there.tolist()))
        if missing and (what == "photos to predict" or oof is not None):
            raise problem(
                path if what == "photos to predict" else files[-1],
                f"lacks {what}",
                missing,
                "every one of them needs a row",
            )
    return Member(path.stem, (), files, Probs(both.ids[test], both.probs[test]), oof)
