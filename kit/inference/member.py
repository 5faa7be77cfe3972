"""What an ensemble is made of: members, and their checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.models.checkpoint import CheckpointInfo
from kit.results.probs import Probs


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: its file, what it says of itself, and the SHA-256 of its bytes."""

    path: Path
    card: CheckpointInfo
    hash: str


@dataclass(frozen=True)
class Member:
    """What counts as one in a blend: a run with the checkpoints of its folds, or a file of
    probabilities.

    A file has its hash, and its rows as `test` and `oof`: those of the photos to predict, and of
    the training photos.
    """

    name: str
    checkpoints: tuple[Checkpoint, ...] = ()
    files: tuple[Path, ...] = ()
    test: Probs | None = None
    oof: Probs | None = None


def unique_names(members: Sequence[Member]) -> list[str]:
    """The members' names, by their places where two have the same."""

    def place(member: Member) -> str:
        if member.files:
            return str(member.files[0])
        first = member.checkpoints[0].path
        return str(first.parent.parent if first.name == "best.safetensors" else first)

    names = [member.name for member in members]
    return [place(m) if names.count(name) > 1 else name for name, m in zip(names, members)]
