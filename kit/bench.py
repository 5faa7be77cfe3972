"""Measure the kit's speed on this machine, beside what one would write without it.

    python -m kit.bench
    python -m kit.bench infer runs/effb4_5fold --photos 256
    python -m kit.bench folds --people 142858

`photos` times decoding, resizing and augmenting; `train` a recipe's training steps; `infer` five folds and their mirrored
views, of a recipe with random weights, or of the checkpoints of a RUN or of one of its folds, with --fast, --agree and
--exact, too; `blend` fits blends and class biases to drawn probabilities; `folds` plans a table of a million photos; `audit`
looks for copies among the codes of 700,000. Without a name all but these two are measured, for effb4_5fold, and what follows
is recommended: about a quarter of an hour on two cores.

Ways are measured in turns, those that are not the kit's in a process of their own. A ratio is the median of the rounds'
ratios; beside it are the least and the largest. Photos are drawn, unless --data or KIT_DATA names a competition's folder.
"""

import contextlib
import dataclasses
import functools
import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from kit.audit import CODE_BITS, candidates
from kit.blend import fit, nested, plain_f1, uniform
from kit.console import Parser, Progress, command, say, show_table
from kit.data import eval_images, find_data, read_eval, train_images
from kit.early import exact_margins, run
from kit.errors import KitError, problem
from kit.folds import assign_folds, imbalance
from kit.labels import NUM_CLASSES, SHOTS
from kit.members import near
from kit.metrics import People
from kit.pixels import Photos, batches_of, cached, cores, decode, default_workers, fit as fit_photo, make_loader, one_pass
from kit.recipe import Recipe, load_recipe, shipped_recipe
from kit.tables import file_hash, label_photos, write_plan

if TYPE_CHECKING:
    import torch

    from kit.members import Checkpoint

Result = TypeVar("Result")


@dataclass(frozen=True)
class Table:
    """What was measured, for a person to read, and as numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str
    found: dict[str, Any]


def in_turns(ways: Mapping[str, Callable[[], Result]], rounds: int, what: str) -> tuple[dict[str, np.ndarray], dict[str, Result]]:
    """The seconds of each way in each round, (rounds,), and its last result; every other round goes backwards."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Result] = {}
    with Progress(f"bench {what}", len(ways) * rounds, "runs") as progress:
        for number in range(rounds):
            for name in (ways if number % 2 == 0 else reversed(list(ways))):
                started = time.perf_counter()
                results[name] = ways[name]()
                times[name].append(time.perf_counter() - started)
                progress.advance()
    return {name: np.array(values) for name, values in times.items()}, results


def _ratio(times: np.ndarray, base: np.ndarray) -> str:
    """How many times as long as the base it took, round by round: the median, and the least and the largest."""
    ratios = times / base
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} {ratios.max():.2f})"


class Apart:
    """Ways that are measured in a process of their own, which has none of the kit's settings, such as the memory it keeps.

    `make(*arguments)` makes the ways there; both must be picklable.
    """

    def __init__(self, make: Callable[..., Mapping[str, Callable[[], Any]]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments, multiprocessing.get_start_method()))
        self._process.start()
        theirs.close()
        try:
            names = self._ask(None)
        except BaseException:  # also Ctrl+C: nobody has it yet who would close it
            self.close()
            raise
        self.ways: dict[str, Callable[[], Any]] = {name: functools.partial(self._ask, name) for name in names}

    def _ask(self, name: str | None) -> Any:
        try:
            self._pipe.send(name)
            error, answer = self._pipe.recv()
        except (EOFError, OSError) as end:
            raise KitError("kit.bench: the process of the other ways has ended, most likely for memory; take fewer --photos or a "
                           "smaller recipe") from end
        if error is not None:
            raise error
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5)
        self._process.kill()
        self._process.join()


def _serve(pipe: Any, make: Callable[..., Mapping[str, Callable[[], Any]]], arguments: Sequence[Any], start: str) -> None:
    """The process's own part: makes the ways, says their names, and runs each one that it is asked for."""
    multiprocessing.set_start_method(start, force=True)  # loader processes start here as they do in the other one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process ends this one
    ways: Mapping[str, Callable[[], Any]] = {}
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name = pipe.recv()
            try:
                if name is None:
                    ways = make(*arguments)
                pipe.send((None, list(ways) if name is None else ways[name]()))
            except KitError as error:
                pipe.send((error, None))
            except Exception as error:  # any other as text: not every one can be sent
                pipe.send((RuntimeError(f"{type(error).__name__}: {error}"), None))


# ---------------------------------------------------------------- planning

