"""The speed of inference."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from kit.benchmarks.bottleneck import Bottleneck, find_bottleneck
from kit.benchmarks.folds import Folds, recipe_folds, run_folds
from kit.benchmarks.loops import matrix_peak, other_inference
from kit.benchmarks.synthetic import PhotoSet, drawn_folder, link_photos, training_photos
from kit.benchmarks.timing import SeparateProcess, Table, in_turns, ratio_text
from kit.blending.classify import classify
from kit.blending.early_rule import EarlyPolicy
from kit.blending.margins import sample_size
from kit.blending.rule import uniform_rule
from kit.competitions import DEFAULT, find_competition
from kit.data.folder import DataFolder, test_photos
from kit.data.loader import PhotoDataset, default_workers
from kit.inference.autotune import autotune, photos_per_second
from kit.inference.blocks import Blocks
from kit.inference.engine import Compute
from kit.inference.member import Member, member_passes
from kit.inference.photo_set import PhotoSet as PassPhotos
from kit.inference.predict import predict
from kit.inference.runtime import InferenceMode, InferenceModel
from kit.inference.views import make_views
from kit.models.network import cost
from kit.recipe import Recipe
from kit.system.device import choose_device
from kit.system.errors import KitError

# The loop that the others are measured against.
_BASE: Final = "a loop over folds and views"
_AGREE: Final = 0.998


@dataclass(frozen=True)
class _Measured:
    """What was measured: each loop's seconds (rounds,) and classes (N,), and a network's speed.

    The speed is the photos a second of a network alone, and `rates` say what bounds an ensemble.
    """

    seconds: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]
    forward: float
    rates: Bottleneck


@dataclass(frozen=True)
class _RunEnsemble:
    """`kit.ensemble` from a run's checkpoints, copied below `place`, to classes."""

    place: Path
    member: Member
    data: DataFolder
    images: list[str]
    compute: Compute

    def classes(self, policy: EarlyPolicy | None = None, exact: bool = False) -> np.ndarray:
        """The classes (N,); probabilities that an earlier call has saved are removed first."""
        for kept in self.place.glob("runs/*/*/*-*.npz"):
            kept.unlink()
        compute = dataclasses.replace(self.compute, exact=exact)
        views, photos = make_views("hflip"), PassPhotos(self.data.test_images, tuple(self.images))
        blocks = Blocks(member_passes([self.member], views), photos, views, compute)
        return classify(blocks, uniform_rule("mean", 1, blocks.classes), policy).classes

    def loops(self) -> dict[str, Callable[[], np.ndarray]]:
        """The ensemble as a loop, by its options: none, `--fast`, `--agree`, `--exact`.

        `--agree` is left out where it would run most photos in full.
        """
        loops: dict[str, Callable[[], np.ndarray]] = {
            "kit.ensemble": self.classes,
            "--fast": lambda: self.classes(EarlyPolicy([0.0])),
        }
        with contextlib.suppress(KitError):
            sample_size(len(self.images), _AGREE)
            agree = EarlyPolicy([0.0], _AGREE)
            loops[f"--agree {_AGREE:g}".replace("0.", ".")] = lambda: self.classes(agree)
        loops["--exact"] = lambda: self.classes(exact=True)
        return loops


