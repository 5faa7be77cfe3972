"""Members as the record of a submission has them, and as its name does."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.blending.record import MemberFile, MemberRecord
from kit.blending.settings import EnsembleSettings
from kit.inference.member import Member, unique_names
from kit.models.network import cost
from kit.results.run import FOLD_FOLDER
from kit.system.disk import file_hash


def describe_members(
    members: Sequence[Member], weights: np.ndarray, out: Path
) -> tuple[MemberRecord, ...]:
    """The members as the record beside a submission `out` has them; `weights` are (M,)."""
    rows = zip(unique_names(members), members, weights.tolist())
    return tuple(_describe(name, member, weight, out) for name, member, weight in rows)


def _describe(name: str, member: Member, weight: float, out: Path) -> MemberRecord:
    """One member, with its files' hashes and its networks' costs."""
    files = [
        MemberFile(
            path=seen_from(c.path, out),
            sha256=c.hash,
            fold=c.info.fold,
            epoch=c.info.epoch,
            select=c.info.select,
            chosen_on_fold=bool(c.info.chosen_on_fold),
            score=c.info.score,
        )
        for c in member.checkpoints
    ]
    files += [MemberFile(seen_from(file, out), file_hash(file)) for file in member.files]
    costs = [cost(c.architecture) for c in member.checkpoints]
    gflop = round(sum(g for _, g in costs), 3)
    return MemberRecord(name, weight, tuple(files), sum(p for p, _ in costs), gflop)


def seen_from(path: Path, out: Path) -> str:
    """A member's path relative to the submission's folder, so that both can move together."""
    return Path(os.path.relpath(path.absolute(), out.resolve().parent)).as_posix()


def default_name(members: Sequence[Member], settings: EnsembleSettings) -> str:
    """The submission's name: members, views, and blend and decision if not the plain ones.

    What cannot be printed of the name of another team's file is left out.
    """
    names = [_short_name(member) for member in members]
    name = "_".join(names)
    if len(name) >= 100:
        name = f"{names[0]}_and_{len(names) - 1}_more"
    parts = [name, settings.tta]
    parts += [settings.blend] * (settings.blend != "mean")
    parts += [settings.decision] * (settings.decision != "argmax")
    parts += [f"agree{settings.agree:g}"] if settings.agree is not None else []
    return "".join(c for c in "-".join(parts) if c.isprintable())


def _short_name(member: Member) -> str:
    """A member's name, with its fold where it is a single one."""
    folds = [c.path.parent.name for c in member.checkpoints]
    single = len(folds) == 1 and FOLD_FOLDER.fullmatch(folds[0])
    return f"{member.name}-{folds[0]}" if single else member.name
