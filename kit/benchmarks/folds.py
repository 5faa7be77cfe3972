"""The networks whose inference is measured."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from kit.competition import Competition
from kit.inference.member import Checkpoint
from kit.models.architecture import Architecture, architecture_of
from kit.models.checkpoint import load, read_checkpoint_info
from kit.models.network import Network
from kit.recipe import Recipe
from kit.system.disk import file_hash
from kit.system.errors import problem

_RANDOM_FOLDS: Final = 5


@dataclass(frozen=True)
class Folds:
    """Networks of a run's `checkpoints`, or of a recipe, with random weights."""

    name: str
    architecture: Architecture
    networks: list[Network]
    checkpoints: tuple[Checkpoint, ...] = ()


def recipe_folds(recipe: Recipe, competition: Competition, device: torch.device) -> Folds:
    """Networks of a recipe with random weights."""
    architecture = architecture_of(recipe, competition)
    networks = [Network(architecture).to(device).eval() for _ in range(_RANDOM_FOLDS)]
    return Folds(recipe.name, architecture, networks)


def run_folds(folder: Path, place: Path, device: torch.device) -> Folds:
    """The networks of a run, or of one of its folds, whose checkpoints are copied below `place`."""
    checkpoints = tuple(_copy_checkpoints(folder, place))
    networks = [load(checkpoint.path, device) for checkpoint in checkpoints]
    return Folds(str(folder), checkpoints[0].architecture, networks, checkpoints)


def _copy_checkpoints(folder: Path, place: Path) -> list[Checkpoint]:
    """Copies below `place` of the checkpoints of a run, or of one of its folds.

    No probabilities are saved beside the copies, so that networks really run.
    """
    checkpoints = []
    for path in sorted(folder.glob("fold*/best.safetensors")) or sorted(
        folder.glob("best.safetensors")
    ):
        fold = path.resolve().parent
        copy = place / "runs" / fold.parent.name / fold.name / path.name
        copy.parent.mkdir(parents=True)
        shutil.copyfile(path, copy)
        checkpoints.append(Checkpoint(copy, read_checkpoint_info(copy), file_hash(copy)))
    if not checkpoints:
        raise problem(
            folder, "holds no checkpoint", remedy="name a recipe's file or a trained run's folder"
        )
    if len({c.architecture for c in checkpoints}) > 1:
        raise problem(
            folder, "holds folds of different networks", remedy="name a run of one recipe"
        )
    return checkpoints
