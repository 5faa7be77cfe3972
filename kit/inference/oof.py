"""Members' out-of-fold probabilities."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competitions.mask import NUM_CLASSES
from kit.data.folder import train_images
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member, unique_names
from kit.inference.passes import predict_passes
from kit.inference.views import make_views
from kit.results.probs import Probs, read_probs
from kit.results.run import FOLD_FOLDER, Fold, oof_precision
from kit.system.console import warn
from kit.system.errors import KitError, problem


def read_oof(checkpoint: Checkpoint, plan: Plan, exact: bool = False) -> Probs | None:
    """The out-of-fold probabilities beside a run's checkpoint, for exactly its fold's photos.

    None for a bare checkpoint, and where they are to be `exact` and did not run in fp32. Raises
    `KitError` for stale ones.
    """
    fold, path = checkpoint.card.fold, Fold(checkpoint.path.parent).oof
    if checkpoint.path.name != "best.safetensors" or not (
        path.exists() or FOLD_FOLDER.fullmatch(path.parent.resolve().name)
    ):
        return None
    remedy = (
        f"python -m kit.train RECIPE --fold {fold} makes it again"
        if Fold(checkpoint.path.parent).metrics.exists()
        else "make the soup again, with --force"
    )
    if not path.exists():
        raise problem(path, "is not there", remedy=remedy)
    oof = read_probs(path)
    precision = oof_precision(oof.key, checkpoint.path, plan, fold)
    if precision is None or set(oof.ids) != set(fold_ids(plan, fold)):
        raise problem(path, "belongs to another checkpoint than the one beside it", remedy=remedy)
    return None if exact and precision != "float32" else oof


def fold_ids(plan: Plan, fold: int) -> list[str]:
    """The photos of a fold."""
    return plan.photos.loc[plan.photos["fold"] == fold, "image"].tolist()


def mean_of(tables: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of equal arrays, without a copy of them all."""
    total = tables[0].copy()
    for table in tables[1:]:
        total += table
    return total / len(tables) if len(tables) > 1 else tables[0]


@dataclass(frozen=True)
class Oof:
    """Members' out-of-fold probabilities for the photos that all of them have.

    `views` gives each view's (M, N, 18) float32; `photos` are the N rows of the plan, in its order.
    """

    views: dict[str, np.ndarray]
    photos: pd.DataFrame

    @functools.cached_property
    def probs(self) -> np.ndarray:
        """The mean over the views, (M, N, 18)."""
        return mean_of(list(self.views.values()))

    def without(self, members: Sequence[int]) -> "Oof":
        """The same without some members."""
        if not members:
            return self
        kept = [m for m in range(len(self.views["plain"])) if m not in members]
        return Oof({view: probs[kept] for view, probs in self.views.items()}, self.photos)


def oof_probs(
    members: Sequence[Member],
    plan: Plan,
    data: Path,
    tta: str,
    engine: Compute,
    force_views: bool = False,
) -> Oof:
    """The members' out-of-fold probabilities: each training photo by the checkpoint that has not
    seen its person, and views.

    A file's rows are the same for every view. Raises `KitError` where a member has none, or all
    have no photo in common.
    """
    views = list(make_views(tta, force_views))
    tables: list[dict[str, list[Probs]]] = [{view: [] for view in views} for _ in members]
    for m, member in enumerate(members):
        if member.files and member.oof is None:
            raise problem(
                member.files[0],
                "has no out-of-fold probabilities, so that the ensemble has no score",
                remedy=f"put them into {member.files[0].stem}.oof{member.files[0].suffix} beside "
                "it, or --no-score",
            )
        for view in views if member.oof is not None else ():
            tables[m][view].append(member.oof)  # type: ignore[arg-type]
    for fold in range(plan.k):
        of = [
            (m, c)
            for m, member in enumerate(members)
            for c in member.checkpoints
            if c.card.fold == fold
        ]
        if not of:
            continue
        known = [read_oof(c, plan, engine.exact) for _, c in of] if tta == "none" else []
        if known and None not in known:
            for (m, _), table in zip(of, known):
                tables[m]["plain"].append(table)  # type: ignore[arg-type]
            continue
        found, _ = predict_passes(
            [c for _, c in of],
            train_images(data),
            fold_ids(plan, fold),
            tta,
            engine,
            force_views,
            "oof",
            lambda c: read_oof(c, plan, engine.exact),
        )
        for n, (m, _) in enumerate(of):
            for view in views:
                tables[m][view].append(found[n, view])
    of_member = [{i for table in own["plain"] for i in table.ids.tolist()} for own in tables]
    photos = plan.photos[plan.photos["image"].isin(set.intersection(*of_member))].reset_index(
        drop=True
    )
    if photos.empty:
        raise KitError(
            "the members' folds have no photo in common, so that their ensemble has no "
            "out-of-fold score; name whole "
            "runs, or --no-score"
        )
    if len(photos) < max(map(len, of_member)):
        least = int(np.argmin([len(there) for there in of_member]))
        warn(
            f"the score, and whatever is fitted, is of {len(photos):,} of {len(plan.photos):,} "
            "training photos: "
            f"{unique_names(members)[least]} has no more"
        )
    images = photos["image"].tolist()
    stacks = {
        view: np.empty((len(members), len(images), NUM_CLASSES), np.float32) for view in views
    }
    for view, stack in stacks.items():
        for target, own in zip(stack, tables):
            parts = own.pop(view)  # one copy at a time: a hundred members are large
            target[:] = Probs(
                np.concatenate([t.ids for t in parts]), np.concatenate([t.probs for t in parts])
            ).at(images)
    return Oof(stacks, photos)