def drawn_photos(people: int, seed: int = 0) -> pd.DataFrame:
    """A table `image, person, age, label` of `people` people with seven photos each, ages as in the competition."""
    rng = np.random.default_rng(seed)
    adult = np.where(rng.random(people) < 0.5, rng.integers(18, 30, people), rng.integers(30, 60, people))
    years = np.where(rng.random(people) < 0.07, 60, adult)
    gender = np.where(rng.random(people) < 0.6, "female", "male")
    person = np.array([f"{i:06d}_{g}_Asian_{y}" for i, (g, y) in enumerate(zip(gender, years))], dtype=object)
    n = len(SHOTS)
    photos = pd.DataFrame({"person": np.repeat(person, n), "gender": np.repeat(gender, n), "age": np.repeat(years, n),
                           "mask": np.tile(list(SHOTS.values()), people)})
    photos["image"] = photos["person"] + "/" + np.tile(list(SHOTS), people) + ".jpg"
    photos["label"] = label_photos(photos)
    return photos[["image", "person", "age", "label"]]


def bench_folds(people: int) -> Table:
    """Seconds of each stage of planning 5 folds for a drawn table, without photos, and the process's peak memory."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started
        return result

    photos = drawn_photos(people)
    photos["fold"] = timed("assign folds", lambda: assign_folds(photos, 5, 42))
    unbalanced = timed("check the balance", lambda: imbalance(photos))
    with tempfile.TemporaryDirectory() as folder:
        ordered = timed("sort", lambda: photos.sort_values("image", ignore_index=True))
        timed("write and read back", lambda: write_plan(Path(folder) / "folds.csv", ordered, {}))
    if unbalanced:
        raise KitError(f"the plan is not balanced: {unbalanced[0]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(f"Planning {len(photos):,} photos of {people:,} people", ["stage", "seconds"],
                 [[name, f"{value:.2f}"] for name, value in (seconds | {"all": sum(seconds.values())}).items()],
                 f"peak memory {peak:,.0f} MB", {"seconds": seconds, "peak_MB": peak})


def bench_audit(people: int) -> Table:
    """Seconds and memory of the leak audit's search among drawn codes of seven photos a person, a tenth of them copies.

    A bit of a code is 1 with a probability of .77: so two people share a code as often as two real portraits do. A person's
    photos have half of their 90 codes in common; a copy keeps 8.
    """
    rng = np.random.default_rng(0)
    codes = np.empty((people, 7, 90), np.uint64)
    with Progress("drawing codes", people, "people") as progress:
        for own in codes:
            bits = rng.random((8 * 45, CODE_BITS), np.float32) < 0.77
            unsure = rng.integers(6, CODE_BITS, len(bits), np.uint64) << np.uint64(CODE_BITS)
            drawn = bits @ (1 << np.arange(CODE_BITS, dtype=np.uint64)) | unsure
            own[:, :45], own[:, 45:] = drawn[:45], drawn[45:].reshape(7, 45)
            progress.advance()
    copies = [(a, a + people // 2) for a in range(people // 10)]
    for a, b in copies:
        codes[b, 0, :8] = codes[a, 0, -8:]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter()
    found = candidates(codes.ravel(), np.repeat(np.arange(people, dtype=np.int32), 7 * 90), people)
    seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = len(set(copies) & set(found)) / len(copies)
    return Table(f"The leak audit's search among {7 * people:,} photos of {people:,} people", ["what", "found"],
                 [["copies", f"{share:.1%}"], ["other pairs", str(len(set(found) - set(copies)))], ["seconds", f"{seconds:.1f}"]],
                 f"peak memory {peak:,.0f} MB, {before:,.0f} of them before the search",
                 {"seconds": seconds, "peak_MB": peak, "copies": share, "candidates": len(found)})


# ---------------------------------------------------------------- photos

def _training_photos(data: Path | None, folder: Path, photos: int) -> tuple[Path, list[str]]:
    """So many training photos, the competition's or drawn ones: the folder that they lie below, and their names."""
    if data is None:
        from kit.sample import draw_sample
        data = folder / "data"
        draw_sample(data, people=max(50, math.ceil(photos / len(SHOTS))), eval_people=1)
    root = train_images(data)
    images = sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/[!.]*"))[:photos]
    if not images:
        raise problem(root, "holds no photos", remedy="unpack the data again, or take drawn photos: no --data, no KIT_DATA")
    return root, images


