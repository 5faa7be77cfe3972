"""An ensemble's own probabilities, written as a member for others."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kit.blending.settings import EnsembleSettings
from kit.competition import Competition
from kit.data.plan import Plan
from kit.inference.member_files import oof_path
from kit.results import leaderboard
from kit.results.probs import PROBABILITY_FILES, Probs, read_foreign_probs, write_foreign_probs
from kit.system.console import warn
from kit.system.disk import check_writable, refuse_existing, refuse_input, remove
from kit.system.errors import KitError, problem


def check_save_probs(
    path: Path,
    out: Path,
    settings: EnsembleSettings,
    competition: Competition,
    inputs: Iterable[Path],
    force: bool,
) -> None:
    """Raise `KitError` unless probabilities may be written to `path`, and out of fold beside it.

    `out` is the submission, and `inputs` are places that nothing may be written to.
    """
    inputs, submission = list(inputs), [out.resolve(), out.with_suffix(".json").resolve()]
    places = (path, oof_path(path))
    for place in places:
        refuse_input(place, inputs)
    if path.suffix not in PROBABILITY_FILES or path.name == leaderboard.NAME:
        remedy = "let --save-probs end in .csv or .npz"
        raise problem(path, "is no name for probabilities", remedy=remedy)
    if settings.fast:
        raise KitError(
            "--save-probs: needs every pass of every photo; leave --fast and --agree out"
        )
    for place in places:
        if place.resolve() in submission:
            remedy = "choose another one for --save-probs"
            raise problem(place, "is the submission's own name", remedy=remedy)
        if not force:
            refuse_existing(place)
        elif place.exists():
            _check_replaced(place, competition)
        check_writable(place)


def _check_replaced(place: Path, competition: Competition) -> None:
    """Raise `KitError` for what is no file of probabilities, and would be replaced by one."""
    try:
        read_foreign_probs(place, competition)
    except KitError as error:
        wrong = str(error).partition("; ")[0]
        raise KitError(f"{wrong}; delete it, or choose another name for --save-probs") from error


def save_probs(
    path: Path,
    test: Probs,
    oof: Probs | None,
    plan: Plan | None,
    competition: Competition,
    force: bool,
) -> None:
    """Write blended probabilities as a member for others.

    They are of the photos to predict, and out of fold. A CSV has the latter in `<stem>.oof.csv`
    beside it, an `.npz` has both. They are at the fitted temperature and with the fitted biases,
    those out of fold nested, so that the score of such a member is that of the ensemble.
    """
    if oof is not None and plan is not None and len(oof.ids) < len(plan.photos):
        warn(
            f"{path}: only {len(oof.ids):,} of {len(plan.photos):,} training photos have "
            "out-of-fold probabilities, so that none are written; ensembles with this file need "
            "--no-score"
        )
        oof = None
    if oof is None or path.suffix == ".npz":
        remove(oof_path(path))  # that of a file that --force replaces
    else:
        write_foreign_probs(oof_path(path), oof, competition, force)
    if oof is not None and path.suffix == ".npz":
        test = Probs(np.concatenate([test.ids, oof.ids]), np.concatenate([test.probs, oof.probs]))
    write_foreign_probs(path, test, competition, force)
