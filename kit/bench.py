"""Measure the kit's speed and memory on this machine.

    python -m kit.bench folds --people 142858
    python -m kit.bench train recipes/effb4_5fold.py
    python -m kit.bench infer recipes/effb4_5fold.py
    python -m kit.bench blend --people 2700 --members 100

`folds` plans 5 folds for a table of that many people with seven photos each, without photos, and times every stage. `train`
times a recipe's training side by side with the same loop without what makes it fast, and `infer` an ensemble of its five folds
and their mirrored views side by side with the loops that one would write without the kit. `blend` fits blends and class biases to
drawn probabilities of that many members, scores them nested, and tells what deciding early saves.
"""

import dataclasses
import functools
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kit.blend import fit, nested, plain_f1
from kit.console import Parser, Progress, command, say, show_table
from kit.early import exact_margins, run
from kit.errors import KitError
from kit.folds import assign_folds, imbalance
from kit.labels import NUM_CLASSES, SHOTS
from kit.metrics import People
from kit.recipe import Recipe, load_recipe
from kit.tables import label_photos, write_plan

Result = TypeVar("Result")


@dataclass(frozen=True)
class Table:
    """What was measured, for a person to read."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str


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


def bench_folds(people: int) -> dict[str, float]:
    """Seconds of each stage of planning 5 folds for a drawn table, and the process's peak memory in MB."""
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
    return seconds | {"peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _draw(data: Path, photos: int) -> tuple[Path, list[str]]:
    """So many drawn training photos: the folder that they lie below, and their names."""
    from kit.data import train_images
    from kit.sample import draw_sample
    draw_sample(data, people=max(50, math.ceil(photos / len(SHOTS))), eval_people=1)
    root = train_images(data)
    return root, sorted(f"{p.parent.name}/{p.name}" for p in root.glob("*/[!.]*"))[:photos]


def bench_train(recipe: Recipe, pairs: int, steps: int, device_name: str | None = None, workers: int | None = None) -> Table:
    """Photos a second of training a recipe on drawn photos, and the share of time spent waiting for them.

    Measured in `pairs` of `steps` steps each: as `kit.train` does it, and the same loop without channels-last layout, pixel
    cache and choice of precision. Weights are random.
    """
    import torch

    from kit.learn import EpochBatches, Learner, enough_memory
    from kit.pixels import Photos, cached, default_workers, make_loader, one_pass
    from kit.device import choose_device
    recipe = dataclasses.replace(recipe, pretrained=False, accumulate=1)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    times: dict[str, list[tuple[float, float]]] = {"as kit.train does it": [], "without layout, cache, precision": []}
    with tempfile.TemporaryDirectory() as folder, enough_memory(recipe, device):
        root, images = _draw(Path(folder) / "data", recipe.batch_size * (steps + 1))
        labels = torch.arange(len(images)) % NUM_CLASSES
        cache = cached(Path(folder) / "pixels", root, images, recipe.geometry)

        def clock() -> float:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return time.perf_counter()

        def epoch(name: str, learner: Learner, loader: Any) -> None:
            """One epoch, its first step untimed: it starts the loader and warms up."""
            waited, started, asked = 0.0, 0.0, 0.0
            for n, (at, (photos,)) in enumerate(one_pass(loader)):
                waited += time.perf_counter() - asked if n else 0.0
                learner.step([(photos, labels[at])], recipe.lr, n)
                asked = clock()
                started = started or asked
            times[name].append((clock() - started, waited))

        learners = [Learner(recipe, np.ones(NUM_CLASSES), device, plain) for plain in (False, True)]
        loaders = [make_loader(Photos(root, images, [recipe.geometry], recipe.augment, kept),
                               EpochBatches(recipe, labels.numpy(), 0), workers, device) for kept in (cache, None)]
        with Progress("bench train", 2 * pairs, "epochs") as progress:
            for pair in range(pairs):
                for which in ((0, 1) if pair % 2 == 0 else (1, 0)):  # neither always comes second
                    epoch(list(times)[which], learners[which], loaders[which])
                    progress.advance()
    measured = {name: np.array(values) for name, values in times.items()}
    ratios = np.divide(*(values[:, 0] for values in reversed(measured.values())))
    rows = [[name, f"{recipe.batch_size * steps / np.median(values[:, 0]):.2f}",
             f"{100 * np.median(values[:, 1] / values[:, 0]):.1f} %"] for name, values in measured.items()]
    return Table(f"Training {recipe.name} ({recipe.model}, {recipe.size[0]} x {recipe.size[1]}, batches of {recipe.batch_size}, "
                 f"{device}, {str(learners[0].precision).removeprefix('torch.')}), medians of {pairs} pairs",
                 ["loop", "photos/s", "waiting for data"], rows,
                 f"{np.median(ratios):.2f} times as fast (pairs: {' '.join(f'{ratio:.2f}' for ratio in ratios)})")


def matrix_peak(device: Any, precision: Any) -> float:
    """GFLOP/s of multiplying two matrices of 4,096 x 4,096 in a precision: what a network can at best come near."""
    import torch
    side, best = 4096, 0.0
    a = torch.randn(side, side, device=device).to(precision)
    for _ in range(4):
        started = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits for a GPU
        best = max(best, 2 * side**3 / (time.perf_counter() - started) / 1e9)
    return best


def bench_infer(recipe: Recipe, pairs: int, photos: int, device_name: str | None = None, workers: int | None = None) -> Table:
    """Passes a second of five folds and two views of a recipe over drawn photos; a pass is a photo, a fold and a view.

    Measured `pairs` times in turn: as `kit.ensemble` does it; a plain loop over folds and views, each with its own pass of the
    loader, in fp32; and ttach's wrapper around each fold with its own pass of the loader. Weights are random.
    """
    import torch
    import ttach

    from kit.device import choose_device, choose_precision, to_device
    from kit.members import BATCH_SIZE
    from kit.models import Network, cost
    from kit.pixels import Photos, batches_of, default_workers, make_loader, one_pass
    from kit.predict import predict
    from kit.views import make_views
    folds, views, device = 5, make_views("hflip"), choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    networks, laid = ([Network(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam") for _ in range(folds)]
                      for _ in range(2))
    for network, twin in zip(laid, networks):
        network.load_state_dict(twin.state_dict())
        twin.to(device).eval()
        network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    with tempfile.TemporaryDirectory() as folder:
        root, images = _draw(Path(folder) / "data", photos)

        def loader() -> Any:
            return make_loader(Photos(root, images, [recipe.geometry]), batches_of(len(images), BATCH_SIZE), workers, device)

        def kit() -> np.ndarray:
            return predict(laid, loader(), views, device)[0].mean(axis=(0, 1))

        def plain() -> np.ndarray:
            total = np.zeros((len(images), NUM_CLASSES))
            with torch.no_grad():
                for network in networks:
                    for view in views.values():
                        for at, (batch,) in one_pass(loader()):
                            total[at.numpy()] += network(view(to_device(batch, device).contiguous())).softmax(dim=1).cpu().numpy()
            return total / (folds * len(views))

        def wrapper() -> np.ndarray:
            total = np.zeros((len(images), NUM_CLASSES))
            with torch.no_grad():
                for network in networks:
                    wrapped = ttach.ClassificationTTAWrapper(torch.nn.Sequential(network, torch.nn.Softmax(dim=1)),
                                                             ttach.Compose([ttach.HorizontalFlip()]))
                    for at, (batch,) in one_pass(loader()):
                        total[at.numpy()] += wrapped(to_device(batch, device).contiguous()).cpu().numpy()
            return total / folds

        ways = {"kit.ensemble": kit, "a loop over folds and views": plain, "ttach's wrapper a fold": wrapper}
        times: dict[str, list[float]] = {name: [] for name in ways}
        found: dict[str, np.ndarray] = {}
        with Progress("bench infer", len(ways) * pairs, "runs") as progress:
            for pair in range(pairs):
                for name in (ways if pair % 2 == 0 else reversed(ways)):
                    started = time.perf_counter()
                    found[name] = ways[name]()
                    times[name].append(time.perf_counter() - started)
                    progress.advance()
    passes = len(images) * folds * len(views)
    ours = np.array(times["kit.ensemble"])
    rows = [[name, f"{passes / np.median(own):.1f}", f"{np.median(np.array(own) / ours):.2f}",
             " ".join(f"{ratio:.2f}" for ratio in np.array(own) / ours),
             f"{np.abs(found[name] - found['kit.ensemble']).max():.1g}"] for name, own in times.items()]
    precision = choose_precision(device, networks[0].parameters_count)
    peak = matrix_peak(device, precision)
    reached = passes / np.median(ours) * cost(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam")[1]
    return Table(f"{folds} folds x {len(views)} views of {recipe.name} ({recipe.model}, {recipe.size[0]} x {recipe.size[1]}), "
                 f"{len(images)} photos, {device}, {str(precision).removeprefix('torch.')}; medians of {pairs}",
                 ["way", "passes/s", "times the kit's time", "each", "probabilities differ by"], rows,
                 f"{reached:,.0f} GFLOP/s, decoding included, of {peak:,.0f} that this machine multiplies matrices with "
                 f"({reached / peak:.0%})")


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
            classes, _ = nested(probs, label, person, fold, functools.partial(fit, blend=blend, decision=decision))
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
                 f"{peak:,.0f} MB")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.bench", description=__doc__)
    parser.add_argument("what", choices=["folds", "train", "infer", "blend"], help="what to measure")
    parser.add_argument("recipe", type=Path, nargs="?", help="for train and infer: a recipe file")
    parser.add_argument("--people", type=int,
                        help="people in the table (default: for folds 142858, a million photos; for blend 2700)")
    parser.add_argument("--members", type=int, default=100, help="for blend: members (default: 100)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of measurements (default: 3)")
    parser.add_argument("--steps", type=int, default=2, help="steps of each one (default: 2)")
    parser.add_argument("--photos", type=int, default=64, help="for infer: photos (default: 64)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    args = parser.parse_args(argv)
    for name, value in (("pairs", args.pairs), ("steps", args.steps), ("photos", args.photos)):
        if not 1 <= value <= 1000:
            raise KitError(f"--{name} {value}: take 1 to 1000")
    if args.what in ("train", "infer"):
        if args.recipe is None:
            raise KitError(f"kit.bench {args.what}: name a recipe, such as recipes/effb4_5fold.py")
        recipe = load_recipe(args.recipe)
        table = (bench_train(recipe, args.pairs, args.steps, args.device, args.workers) if args.what == "train" else
                 bench_infer(recipe, args.pairs, args.photos, args.device, args.workers))
        show_table(table.title, table.columns, table.rows)
        return say(table.summary, style="bold")
    if args.what == "blend":
        if not 2 <= args.members <= 1000:
            raise KitError(f"--members {args.members}: take 2 to 1000")
        if not 50 <= (args.people or 2700) <= 20_000:
            raise KitError(f"--people {args.people}: for blend take 50 to 20000")
        table = bench_blend(args.people or 2700, args.members)
        show_table(table.title, table.columns, table.rows)
        return say(table.summary, style="bold")
    args.people = args.people or 142_858
    if not 1000 <= args.people <= 2_000_000:
        raise KitError(f"--people {args.people}: take 1000, so that every class has enough people, to 2000000")
    result = bench_folds(args.people)
    peak = result.pop("peak MB")
    show_table(f"Planning {args.people * len(SHOTS):,} photos of {args.people:,} people", ["stage", "seconds"],
               [[name, f"{value:.2f}"] for name, value in result.items()], ["all", f"{sum(result.values()):.2f}"])
    say(f"peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