def augment_on_device(photos: "torch.Tensor") -> "torch.Tensor":
    """Geometry and colour of a batch (N, 3, height, width) in 0..1 at once, about as the recipes' transforms have them."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample
    n = len(photos)

    def uniform_(low: float, high: float) -> torch.Tensor:
        return torch.empty(n, device=photos.device).uniform_(low, high)
    angle, scale, mirror = uniform_(-0.17, 0.17), uniform_(0.9, 1.1), uniform_(-1, 1).sign()
    rows = [torch.stack([angle.cos() * mirror / scale, -angle.sin() / scale, uniform_(-0.1, 0.1)], dim=1),
            torch.stack([angle.sin() * mirror / scale, angle.cos() / scale, uniform_(-0.1, 0.1)], dim=1)]
    grid = affine_grid(torch.stack(rows, dim=1), list(photos.shape), align_corners=False)
    moved = grid_sample(photos, grid, padding_mode="reflection", align_corners=False)
    bright, contrast, colour = (uniform_(0.8, 1.2)[:, None, None, None] for _ in range(3))
    grey = moved.mean(dim=1, keepdim=True)
    moved = (grey + (moved - grey) * colour - 0.5) * contrast + 0.5
    return (moved * bright + 0.02 * torch.randn_like(moved)).clamp(0, 1)


def bench_photos(recipe: Recipe, rounds: int, data: Path | None = None, device_name: str | None = None) -> Table:
    """Photos a second of decoding, of resizing as a recipe has it, and of its augmentation, each beside other ways."""
    import cv2
    import torch
    from PIL import Image

    from kit.device import choose_device, clock, to_device
    from kit.pixels import FRAME
    device, geometry = choose_device(device_name), recipe.geometry
    height, width = geometry.size
    with tempfile.TemporaryDirectory() as folder:
        root, images = _training_photos(data, Path(folder), 128)
        paths = [root / image for image in images]
        share = geometry.crop[0] / FRAME[0], geometry.crop[1] / FRAME[1]

        def pil() -> None:
            for path in paths:
                with Image.open(path) as file:
                    photo = file.convert("RGB")
                w, h = photo.size
                left, top = w * (1 - share[1]) / 2, h * (1 - share[0]) / 2
                np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, (left, top, w - left, h - top)))

        def opencv() -> None:
            for path in paths:
                photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
                h, w = photo.shape[:2]
                left, top = round(w * (1 - share[1]) / 2), round(h * (1 - share[0]) / 2)
                cv2.resize(photo[top:h - top, left:w - left], (width, height))

        cache = cached(Path(folder) / "pixels", root, images, geometry)
        if cache is None:
            raise KitError("kit.bench photos: the temporary folder has no room for a pixel cache; set TMPDIR to another disk")
        decoded = [decode(path)[0] for path in paths]
        kept, plain = Photos(root, images, [geometry], cache=cache), [fit_photo(photo, geometry) for photo in decoded]
        stacked = torch.from_numpy(np.stack(plain))
        transform = recipe.augment() if recipe.augment else None

        def augmented() -> None:
            for photo in plain:
                transform(image=photo)  # type: ignore[misc]

        def on_device() -> None:
            for batch in stacked.split(32):
                augment_on_device(to_device(batch, device))
            clock(device)

        groups: dict[str, dict[str, Callable[[], Any]]] = {
            "decode": {"the kit's (PIL)": lambda: [decode(path) for path in paths],
                       "OpenCV": lambda: [cv2.imread(str(path)) for path in paths]},
            "decode, crop, resize": {"the kit's (PIL, then OpenCV)": lambda: [fit_photo(decode(p)[0], geometry) for p in paths],
                                     "PIL alone": pil, "OpenCV alone": opencv,
                                     "from the kit's pixel cache": lambda: [kept[i] for i in range(len(paths))]},
            "augment": {"albumentations, as the recipe": augmented, f"torch on {device}, 32 at once": on_device}}
        if transform is None:
            del groups["augment"]
        rows, found = [], {}
        for stage, ways in groups.items():
            times, _ = in_turns(ways, rounds, stage)
            base = next(iter(times.values()))
            for name, own in times.items():
                found[f"{stage}: {name}"] = len(paths) / float(np.median(own))
                rows.append([f"{stage}: {name}", f"{len(paths) / np.median(own):,.0f}", _ratio(own, base)])
    return Table(f"Photos of {'the competition' if data else 'the drawn sample'} at {height} x {width}, one process; medians of "
                 f"{rounds}", ["", "photos/s", "times the first one's time"], rows,
                 "OpenCV is fast, but returns a photo whose file ends too early half grey, without an error", found)


# ---------------------------------------------------------------- training

def _timed_steps(batches: Iterable[Any], work: Callable[[Any], Any], steps: int, device: "torch.device") -> tuple[float, float]:
    """Seconds of the steps after the first, which starts the loader and sets things up, and of waiting for photos in them.

    A GPU is waited for before and after them only.
    """
    from kit.device import clock
    waited = started = asked = 0.0
    for n, batch in enumerate(batches):
        waited += time.perf_counter() - asked if n else 0.0
        work(batch)
        asked = clock(device) if n in (0, steps) else time.perf_counter()
        started = started or asked
        if n == steps:
            return asked - started, waited
    raise KitError(f"kit.bench train: there are too few photos for {steps + 1} steps; take fewer --steps, or drawn photos")


def _own_training(recipe: Recipe, root: Path, images: Sequence[str], folder: Path | None, steps: int, workers: int,
                  device: "torch.device") -> Callable[[], tuple[float, float]]:
    """Training as `kit.train` does it, with a pixel cache in `folder`; without one plainly, with no layout or precision."""
    import torch

    from kit.learn import EpochBatches, Learner
    labels = torch.arange(len(images)) % NUM_CLASSES
    cache = cached(folder, root, images, recipe.geometry) if folder else None
    learner = Learner(recipe, np.ones(NUM_CLASSES), device, plain=folder is None)

    def steps_of_it() -> tuple[float, float]:
        loader = make_loader(Photos(root, images, [recipe.geometry], recipe.augment, cache),
                             EpochBatches(recipe, labels.numpy(), 0), workers, device)
        return _timed_steps(one_pass(loader), lambda batch: learner.step([(batch[1][0], labels[batch[0]])], recipe.lr, 0),
                            steps, device)
    return steps_of_it


def _other_training(path: Path, root: Path, images: Sequence[str], timms: Path, steps: int, workers: int,
                    device_name: str) -> dict[str, Callable[[], tuple[float, float]]]:
    """Training of the recipe in a file as one would write it without the kit."""
    import timm
    import torch
    recipe, device = dataclasses.replace(load_recipe(path), pretrained=False, accumulate=1), torch.device(device_name)
    model = timm.create_model(recipe.model, num_classes=NUM_CLASSES).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr)

    def step(batch: Any) -> None:
        photos, targets = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(photos), targets, label_smoothing=recipe.label_smoothing).backward()
        optimizer.step()

    def with_timm() -> tuple[float, float]:
        return _timed_steps(_timm_loader(timms, recipe.size, recipe.batch_size, workers, device, True), step, steps, device)
    return {"the same without what makes it fast": _own_training(recipe, root, images, None, steps, workers, device),
            "timm's loader and model": with_timm}


def bench_train(path: Path, rounds: int, steps: int, data: Path | None = None, device_name: str | None = None,
                workers: int | None = None) -> Table:
    """Photos a second of training the recipe in a file, and the share of time spent waiting for them; weights are random.

    Each round takes `steps` steps as `kit.train` does them, as the same loop without layout, cache, memory kept, or choice
    of precision, and with timm's own loader, transforms and model.
    """
    from kit.device import choose_device, choose_precision, peak_memory, precision_name
    from kit.learn import enough_memory
    from kit.models import cost
    recipe = dataclasses.replace(load_recipe(path), pretrained=False, accumulate=1)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    with tempfile.TemporaryDirectory() as temporary, enough_memory(recipe, device):
        folder = Path(temporary)
        root, images = _training_photos(data, folder, recipe.batch_size * (steps + 1))
        _link(root, images, folder / "timm" / "photos")
        others = Apart(_other_training, path, root, images, folder / "timm", steps, workers, str(device))
        with contextlib.closing(others) as apart:
            own = _own_training(recipe, root, images, folder / "pixels", steps, workers, device)
            found = _rounds({"kit.train": own, **apart.ways}, rounds, "train")
        memory = peak_memory(device)
    base = found["kit.train"][:, 0]
    rows = [[name, f"{recipe.batch_size * steps / np.median(values[:, 0]):.2f}",
             f"{100 * np.median(values[:, 1] / values[:, 0]):.1f} %", _ratio(values[:, 0], base)]
            for name, values in found.items()]
    parameters, gflop = cost(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam")
    precision = choose_precision(device, parameters)
    peak, reached = matrix_peak(device, precision), 3 * gflop * recipe.batch_size * steps / float(np.median(base))
    name = precision_name(precision)
    return Table(f"Training {recipe.name} ({recipe.model}, {recipe.size[0]} x {recipe.size[1]}, batches of {recipe.batch_size}, "
                 f"{device}, {name}), medians of {rounds}",
                 ["loop", "photos/s", "waiting for data", "times kit.train's time"], rows,
                 f"kit.train: {reached:,.0f} GFLOP/s of the {peak:,.0f} that this machine multiplies matrices with in {name} "
                 f"({reached / peak:.0%}); peak memory {memory / 1e9:.1f} GB",
                 {"precision": name, "batch_size": recipe.batch_size, "peak_bytes": memory,
                  "gflops": reached, "matrix_gflops": peak,
                  "photos_per_second": {n: recipe.batch_size * steps / float(np.median(v[:, 0])) for n, v in found.items()},
                  "waiting": {n: float(np.median(v[:, 1] / v[:, 0])) for n, v in found.items()},
                  "times_kit_train": {n: float(np.median(v[:, 0] / base)) for n, v in found.items()}})


def _rounds(ways: Mapping[str, Callable[[], tuple[float, float]]], rounds: int, what: str) -> dict[str, np.ndarray]:
    """Like `in_turns`, for ways that time themselves: what each returned in each round, (rounds, 2)."""
    told: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}

    def tell(name: str) -> None:
        told[name].append(ways[name]())
    in_turns({name: functools.partial(tell, name) for name in ways}, rounds, what)
    return {name: np.array(values) for name, values in told.items()}


def _link(root: Path, images: Sequence[str], folder: Path) -> None:
    """Photos below `root` in one folder, as a loader of folders wants them."""
    folder.mkdir(parents=True)
    for n, image in enumerate(images):
        (folder / f"{n:06d}{Path(image).suffix}").symlink_to((root / image).resolve())


def _timm_loader(folder: Path, size: tuple[int, int], batch: int, workers: int, device: "torch.device", training: bool) -> Any:
    """timm's loader of the photos below a folder, as its own scripts make it, at a size (height, width)."""
    from timm.data import ImageDataset, create_loader  # type: ignore[attr-defined]
    return create_loader(ImageDataset(str(folder)), (3, *size), batch, is_training=training, use_prefetcher=False,
                         num_workers=workers, interpolation="bilinear", crop_pct=1.0, persistent_workers=False,
                         pin_memory=device.type == "cuda", device=device)


