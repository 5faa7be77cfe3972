"""The speed of inference."""

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from kit.benchmarks.loops import _other_inference, matrix_peak
from kit.benchmarks.synthetic import _link, _training_photos
from kit.benchmarks.timing import Apart, Table, _ratio, in_turns
from kit.blending.classify import blend_early, blend_in_full
from kit.blending.margins import sample_size
from kit.blending.rule import uniform_rule
from kit.blending.settings import Settings
from kit.data.folder import eval_images, read_eval
from kit.data.loader import PhotoDataset, default_workers
from kit.inference.autotune import autotune, photos_per_second
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info
from kit.models.network import Network, cost
from kit.recipe import Recipe
from kit.system.device import choose_device
from kit.system.disk import file_hash
from kit.system.errors import KitError, problem


def _run_checkpoints(folder: Path, place: Path) -> list[Checkpoint]:
    """The checkpoints of a run, or of one of its folds, copied to a place where nothing is kept
    beside them yet.
    """
    found = []
    for path in sorted(folder.glob("fold*/best.safetensors")) or sorted(
        folder.glob("best.safetensors")
    ):
        target = (
            place / "runs" / path.resolve().parents[1].name / path.resolve().parent.name / path.name
        )
        target.parent.mkdir(parents=True)
        shutil.copyfile(path, target)
        found.append(Checkpoint(target, read_checkpoint_info(target), file_hash(target)))
    if not found:
        raise problem(
            folder, "holds no checkpoint", remedy="name a recipe's file or a trained run's folder"
        )
    if len({(c.card.model, c.card.geometry) for c in found}) > 1:
        raise problem(
            folder, "holds folds of different networks", remedy="name a run of one recipe"
        )
    return found


def bench_infer(
    source: Recipe | Path,
    rounds: int,
    photos: int,
    data: Path | None = None,
    device_name: str | None = None,
    workers: int | None = None,
) -> Table:
    """Passes a second of folds and two views over photos; a pass is a photo, a fold and a view.

    Of a recipe five folds with random weights: networks alone, as `kit.ensemble` runs them. Of a
    run's folder (which needs `data`) the ensemble as a whole, from checkpoints to classes, in full,
    with `--fast`, `--agree .998` where so few photos allow it, and `--exact`. Beside it a plain
    loop over folds and views, each with its own pass of the loader, in torch's fp32 (on newer GPUs
    its convolutions have fewer bits); ttach's wrapper around each fold with its own pass; and the
    same with timm's loader and model.
    """
    device, views = choose_device(device_name), make_views("hflip")
    engine = Compute(device_name, workers)
    workers = default_workers(device.type) if workers is None else workers
    with tempfile.TemporaryDirectory() as temporary:
        place, checkpoints = Path(temporary), list[Checkpoint]()
        if isinstance(source, Path):
            if data is None:
                raise KitError(
                    "kit.bench infer: a run's own photos are needed; name the competition's "
                    "folder with --data"
                )
            checkpoints = _run_checkpoints(source, place)
            networks = [load(checkpoint.path, device) for checkpoint in checkpoints]
            card = checkpoints[0].card
            name, model, geometry, head, cosine = (
                str(source),
                card.model,
                card.geometry,
                card.head,
                card.cosine,
            )
            root, images = eval_images(data), read_eval(data)[:photos]
        else:
            name, model, geometry, head, cosine = (
                source.name,
                source.model,
                source.geometry,
                source.head,
                source.loss == "ldam",
            )
            networks = [Network(model, geometry, head, cosine).to(device).eval() for _ in range(5)]
            root, images = _training_photos(data, place, photos)
        torch.save([network.state_dict() for network in networks], place / "weights.pt")
        way = autotune(model, geometry, head, cosine, device)
        _link(root, images, place / "timm" / "photos")

        laid = (network.to(memory_format=torch.channels_last) for network in networks)  # type: ignore[call-overload]
        made = [] if checkpoints else [InferenceModel(network, way) for network in laid]

        def alone() -> np.ndarray:
            batches = engine.loader(PhotoDataset(root, images, [geometry]), device, way.photos)
            return predict(made, batches, views, device)[0].mean(axis=(0, 1)).argmax(axis=1)

        def ensemble(settings: Settings, exact: bool = False) -> np.ndarray:
            for kept in place.glob("runs/*/*/p*-*.npz"):
                kept.unlink()
            shutil.rmtree(place / "runs" / "pixels", ignore_errors=True)
            members, rule = [Member(name, tuple(checkpoints))], uniform_rule("mean", 1)
            with_exact = dataclasses.replace(engine, exact=exact)
            if settings.fast:
                return blend_early(members, rule, data, images, settings, with_exact, [0.0]).classes  # type: ignore[arg-type]
            return blend_in_full(members, rule, data, images, settings, with_exact).classes  # type: ignore[arg-type]

        ways: dict[str, Callable[[], np.ndarray]] = {"kit.ensemble": alone}
        if checkpoints:
            plain = Settings(tta="hflip")
            ways = {
                "kit.ensemble": lambda: ensemble(plain),
                "--fast": lambda: ensemble(dataclasses.replace(plain, fast=True)),
                "--agree .998": lambda: ensemble(
                    dataclasses.replace(plain, fast=True, agree=0.998)
                ),
                "--exact": lambda: ensemble(plain, exact=True),
            }
            try:
                sample_size(len(images), 0.998)
            except KitError:
                del ways["--agree .998"]  # so few photos would have to be run in full
        with contextlib.closing(
            Apart(
                _other_inference,
                place / "weights.pt",
                (model, geometry, head, cosine),
                root,
                images,
                place / "timm",
                workers,
                str(device),
            )
        ) as apart:
            times, classes = in_turns({**ways, **apart.ways}, rounds, "infer")
        forward = photos_per_second(InferenceModel(networks[0], way), device)
    passes = len(images) * len(networks) * len(views)
    truth = classes["a loop over folds and views"]
    same = {
        other: float(np.mean(own == truth))
        for other, own in classes.items()
        if not other.startswith("timm")
    }
    rows = [
        [
            other,
            f"{passes / np.median(own):.1f}",
            _ratio(times["a loop over folds and views"], own),
            f"{same[other]:.2%}" if other in same else "its own pixels",
        ]
        for other, own in times.items()
    ]
    peak, gflop = matrix_peak(device, way.precision), cost(model, geometry, head, cosine)[1]
    return Table(
        f"{len(networks)} {'folds' if len(networks) > 1 else 'fold'} x {len(views)} views of "
        f"{name} ({model}, "
        f"{geometry.size[0]} x {geometry.size[1]}), {len(images)} photos, {device}, {way.name}, "
        f"{way.photos} at once; "
        f"medians of {rounds}",
        ["way", "passes/s", "times as fast as the loop", "classes as the loop's"],
        rows,
        f"a network alone takes {forward:.1f} photos/s, {forward * gflop:,.0f} GFLOP/s of the "
        f"{peak:,.0f} that this "
        f"machine multiplies matrices with in {way.name} ({forward * gflop / peak:.0%})",
        {
            "way": way.describe(),
            "passes_per_second": {n: passes / float(np.median(t)) for n, t in times.items()},
            "times_the_loop": {
                n: float(np.median(times["a loop over folds and views"] / t))
                for n, t in times.items()
            },
            "same_classes": same,
            "forward_photos_per_second": forward,
            "gflops": forward * gflop,
            "matrix_gflops": peak,
        },
    )
