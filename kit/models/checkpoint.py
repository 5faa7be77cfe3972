"""Checkpoints: pickle-free, atomic, and self-describing, so that inference needs nothing else."""

import dataclasses
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor

from kit import __version__
from kit.data.geometry import Geometry
from kit.data.plan import Plan
from kit.data.recorded import recorded_competition
from kit.models.architecture import Architecture, make_architecture
from kit.models.metadata import check_versions, metadata_rules, recorded_recipe
from kit.models.network import Network, blueprint, count_parameters
from kit.recipe import Recipe, chosen_on_fold
from kit.system.checksum import with_checksum, without_checksum
from kit.system.disk import atomic_write
from kit.system.errors import problem
from kit.system.fields import check_rules
from kit.system.typed import from_json
from kit.system.versions import check_pixels, versions

# A copy may lie with a teammate, or as a kept epoch beside it.
_REMEDY: Final = "put a copy of it back, or make it again: its training or its soup, with --force"


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """The metadata of a checkpoint.

    `crop`, `size` and `frame` are (height, width); `mean` and `std` are of each channel, in 0..1;
    `plan` is
    the hash of `folds.csv`; `recipe` is `Recipe.describe()`; `score` is the macro-F1 of `epoch`
    (from 1) on the whole fold. `select` says how the epoch was chosen (`best`: on that same fold,
    which flatters the score), `averaged` whether the weights are an EMA's. `parameters` is the
    number of weights. `limit` is the number of photos of a trial, 0 for a true run. `versions` are
    those of `kit.system.versions` that it was trained with. `competition` is
    `Competition.describe()`.
    """

    model: str
    crop: tuple[int, int]
    size: tuple[int, int]
    frame: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: dict[str, Any]
    fold: int
    plan: str
    epoch: int
    score: float
    kit: str
    head: str
    cosine: bool
    parameters: int
    select: str
    averaged: bool
    limit: int
    versions: dict[str, str]
    competition: dict[str, Any]

    @property
    def chosen_on_fold(self) -> bool:
        """True if the epoch was chosen on the fold, by `kit.recipe.chosen_on_fold`."""
        return chosen_on_fold(self.select, self.recipe["patience"])

    @property
    def architecture(self) -> Architecture:
        """The architecture of the network."""
        competition = recorded_competition(self.competition)
        geometry = Geometry(self.crop, self.size, self.frame, competition.channels)
        return make_architecture(self.model, geometry, self.head, self.cosine, competition)

    @property
    def geometry(self) -> Geometry:
        """The crop and size of the photos that the network was trained on."""
        return self.architecture.geometry


@dataclass(frozen=True)
class Origin:
    """Where a checkpoint comes from: the plan, the fold, and the number of photos of a trial."""

    plan: Plan
    fold: int
    limit: int = 0


def checkpoint_info(
    recipe: Recipe, network: Network, origin: Origin, epoch: int, score: float
) -> CheckpointInfo:
    """The metadata of the checkpoint of an epoch, whose macro-F1 on the fold is `score`."""
    geometry = network.geometry
    return CheckpointInfo(
        model=recipe.model,
        crop=geometry.crop,
        size=geometry.size,
        frame=geometry.frame,
        mean=network.statistics[0],
        std=network.statistics[1],
        recipe=recipe.describe(),
        fold=origin.fold,
        plan=origin.plan.hash,
        epoch=epoch,
        score=score,
        kit=__version__,
        head=recipe.head,
        cosine=network.architecture.cosine,
        parameters=count_parameters(network),
        select=recipe.select,
        averaged=recipe.ema > 0,
        limit=origin.limit,
        versions=dict(versions()),
        competition=origin.plan.competition.describe(),
    )


def save(path: Path, network: Network, info: CheckpointInfo) -> None:
    """Write a network's weights and metadata, with their checksums, in place of the file before."""
    weights = {
        name: value.detach().cpu().contiguous() for name, value in network.body.state_dict().items()
    }
    content = with_checksum(dataclasses.asdict(info) | {"weights": weights_checksum(weights)})
    with atomic_write(path, force=True) as temporary:
        # One key: safetensors writes several in a random order, and equal checkpoints should be
        # equal bytes. As bytes, and not by its own writer, so that a full disk is an OSError with a
        # reason.
        temporary.write_bytes(serialize(weights, metadata={"kit": json.dumps(content)}))


def weights_checksum(weights: Mapping[str, Tensor]) -> str:
    """The CRC-32 of tensors on the CPU, with their names, types and shapes.

    safetensors has none. A CRC-32 takes 15 ms for the 75 MB of an EfficientNet-B4, SHA-256 53 ms.
    """
    value = 0
    for name, tensor in sorted(weights.items()):
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def read_checkpoint_info(path: Path) -> CheckpointInfo:
    """Read a checkpoint's metadata; raises `KitError` for a file that is no checkpoint."""
    return _read_info(path)[0]


def _read_info(path: Path) -> tuple[CheckpointInfo, object]:
    """A checkpoint's metadata, and the checksum that it has for its weights."""
    try:
        with safe_open(path, framework="pt") as file:
            content = without_checksum(json.loads((file.metadata() or {})["kit"]))
        checksum = content.pop("weights")
        info = from_json(CheckpointInfo, content)
        info = dataclasses.replace(info, recipe=recorded_recipe(info.recipe))
        check_rules("its metadata", info, metadata_rules(info))
        check_versions(info.versions)
    except OSError as error:
        raise problem(
            path, f"cannot be read: {error.strerror or error}", remedy="check the path"
        ) from error
    except Exception as error:  # damaged, or a safetensors file of something else
        raise problem(
            path,
            f"is no checkpoint of the kit ({type(error).__name__}: {str(error)[:400]})",
            remedy=_REMEDY,
        ) from error
    check_pixels(path, info.versions)
    return info, checksum


def load(path: Path, device: str | torch.device = "cpu") -> Network:
    """The network of a checkpoint, in evaluation mode; raises `KitError` for damaged weights."""
    info, checksum = _read_info(path)
    _check_shapes(path, info)
    network = Network(info.architecture, (info.mean, info.std))
    try:
        weights = load_file(path)
        if weights_checksum(weights) != checksum:
            raise ValueError("their checksum does not fit: the file is damaged")
        network.body.load_state_dict(weights)
    except Exception as error:
        raise problem(
            path, f"holds weights that do not fit {info.model} ({str(error)[:120]})", remedy=_REMEDY
        ) from error
    return network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def _check_shapes(path: Path, info: CheckpointInfo) -> None:
    """Raise `KitError` unless a checkpoint's weights are those of the network that it names.

    It is asked before the network takes any memory.
    """
    wanted = {name: tuple(v.shape) for name, v in blueprint(info.architecture).state_dict().items()}
    with safe_open(path, framework="pt") as file:
        given = {f"body.{name}": tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    wrong = sorted(wanted.keys() ^ given.keys()) or [n for n in wanted if wanted[n] != given[n]]
    if wrong:
        raise problem(
            path,
            f"holds weights that do not fit {info.model}",
            [f"{name} {given.get(name, 'is not there')}" for name in wrong],
            _REMEDY,
        )