# ---------------------------------------------------------------- inference

def matrix_peak(device: "torch.device", precision: "torch.dtype") -> float:
    """GFLOP/s of multiplying two large square matrices in a precision: what a network can at best come near."""
    import torch

    from kit.device import clock
    # A GPU takes less time for such a product than to be asked for it: it gets many, and larger ones.
    (side, products), best = (4096, 1) if device.type == "cpu" else (8192, 20), 0.0
    a = torch.randn(side, side, device=device).to(precision)
    for _ in range(4):
        started = clock(device)
        for _ in range(products):
            a @ a
        best = max(best, products * 2 * side**3 / (clock(device) - started) / 1e9)
    return best


def _run_checkpoints(folder: Path, place: Path) -> list["Checkpoint"]:
    """The checkpoints of a run, or of one of its folds, copied to a place where nothing is kept beside them yet."""
    from kit.checkpoint import read_card
    from kit.members import Checkpoint
    found = []
    for path in sorted(folder.glob("fold*/best.safetensors")) or sorted(folder.glob("best.safetensors")):
        target = place / "runs" / path.resolve().parents[1].name / path.resolve().parent.name / path.name
        target.parent.mkdir(parents=True)
        shutil.copyfile(path, target)
        found.append(Checkpoint(target, read_card(target), file_hash(target)))
    if not found:
        raise problem(folder, "holds no checkpoint", remedy="name a recipe's file or a trained run's folder")
    if len({(c.card.model, c.card.geometry) for c in found}) > 1:
        raise problem(folder, "holds folds of different networks", remedy="name a run of one recipe")
    return found


