"""Members of an ensemble, their checkpoints, and the passes of these."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.data.geometry import Geometry
from kit.models.architecture import Architecture
from kit.models.checkpoint import CheckpointInfo
from kit.results.probs import Probs
from kit.results.run import origin_of


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: its file, its metadata, and the SHA-256 of its bytes."""

    path: Path
    info: CheckpointInfo
    hash: str

    def placed(self) -> "Checkpoint":
        """The same for a process in any folder."""
        return dataclasses.replace(self, path=self.path.absolute())

    @property
    def origin(self) -> str:
        """What the metrics beside it are of: its recipe, its plan and its fold."""
        return origin_of(self.info.recipe, self.info.plan, self.info.fold)

    @functools.cached_property
    def architecture(self) -> Architecture:
        """The architecture of its network."""
        return self.info.architecture

    @property
    def geometry(self) -> Geometry:
        """The geometry that its network was trained on."""
        return self.architecture.geometry


@dataclass(frozen=True)
class Member:
    """One member of a blend: a run with its folds' checkpoints, or a file of probabilities.

    A file has its rows as `test`, those of the photos to predict, and `oof`, those of the training
    photos.
    """

    name: str
    checkpoints: tuple[Checkpoint, ...] = ()
    files: tuple[Path, ...] = ()
    test: Probs | None = None
    oof: Probs | None = None

    def placed(self) -> "Member":
        """The same for a process in any folder."""
        return dataclasses.replace(self, checkpoints=tuple(c.placed() for c in self.checkpoints))

    @property
    def places(self) -> list[Path]:
        """The files and folders of the member, which no output may lie over or in."""
        best = [c.path.name == "best.safetensors" for c in self.checkpoints]
        runs = [c.path.parent if b else c.path for c, b in zip(self.checkpoints, best)]
        return [*self.files, *runs]


def unique_names(members: Sequence[Member]) -> list[str]:
    """The members' names; members of the same name are called by their paths."""
    names = [member.name for member in members]
    return [_place(m) if names.count(name) > 1 else name for name, m in zip(names, members)]


def _place(member: Member) -> str:
    """The path of a member: its file, its run, or its first checkpoint."""
    if member.files:
        return str(member.files[0])
    first = member.checkpoints[0].path
    return str(first.parent.parent if first.name == "best.safetensors" else first)


@dataclass(frozen=True)
class Pass:
    """One pass: the number of the member that owns it, its checkpoint or file's rows, its view."""

    owner: int
    source: Checkpoint | Probs
    view: str

    def placed(self) -> "Pass":
        """The same for a process in any folder."""
        if isinstance(self.source, Probs):
            return self
        return dataclasses.replace(self, source=self.source.placed())


def member_passes(members: Sequence[Member], views: Iterable[str]) -> list[Pass]:
    """The passes of members, view by view; the plain view comes first, for others change less.

    A file's rows are one pass, of the plain view.
    """
    passes = []
    for view in views:
        for m, member in enumerate(members):
            passes += [Pass(m, checkpoint, view) for checkpoint in member.checkpoints]
            if member.test is not None and view == "plain":
                passes.append(Pass(m, member.test, view))
    return passes