def bench_infer(
    source: Recipe | Path,
    rounds: int,
    photos: int,
    data: DataFolder | None = None,
    device_name: str | None = None,
    workers: int | None = None,
) -> Table:
    """Passes a second of folds and two views over photos; a pass is a photo, a fold and a view.

    Of a recipe five folds with random weights: networks alone, as `kit.ensemble` runs them. Of a
    run's folder (which needs `data`) the ensemble as a whole, from checkpoints to classes, in full,
    with `--fast`, `--agree .998` where so few photos allow it, and `--exact`. They are measured
    against loops without the kit, in torch's fp32 (on newer GPUs its convolutions have fewer bits):
    one over folds and views, each with its own pass of the loader; ttach's wrapper around each fold
    with its own pass; and the first with timm's loader.
    """
    device = choose_device(device_name)
    compute = Compute(device_name, workers)
    workers = default_workers(device.type) if workers is None else workers
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if isinstance(source, Recipe):
            folds = recipe_folds(
                source, data.competition if data else find_competition(DEFAULT), device
            )
            photo_set = training_photos(data or drawn_folder(place, photos), place, photos)
        else:
            if data is None:
                raise KitError(
                    "kit.bench infer: a run's own photos are needed; name the competition's "
                    "folder with --data"
                )
            folds = run_folds(source, place, device)
            photo_set = link_photos(
                data.test_images, list(test_photos(data).values())[:photos], place
            )
        weights = place / "weights.pt"
        torch.save([network.state_dict() for network in folds.networks], weights)
        mode = autotune(folds.architecture, device)
        if folds.checkpoints and data is not None:
            member = Member(folds.name, folds.checkpoints)
            loops = _RunEnsemble(place, member, data, photo_set.images, compute).loops()
        else:
            loops = {"kit.ensemble": _network_loop(folds, mode, photo_set, compute, device)}
        others = SeparateProcess(
            other_inference, weights, folds.architecture, photo_set, workers, str(device)
        )
        with contextlib.closing(others):
            seconds, classes = in_turns({**loops, **others.loops}, rounds, "infer")
        forward = photos_per_second(InferenceModel(folds.networks[0], mode), device)
        passes = len(folds.networks) * len(make_views("hflip"))
        rates = find_bottleneck(
            forward / passes,
            photo_set.root,
            photo_set.images,
            folds.architecture.geometry,
            compute,
            device,
        )
    return _table(folds, mode, device, rounds, _Measured(seconds, classes, forward, rates))


def _network_loop(
    folds: Folds, mode: InferenceMode, photos: PhotoSet, compute: Compute, device: torch.device
) -> Callable[[], np.ndarray]:
    """A loop that gives the classes (N,) by networks alone, as `kit.ensemble` runs them."""
    models = [
        InferenceModel(network.to(memory_format=torch.channels_last), mode)  # type: ignore[call-overload]
        for network in folds.networks
    ]
    dataset = PhotoDataset(photos.root, photos.images, [folds.architecture.geometry])
    views = make_views("hflip")

    def classes() -> np.ndarray:
        batches = compute.loader(dataset, device, mode.photos)
        return predict(models, batches, views, device)[0].mean(axis=(0, 1)).argmax(axis=1)

    return classes


def _table(
    folds: Folds, mode: InferenceMode, device: torch.device, rounds: int, measured: _Measured
) -> Table:
    """The table of an inference measurement."""
    base = measured.seconds[_BASE]
    same = _same_classes(measured.classes)
    photos, views = len(measured.classes[_BASE]), len(make_views("hflip"))
    passes = photos * len(folds.networks) * views
    rows = [
        [
            name,
            f"{passes / np.median(seconds):.1f}",
            ratio_text(base, seconds),
            f"{same[name]:.2%}" if name in same else "its own pixels",
        ]
        for name, seconds in measured.seconds.items()
    ]
    peak = matrix_peak(device, mode.precision)
    gflops = measured.forward * cost(folds.architecture)[1]
    return Table(
        f"{len(folds.networks)} {'folds' if len(folds.networks) > 1 else 'fold'} x {views} views "
        f"of {folds.name} ({folds.architecture.name}), {photos} photos, "
        f"{device}, {mode.name}, {mode.photos} at once; medians of {rounds}",
        ["loop", "passes/s", "times as fast as the loop", "classes as the loop's"],
        rows,
        f"a network alone takes {measured.forward:.1f} photos/s, {gflops:,.0f} GFLOP/s of the "
        f"{peak:,.0f} that this machine multiplies matrices with in {mode.name} "
        f"({gflops / peak:.0%})\n{measured.rates.line()}",
        {
            "mode": mode.describe(),
            "passes_per_second": {
                name: passes / float(np.median(seconds))
                for name, seconds in measured.seconds.items()
            },
            "times_the_loop": {
                name: float(np.median(base / seconds)) for name, seconds in measured.seconds.items()
            },
            "same_classes": same,
            "forward_photos_per_second": measured.forward,
            "photos_per_second": dataclasses.asdict(measured.rates),
            "gflops": gflops,
            "matrix_gflops": peak,
        },
    )


def _same_classes(classes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The share of photos whose class is that of the base, for each loop on the same pixels."""
    return {
        name: float(np.mean(values == classes[_BASE]))
        for name, values in classes.items()
        if not name.startswith("timm")
    }