def _other_inference(weights: Path, architecture: tuple[Any, ...], root: Path, images: Sequence[str], timms: Path, workers: int,
                     device_name: str) -> dict[str, Callable[[], np.ndarray]]:
    """The classes (N,) of photos by folds and two views, as one would compute them without the kit."""
    import torch
    import ttach

    from kit.device import to_device
    from kit.members import BATCH_SIZE
    from kit.models import Network
    from kit.views import make_views
    device, networks, geometry = torch.device(device_name), [], architecture[1]
    for state in torch.load(weights, map_location="cpu", weights_only=True):
        networks.append(Network(*architecture).eval())
        networks[-1].load_state_dict(state)
        networks[-1].to(device)

    def own_batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        loader = make_loader(Photos(root, images, [geometry]), batches_of(len(images), BATCH_SIZE), workers, device)
        for at, (batch,) in one_pass(loader):
            yield at, to_device(batch, device).contiguous()

    def timms_batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        at = 0
        for batch, _ in _timm_loader(timms, geometry.size, BATCH_SIZE, workers, device, False):
            yield torch.arange(at, at + len(batch)), batch.to(device)
            at += len(batch)

    def loop(batches: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]], wrapped: bool) -> np.ndarray:
        total = np.zeros((len(images), NUM_CLASSES))
        with torch.no_grad():
            for network in networks:
                softmax = torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
                wrapper = ttach.ClassificationTTAWrapper(softmax, ttach.Compose([ttach.HorizontalFlip()]))
                for view in [lambda seen: seen] if wrapped else make_views("hflip").values():
                    for at, seen in batches():
                        total[at.numpy()] += (wrapper if wrapped else softmax)(view(seen)).cpu().numpy()
        return total.argmax(axis=1)

    return {"a loop over folds and views": lambda: loop(own_batches, False),
            "ttach's wrapper a fold": lambda: loop(own_batches, True),
            "timm's loader, a loop": lambda: loop(timms_batches, False)}


