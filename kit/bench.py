"""Measure the kit's speed on this machine, beside what one would write without it.

    python -m kit.bench
    python -m kit.bench infer runs/effb4_5fold --photos 256
    python -m kit.bench folds --people 142858

`photos` times decoding, resizing and augmenting; `train` a recipe's training steps; `infer` five
folds and their mirrored
views, of a recipe with random weights, or of the checkpoints of a RUN or of one of its folds, with
--fast, --agree and
--exact, too; `blend` fits blends and class biases to drawn probabilities; `folds` plans a table of
 a million photos; `audit`
looks for copies among the codes of 700,000. Without a name all but these two are measured, for
effb4_5fold, and what follows
is recommended: about a quarter of an hour on two cores.

Ways are measured in turns, those that are not the kit's in a process of their own. A ratio is the
median of the rounds' ratios; beside it are the least and the largest. Photos are drawn, unless
--data or KIT_DATA names a competition's folder.
"""

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.benchmarks.blending import bench_blend
from kit.benchmarks.decoding import bench_photos
from kit.benchmarks.inference import bench_infer
from kit.benchmarks.planning import bench_audit, bench_folds
from kit.benchmarks.timing import Table
from kit.benchmarks.training import bench_train
from kit.data.folder import find_data
from kit.recipe import load_recipe, shipped_recipe
from kit.system.cli import Parser, command
from kit.system.console import say, show_table
from kit.system.device import choose_device
from kit.system.disk import near
from kit.system.errors import KitError, problem
from kit.system.threads import cores


def recommended(photos: Table, training: Table, inference: Table, device_type: str) -> str:
    """The batch sizes, precision and workers that the measurements speak for."""
    way = inference.found["way"]
    rate = training.found["photos_per_second"]["kit.train"]
    feed = photos.found["decode, crop, resize: from the kit's pixel cache"]
    augment = photos.found.get("augment: albumentations, as the recipe", math.inf)
    each = 1 / (1 / feed + 1 / augment)  # photos a second that one loader process makes
    workers = min(cores() - 1, math.ceil(1.2 * rate / each)) if device_type == "cuda" else 0
    return (
        f"recommended here: training in {training.found['precision']} with batches of "
        f"{training.found['batch_size']}, "
        f"--workers {workers} (a process makes {each:,.0f} augmented photos/s, a step takes "
        f"{rate:,.1f}); inference in "
        f"{way['precision']}, {way['photos']} photos at once, as kit.ensemble does by itself"
    )


def bench_all(path: Path, args: Any, data: Path | None) -> list[Table]:
    """Photos, training, inference and blending, and what follows from them."""
    recipe = load_recipe(path)
    tables = [
        bench_photos(recipe, args.pairs, data, args.device),
        bench_train(path, args.pairs, args.steps, data, args.device, args.workers),
        bench_infer(recipe, args.pairs, args.photos, data, args.device, args.workers),
        bench_blend(args.people or 2700, min(args.members, 20)),
    ]
    advice = recommended(tables[0], tables[1], tables[2], choose_device(args.device).type)
    return [*tables[:3], dataclasses.replace(tables[3], summary=f"{tables[3].summary}\n{advice}")]


def _measure(args: Any, path: Path, data: Path | None) -> list[Table]:
    if args.what == "folds":
        return [bench_folds(args.people or 142_858)]
    if args.what == "audit":
        return [bench_audit(args.people or 100_000)]
    if args.what == "blend":
        return [bench_blend(args.people or 2700, args.members)]
    # So many that the batches which are ready before a measurement starts, and what comes once, do
    # not count.
    on_gpu = choose_device(args.device).type == "cuda"
    args.steps, args.photos = (
        args.steps or (60 if on_gpu else 2),
        args.photos or (2000 if on_gpu else 24),
    )
    if args.what == "all":
        return bench_all(path, args, data)
    if args.what == "photos":
        return [bench_photos(load_recipe(path), args.pairs, data, args.device)]
    if args.what == "train":
        return [bench_train(path, args.pairs, args.steps, data, args.device, args.workers)]
    return [
        bench_infer(
            path if path.is_dir() else load_recipe(path),
            args.pairs,
            args.photos,
            data,
            args.device,
            args.workers,
        )
    ]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["all", "photos", "train", "infer", "blend", "folds", "audit"],
        default="all",
        help="what to measure (default: all but folds and audit)",
    )
    parser.add_argument(
        "recipe",
        type=Path,
        nargs="?",
        metavar="RECIPE|RUN",
        help="a recipe's file (default: effb4_5fold), or for infer a trained run's folder",
    )
    parser.add_argument(
        "--data",
        help="for real photos, the competition's folder (default: $KIT_DATA, else drawn ones)",
    )
    parser.add_argument(
        "--people",
        type=int,
        help="people in the table (default: for folds 142858, a million photos, audit 100000, "
        "blend 2700)",
    )
    parser.add_argument(
        "--members", type=int, default=100, help="for blend: members (default: 100)"
    )
    parser.add_argument("--pairs", type=int, default=3, help="rounds of measurements (default: 3)")
    parser.add_argument(
        "--steps", type=int, help="for train: steps in each one (default: 2, on a GPU 60)"
    )
    parser.add_argument("--photos", type=int, help="for infer: photos (default: 24, on a GPU 2000)")
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"
    )
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print numbers, for a program to read, instead of tables",
    )
    args = parser.parse_args(argv)
    for name, value, most in (
        ("pairs", args.pairs, 1000),
        ("steps", args.steps, 1000),
        ("photos", args.photos, 100_000),
    ):
        if value is not None and not 1 <= value <= most:
            raise KitError(f"--{name} {value}: take 1 to {most}")
    if not 2 <= args.members <= 1000:
        raise KitError(f"--members {args.members}: take 2 to 1000")
    if args.workers is not None and args.workers < 0:
        raise KitError(f"--workers {args.workers}: take 0 or more")
    if args.what in ("folds", "audit"):
        if not 1000 <= (args.people or 142_858) <= 2_000_000:
            raise KitError(
                f"--people {args.people}: take 1000, so that every class has enough people, to "
                "2000000"
            )
    elif not 50 <= (args.people or 2700) <= 20_000:
        raise KitError(f"--people {args.people}: for blend take 50 to 20000")
    own = Path("recipes/effb4_5fold.py")
    path = args.recipe or (own if own.exists() else shipped_recipe(own.stem))
    if path.is_dir() and args.what != "infer":
        raise problem(
            path,
            "is a folder",
            remedy="name a recipe's file; a trained run's folder is for kit.bench infer",
        )
    if args.what == "infer" and path.suffix != ".py" and not path.exists():
        raise problem(
            path,
            f"there is no such run{near(path)}",
            remedy="name a trained run's folder, or a recipe's file",
        )
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
