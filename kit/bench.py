"""Measure the kit's speed and memory on this machine.

    python -m kit.bench folds --people 142858
    python -m kit.bench train recipes/effb4_5fold.py
    python -m kit.bench blend --people 2700 --members 100

`folds` plans 5 folds for a table of that many people with seven photos each, without photos, and times every stage. `train`
times a recipe's training side by side with the same loop without what makes it fast. `blend` fits blends and class biases to
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


def bench_train(recipe: Recipe, pairs: int, steps: int, device_name: str | None = None, workers: int | None = None) -> Table:
    """Photos a second of training a recipe on drawn photos, and the share of time spent waiting for them.

    Measured in `pairs` of `steps` steps each: as `kit.train` does it, and the same loop without channels-last layout, pixel
    cache and choice of precision. Weights are random.
    """
    import torch

    from kit.data import train_images
    from kit.learn import EpochBatches, Learner, enough_memory
    from kit.pixels import Photos, cached, default_workers, make_loader, one_pass
    from kit.predict import choose_device
    from kit.sample import draw_sample
    recipe = dataclasses.replace(recipe, pretrained=False, accumulate=1)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    times: dict[str, list[tuple[float, float]]] = {"as kit.train does it": [], "without layout, cache, precision": []}
    with tempfile.TemporaryDirectory() as folder, enough_memory(recipe, device):
        draw_sample(Path(folder) / "data", people=max(50, math.ceil(recipe.batch_size * (steps + 1) / len(SHOTS))), eval_people=1)
        root = train_images(Path(folder) / "data")
        images = sorted(f"{p.parent.name}/{p.name}" for p in root.glob("*/[!.]*"))[:recipe.batch_size * (steps + 1)]
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
    parser.add_argument("what", choices=["folds", "train", "blend"], help="what to measure")
    parser.add_argument("recipe", type=Path, nargs="?", help="for train: a recipe file")
    parser.add_argument("--people", type=int,
                        help="people in the table (default: for folds 142858, a million photos; for blend 2700)")
    parser.add_argument("--members", type=int, default=100, help="for blend: members (default: 100)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of measurements (default: 3)")
    parser.add_argument("--steps", type=int, default=2, help="steps of each one (default: 2)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    args = parser.parse_args(argv)
    for name, value in (("pairs", args.pairs), ("steps", args.steps)):
        if not 1 <= value <= 1000:
            raise KitError(f"--{name} {value}: take 1 to 1000")
    if args.what == "train":
        if args.recipe is None:
            raise KitError("kit.bench train: name a recipe, such as recipes/effb4_5fold.py")
        table = bench_train(load_recipe(args.recipe), args.pairs, args.steps, args.device, args.workers)
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