def bench_infer(source: Recipe | Path, rounds: int, photos: int, data: Path | None = None, device_name: str | None = None,
                workers: int | None = None) -> Table:
    """Passes a second of folds and two views over photos; a pass is a photo, a fold and a view.

    Of a recipe five folds with random weights: networks alone, as `kit.ensemble` runs them. Of a run's folder (which needs
    `data`) the ensemble as a whole, from checkpoints to classes, in full, with `--fast`, `--agree .998` where so few photos
    allow it, and `--exact`. Beside it a plain loop over folds and views, each with its own pass of the loader, in torch's fp32
    (on newer GPUs its convolutions have fewer bits); ttach's wrapper around each fold with its own pass; and the same with
    timm's loader and model.
    """
    import torch

    from kit.checkpoint import load
    from kit.device import choose_device
    from kit.early import sample_size
    from kit.ensemble import Settings, blend_early, blend_in_full
    from kit.fast import Ready, measured_way, photos_per_second
    from kit.members import Engine, Member
    from kit.models import Network, cost
    from kit.predict import predict
    from kit.views import make_views
    device, views = choose_device(device_name), make_views("hflip")
    engine = Engine(device_name, workers)
    workers = default_workers(device.type) if workers is None else workers
    with tempfile.TemporaryDirectory() as temporary:
        place, checkpoints = Path(temporary), list["Checkpoint"]()
        if isinstance(source, Path):
            if data is None:
                raise KitError("kit.bench infer: a run's own photos are needed; name the competition's folder with --data")
            checkpoints = _run_checkpoints(source, place)
            networks = [load(checkpoint.path, device) for checkpoint in checkpoints]
            card = checkpoints[0].card
            name, model, geometry, head, cosine = str(source), card.model, card.geometry, card.head, card.cosine
            root, images = eval_images(data), read_eval(data)[:photos]
        else:
            name, model, geometry, head, cosine = source.name, source.model, source.geometry, source.head, source.loss == "ldam"
            networks = [Network(model, geometry, head, cosine).to(device).eval() for _ in range(5)]
            root, images = _training_photos(data, place, photos)
        torch.save([network.state_dict() for network in networks], place / "weights.pt")
        way = measured_way(model, geometry, head, cosine, device)
        _link(root, images, place / "timm" / "photos")

        laid = (network.to(memory_format=torch.channels_last) for network in networks)  # type: ignore[call-overload]
        made = [] if checkpoints else [Ready(network, way) for network in laid]

        def alone() -> np.ndarray:
            batches = engine.loader(Photos(root, images, [geometry]), device, way.photos)
            return predict(made, batches, views, device)[0].mean(axis=(0, 1)).argmax(axis=1)

        def ensemble(settings: Settings, exact: bool = False) -> np.ndarray:
            for kept in place.glob("runs/*/*/p*-*.npz"):
                kept.unlink()
            shutil.rmtree(place / "runs" / "pixels", ignore_errors=True)
            members, rule = [Member(name, tuple(checkpoints))], uniform("mean", 1)
            with_exact = dataclasses.replace(engine, exact=exact)
            if settings.fast:
                return blend_early(members, rule, data, images, settings, with_exact, [0.0]).classes  # type: ignore[arg-type]
            return blend_in_full(members, rule, data, images, settings, with_exact).classes  # type: ignore[arg-type]

        ways: dict[str, Callable[[], np.ndarray]] = {"kit.ensemble": alone}
        if checkpoints:
            plain = Settings(tta="hflip")
            ways = {"kit.ensemble": lambda: ensemble(plain),
                    "--fast": lambda: ensemble(dataclasses.replace(plain, fast=True)),
                    "--agree .998": lambda: ensemble(dataclasses.replace(plain, fast=True, agree=0.998)),
                    "--exact": lambda: ensemble(plain, exact=True)}
            try:
                sample_size(len(images), 0.998)
            except KitError:
                del ways["--agree .998"]  # so few photos would have to be run in full
        with contextlib.closing(Apart(_other_inference, place / "weights.pt", (model, geometry, head, cosine), root, images,
                                      place / "timm", workers, str(device))) as apart:
            times, classes = in_turns({**ways, **apart.ways}, rounds, "infer")
        forward = photos_per_second(Ready(networks[0], way), device)
    passes = len(images) * len(networks) * len(views)
    truth = classes["a loop over folds and views"]
    same = {other: float(np.mean(own == truth)) for other, own in classes.items() if not other.startswith("timm")}
    rows = [[other, f"{passes / np.median(own):.1f}", _ratio(times["a loop over folds and views"], own),
             f"{same[other]:.2%}" if other in same else "its own pixels"] for other, own in times.items()]
    peak, gflop = matrix_peak(device, way.precision), cost(model, geometry, head, cosine)[1]
    return Table(f"{len(networks)} {'folds' if len(networks) > 1 else 'fold'} x {len(views)} views of {name} ({model}, "
                 f"{geometry.size[0]} x {geometry.size[1]}), {len(images)} photos, {device}, {way.name}, {way.photos} at once; "
                 f"medians of {rounds}",
                 ["way", "passes/s", "times as fast as the loop", "classes as the loop's"], rows,
                 f"a network alone takes {forward:.1f} photos/s, {forward * gflop:,.0f} GFLOP/s of the {peak:,.0f} that this "
                 f"machine multiplies matrices with in {way.name} ({forward * gflop / peak:.0%})",
                 {"way": way.describe(), "passes_per_second": {n: passes / float(np.median(t)) for n, t in times.items()},
                  "times_the_loop": {n: float(np.median(times["a loop over folds and views"] / t)) for n, t in times.items()},
                  "same_classes": same, "forward_photos_per_second": forward, "gflops": forward * gflop, "matrix_gflops": peak})


