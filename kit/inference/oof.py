"""Members' out-of-fold probabilities."""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.inference.blocks import Blocks
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member, Pass, unique_names
from kit.inference.photo_set import PhotoSet
from kit.inference.views import View, make_views
from kit.results.probs import Probs, read_probs
from kit.results.run import FOLD_FOLDER, Fold, oof_precision
from kit.system.console import Progress, warn
from kit.system.errors import KitError, problem

Tables = list[list[Probs]]  # for each member, its folds' probabilities


@dataclass(frozen=True)
class Oof:
    """Members' out-of-fold probabilities for the photos that all of them have.

    `views` gives each view's (M, N, C) float32; `photos` are the N rows of the plan, in its order.
    """

    views: dict[str, np.ndarray]
    photos: pd.DataFrame
    competition: Competition

    @functools.cached_property
    def probs(self) -> np.ndarray:
        """The mean over the views, (M, N, C)."""
        return mean_of(list(self.views.values()))

    def without(self, members: Sequence[int]) -> "Oof":
        """The same without some members."""
        if not members:
            return self
        rest = [m for m in range(len(self.views["plain"])) if m not in members]
        views = {view: probs[rest] for view, probs in self.views.items()}
        return Oof(views, self.photos, self.competition)


def oof_probs(
    members: Sequence[Member],
    plan: Plan,
    data: DataFolder,
    tta: str,
    compute: Compute,
    force_views: bool = False,
) -> Oof:
    """The members' out-of-fold probabilities, by views.

    Each training photo's are those of the checkpoint that has not seen its group. A file's rows are
    the same for every view. Raises `KitError` if a member has none, or if no photo is common to all
    members.
    """
    views = make_views(tta, force_views, plan.competition)
    tables = {view: _file_tables(members) for view in views}
    for fold in range(plan.k):
        for view, owner, table in _fold_tables(members, plan, data, views, compute, fold):
            tables[view][owner].append(table)
    photos = _common_photos(members, plan, tables["plain"])
    images = photos["image"].tolist()
    stacks = {view: _stack(of_view, images) for view, of_view in tables.items()}
    return Oof(stacks, photos, plan.competition)


def read_oof(checkpoint: Checkpoint, plan: Plan, exact: bool = False) -> Probs | None:
    """The out-of-fold probabilities beside a run's checkpoint, for exactly its fold's photos.

    None for a bare checkpoint, and, with `exact`, for probabilities that were not computed in fp32.
    Raises `KitError` for stale ones.
    """
    files, fold = Fold(checkpoint.path.parent), checkpoint.info.fold
    if checkpoint.path.name != "best.safetensors" or not (
        files.oof.exists() or FOLD_FOLDER.fullmatch(files.folder.resolve().name)
    ):
        return None
    remedy = files.remedy(fold)
    if not files.oof.exists():
        raise problem(files.oof, "is not there", remedy=remedy)
    oof = read_probs(files.oof)
    precision = oof_precision(oof.key, checkpoint.path, plan, fold)
    if precision is None or set(oof.ids) != set(fold_ids(plan, fold)):
        what = "belongs to another checkpoint than the one beside it"
        raise problem(files.oof, what, remedy=remedy)
    return None if exact and precision != "float32" else oof


def fold_ids(plan: Plan, fold: int) -> list[str]:
    """The ids of a fold's photos."""
    return plan.photos.loc[plan.photos["fold"] == fold, "image"].tolist()


def mean_of(tables: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of equal arrays, without a copy of them all."""
    total = tables[0].copy()
    for table in tables[1:]:
        total += table
    return total / len(tables) if len(tables) > 1 else tables[0]


def _file_tables(members: Sequence[Member]) -> Tables:
    """The out-of-fold rows of members that are files; runs get an empty table."""
    for member in members:
        if member.files and member.oof is None:
            name = f"{member.files[0].stem}.oof{member.files[0].suffix}"
            raise problem(
                member.files[0],
                "has no out-of-fold probabilities, so that the ensemble has no score",
                remedy=f"put them into {name} beside it, or --no-score",
            )
    return [[member.oof] if member.oof is not None else [] for member in members]


def _fold_tables(
    members: Sequence[Member],
    plan: Plan,
    data: DataFolder,
    views: Mapping[str, View],
    compute: Compute,
    fold: int,
) -> list[tuple[str, int, Probs]]:
    """The probabilities of a fold's photos by its checkpoints, as (view, member, probabilities).

    Those of the plain view were saved by the training; other views are run if they are not kept,
    and kept.
    """
    checkpoints = [
        (m, c)
        for m, member in enumerate(members)
        for c in member.checkpoints
        if c.info.fold == fold
    ]
    if not checkpoints:
        return []
    images, read = tuple(fold_ids(plan, fold)), plan.competition.read
    photos = PhotoSet(data.train_images, images, "oof", read=read)
    known = {c.hash: read_oof(c, plan, compute.exact) for _, c in checkpoints}
    blocks = Blocks(
        [
            Pass(m, (known[c.hash] if view == "plain" else None) or c, view)
            for view in views
            for m, c in checkpoints
        ],
        photos,
        views,
        compute,
    )
    tables = [np.empty((len(images), blocks.classes), np.float32) for _ in blocks.passes]
    with contextlib.closing(blocks), Progress(f"out of fold {fold}", len(images)) as progress:
        for b in range(len(blocks)):
            with blocks.open(b) as block:
                block.run_all(progress)
                for p, table in enumerate(tables):
                    table[blocks.rows(b)] = block.table(p)
    ids = np.array(photos.ids, dtype=np.str_)
    return [(one.view, one.owner, Probs(ids, t)) for one, t in zip(blocks.passes, tables)]


def _common_photos(members: Sequence[Member], plan: Plan, tables: Tables) -> pd.DataFrame:
    """The plan's rows of the photos that all members have; warns if some members have more."""
    of_member = [{i for table in parts for i in table.ids.tolist()} for parts in tables]
    common = plan.photos["image"].isin(set.intersection(*of_member))
    photos = plan.photos[common].reset_index(drop=True)
    if photos.empty:
        raise KitError(
            "the members' folds have no photo in common, so that their ensemble has no "
            "out-of-fold score; name whole runs, or --no-score"
        )
    if len(photos) < max(map(len, of_member)):
        least = int(np.argmin([len(images) for images in of_member]))
        warn(
            f"the score, and whatever is fitted, is of {len(photos):,} of {len(plan.photos):,} "
            f"training photos: {unique_names(members)[least]} has no more"
        )
    return photos


def _stack(tables: Tables, images: Sequence[str]) -> np.ndarray:
    """Members' probabilities of images, (M, N, C) float32; each of `tables` is freed when copied.

    So two copies never exist at once: those of a hundred members are large.
    """
    stack = np.empty((len(tables), len(images), tables[0][0].probs.shape[1]), np.float32)
    for m, target in enumerate(stack):
        parts, tables[m] = tables[m], []
        ids, probs = [t.ids for t in parts], [t.probs for t in parts]
        target[:] = Probs(np.concatenate(ids), np.concatenate(probs)).at(images)
    return stack