# ---------------------------------------------------------------- blends

def drawn_members(people: int, members: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Probabilities (members, N, 18) float32 whose errors correlate, and the photos they are of, with `label` and `fold`."""
    rng = np.random.default_rng(seed)
    photos = drawn_photos(people, seed)
    fold = rng.permutation(people) % 5
    photos["fold"] = np.repeat(fold, len(SHOTS))
    label, n = photos["label"].to_numpy(), len(photos)
    shared = rng.normal(size=(n, NUM_CLASSES)).astype(np.float32)
    shared[np.arange(n), label] += np.where(rng.random(n) < 0.7, 4.0, 1.0)
    probs = np.empty((members, n, NUM_CLASSES), np.float32)
    for target in probs:
        logits = 0.9 * shared + 0.45 * rng.standard_normal((n, NUM_CLASSES), np.float32)
        np.exp(rng.uniform(1.5, 2.5) * (logits - logits.max(axis=1, keepdims=True)), out=target)
        target /= target.sum(axis=1, keepdims=True)
    return probs, photos


def bench_blend(people: int, members: int) -> Table:
    """Seconds of fitting each blend and the class biases, alone and nested in five folds, and the passes that `--fast` saves."""
    probs, photos = drawn_members(people, members)
    label, person, fold = (photos[name].to_numpy() for name in ("label", "person", "fold"))
    rows, kept = [], {}
    with Progress("bench blend", 5, "fits") as progress:
        for blend, decision in (("mean", "argmax"), ("mean", "bias"), ("weights", "argmax"), ("greedy", "argmax")):
            started = time.perf_counter()
            rule = fit(probs, label, person, blend, decision)
            once = time.perf_counter() - started
            classes, _, _ = nested(probs, label, person, fold, functools.partial(fit, blend=blend, decision=decision))
            kept[blend, decision] = classes
            rows.append([f"{blend} + {decision}", f"{once:.1f}", f"{time.perf_counter() - started:.1f}",
                         f"{plain_f1(rule.classes(probs), label):.4f}", f"{plain_f1(classes, label):.4f}"])
            progress.advance()
        started = time.perf_counter()
        of = People(person, label)
        draws = of.macro(kept["greedy", "argmax"]) - of.macro(kept["mean", "argmax"])
        rows.append([f"{len(draws):,} draws of people, twice", "", f"{time.perf_counter() - started:.1f}", "", ""])
        progress.advance()
    count = min(members, 10)
    weights = np.full(count, 1 / count)
    _, taken = run(lambda p, at: probs[p, at], weights, np.ones(NUM_CLASSES), exact_margins(count), len(photos))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Table(f"Blending {members} members x {len(photos):,} photos x {NUM_CLASSES} classes",
                 ["", "s once", "s with five nested", "in-sample", "nested"], rows,
                 f"deciding early, the first {count} members: {1 - taken.mean() / count:.1%} of the passes saved; peak memory "
                 f"{peak:,.0f} MB",
                 {"seconds_nested": {row[0]: float(row[2]) for row in rows}, "saved": float(1 - taken.mean() / count),
                  "peak_MB": peak})


def recommended(photos: Table, training: Table, inference: Table, device_type: str) -> str:
    """The batch sizes, precision and workers that the measurements speak for."""
    way = inference.found["way"]
    rate = training.found["photos_per_second"]["kit.train"]
    feed = photos.found["decode, crop, resize: from the kit's pixel cache"]
    augment = photos.found.get("augment: albumentations, as the recipe", math.inf)
    each = 1 / (1 / feed + 1 / augment)  # photos a second that one loader process makes
    workers = min(cores() - 1, math.ceil(1.2 * rate / each)) if device_type == "cuda" else 0
    return (f"recommended here: training in {training.found['precision']} with batches of {training.found['batch_size']}, "
            f"--workers {workers} (a process makes {each:,.0f} augmented photos/s, a step takes {rate:,.1f}); inference in "
            f"{way['precision']}, {way['photos']} photos at once, as kit.ensemble does by itself")


def bench_all(path: Path, args: Any, data: Path | None) -> list[Table]:
    """Photos, training, inference and blending, and what follows from them."""
    from kit.device import choose_device
    recipe = load_recipe(path)
    tables = [bench_photos(recipe, args.pairs, data, args.device),
              bench_train(path, args.pairs, args.steps, data, args.device, args.workers),
              bench_infer(recipe, args.pairs, args.photos, data, args.device, args.workers),
              bench_blend(args.people or 2700, min(args.members, 20))]
    advice = recommended(tables[0], tables[1], tables[2], choose_device(args.device).type)
    return [*tables[:3], dataclasses.replace(tables[3], summary=f"{tables[3].summary}\n{advice}")]


def _measure(args: Any, path: Path, data: Path | None) -> list[Table]:
    if args.what == "folds":
        return [bench_folds(args.people or 142_858)]
    if args.what == "audit":
        return [bench_audit(args.people or 100_000)]
    if args.what == "blend":
        return [bench_blend(args.people or 2700, args.members)]
    from kit.device import choose_device
    # So many that the batches which are ready before a measurement starts, and what comes once, do not count.
    on_gpu = choose_device(args.device).type == "cuda"
    args.steps, args.photos = args.steps or (60 if on_gpu else 2), args.photos or (2000 if on_gpu else 24)
    if args.what == "all":
        return bench_all(path, args, data)
    if args.what == "photos":
        return [bench_photos(load_recipe(path), args.pairs, data, args.device)]
    if args.what == "train":
        return [bench_train(path, args.pairs, args.steps, data, args.device, args.workers)]
    return [bench_infer(path if path.is_dir() else load_recipe(path), args.pairs, args.photos, data, args.device, args.workers)]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["all", "photos", "train", "infer", "blend", "folds", "audit"], default="all",
                        help="what to measure (default: all but folds and audit)")
    parser.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE|RUN",
                        help="a recipe's file (default: effb4_5fold), or for infer a trained run's folder")
    parser.add_argument("--data", help="for real photos, the competition's folder (default: $KIT_DATA, else drawn ones)")
    parser.add_argument("--people", type=int,
                        help="people in the table (default: for folds 142858, a million photos, audit 100000, blend 2700)")
    parser.add_argument("--members", type=int, default=100, help="for blend: members (default: 100)")
    parser.add_argument("--pairs", type=int, default=3, help="rounds of measurements (default: 3)")
    parser.add_argument("--steps", type=int, help="for train: steps in each one (default: 2, on a GPU 60)")
    parser.add_argument("--photos", type=int, help="for infer: photos (default: 24, on a GPU 2000)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--json", action="store_true", help="print numbers, for a program to read, instead of tables")
    args = parser.parse_args(argv)
    for name, value, most in (("pairs", args.pairs, 1000), ("steps", args.steps, 1000), ("photos", args.photos, 100_000)):
        if value is not None and not 1 <= value <= most:
            raise KitError(f"--{name} {value}: take 1 to {most}")
    if not 2 <= args.members <= 1000:
        raise KitError(f"--members {args.members}: take 2 to 1000")
    if args.workers is not None and args.workers < 0:
        raise KitError(f"--workers {args.workers}: take 0 or more")
    if args.what in ("folds", "audit"):
        if not 1000 <= (args.people or 142_858) <= 2_000_000:
            raise KitError(f"--people {args.people}: take 1000, so that every class has enough people, to 2000000")
    elif not 50 <= (args.people or 2700) <= 20_000:
        raise KitError(f"--people {args.people}: for blend take 50 to 20000")
    own = Path("recipes/effb4_5fold.py")
    path = args.recipe or (own if own.exists() else shipped_recipe(own.stem))
    if path.is_dir() and args.what != "infer":
        raise problem(path, "is a folder", remedy="name a recipe's file; a trained run's folder is for kit.bench infer")
    if args.what == "infer" and path.suffix != ".py" and not path.exists():
        raise problem(path, f"there is no such run{near(path)}", remedy="name a trained run's folder, or a recipe's file")
    data = find_data(args.data) if args.data or os.environ.get("KIT_DATA") else None
    with contextlib.redirect_stdout(sys.stderr):  # what is said meanwhile, of caches and probes
        tables = _measure(args, path, data)
    if args.json:
        return say(json.dumps({table.title: table.found for table in tables}, indent=1))
    for n, table in enumerate(tables):
        say() if n else None
        show_table(table.title, table.columns, table.rows)
        say(table.summary, style="bold")


if __name__ == "__main__":
    sys.exit(main())
