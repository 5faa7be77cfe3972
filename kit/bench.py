"""Measure the kit's speed on this machine, beside what one would write without it.

    python -m kit.bench
    python -m kit.bench infer runs/effb4_5fold --photos 256
    python -m kit.bench folds --people 142858

`photos` times decoding, resizing and augmenting; `train` a recipe's training steps; `infer` five
folds and their mirrored views, of a recipe with random weights, or of the checkpoints of a RUN or
of one of its folds, with --fast, --agree and --exact, too, and what bounds them; `scale` a
recipe's training and inference by several processes at once, one a GPU, or on a CPU one a core;
`ensemble` takes a million tiny photos through kit.ensemble, for its time and memory a photo;
`blend` fits blends and class biases to drawn probabilities; `folds` plans a table of a million
photos; `audit` looks for copies among the codes of 700,000. Without a name `photos`, `train`,
`infer` and `blend` are measured, for effb4_5fold, and what follows is recommended: about a quarter
of an hour on two cores.

Loops are measured in turns, those that are not the kit's in a process of their own. A ratio is the
median of the rounds' ratios; beside it are the least and the largest. Photos are drawn, unless
--data or KIT_DATA names a competition's folder.
"""

import contextlib
import dataclasses
import math
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kit.system.cli import Parser, command
from kit.system.console import say, say_json, show_table
from kit.system.disk import near
from kit.system.errors import KitError, problem
from kit.system.options import add_flags, add_options, whole_number

if TYPE_CHECKING:
    from kit.benchmarks.timing import Table
    from kit.data.folder import DataFolder

# People in the drawn table, by what is measured.
_PEOPLE: Final = {"folds": 142_858, "audit": 100_000, "blend": 2700}
_MEMBERS_OF_ALL: Final = 20


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["all", "photos", "train", "infer", "scale", "ensemble", "blend", "folds", "audit"],
        default="all",
        help="what to measure (default: all but scale, ensemble, folds and audit)",
    )
    parser.add_argument(
        "recipe",
        type=Path,
        nargs="?",
        metavar="RECIPE|RUN",
        help="a recipe's file (default: effb4_5fold), or for infer a trained run's folder",
    )
    add_options(
        parser,
        data="for real photos, the competition's folder (default: $KIT_DATA, else drawn ones)",
    )
    add_size_options(parser)
    add_options(parser, "device", "workers")
    add_flags(parser, json="print numbers, for a program to read, instead of tables")
    return parser


def add_size_options(parser: Parser) -> None:
    """Add the options that say how much is measured."""
    parser.add_argument(
        "--people",
        type=int,
        help="people in the table (default: for folds 142858, a million photos, audit 100000, "
        "blend 2700)",
    )
    count = whole_number(1, 1000)
    parser.add_argument(
        "--members", type=whole_number(2, 1000), default=100, help="of blend (default: 100)"
    )
    parser.add_argument("--pairs", type=count, default=3, help="rounds (default: 3)")
    parser.add_argument(
        "--steps", type=count, help="for train and scale: steps in each (default: 2, on a GPU 60)"
    )
    parser.add_argument(
        "--photos",
        type=whole_number(1, 10_000_000),
        help="of infer and scale (default: 24, on a GPU 2000), of ensemble (default: 1000000)",
    )
    parser.add_argument(
        "--processes", type=count, help="for scale: at most so many (default: a GPU or core each)"
    )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Measure what a command line names, and print tables, or JSON with `--json`."""
    args = build_parser().parse_args(argv)
    check_people(args.what, args.people)
    path = recipe_or_run(args.what, args.recipe)
    from kit.competitions import find_competition
    from kit.data.folder import find_data

    given = args.data or os.environ.get("KIT_DATA")
    data = find_data(args.data, find_competition()) if given else None
    # Messages on caches and precisions go to standard error meanwhile.
    with contextlib.redirect_stdout(sys.stderr):
        tables = measure(args, path, data)
    if args.json:
        return say_json({table.title: table.numbers for table in tables})
    for n, table in enumerate(tables):
        if n:
            say()
        show_table(table.title, table.columns, table.rows)
        say(table.summary, style="bold")


def check_people(what: str, people: int | None) -> None:
    """Raise `KitError` for a number of people that is too small or too large to measure."""
    if people is None:
        return
    if what in ("folds", "audit"):
        if not 1000 <= people <= 2_000_000:
            raise KitError(
                f"--people {people}: every class needs enough people; take 1000 to 2000000"
            )
    elif not 50 <= people <= 20_000:
        raise KitError(f"--people {people}: is no number for blend; take 50 to 20000")


def recipe_or_run(what: str, given: Path | None) -> Path:
    """The recipe's file, or for `infer` a run's folder; by default effb4_5fold."""
    if given is None:
        from kit.recipe import shipped_recipe

        local = Path("recipes/effb4_5fold.py")
        return local if local.exists() else shipped_recipe(local.stem)
    if given.is_dir() and what != "infer":
        raise problem(
            given,
            "is a folder",
            remedy="name a recipe's file; a trained run's folder is for kit.bench infer",
        )
    if what == "infer" and given.suffix != ".py" and not given.exists():
        raise problem(
            given,
            f"there is no such run{near(given)}",
            remedy="name a trained run's folder, or a recipe's file",
        )
    return given


def measure(args: Namespace, path: Path, data: "DataFolder | None") -> list["Table"]:
    """The tables of what the options name."""
    people = args.people or _PEOPLE.get(args.what, _PEOPLE["blend"])
    if args.what == "folds":
        from kit.benchmarks.planning import bench_folds

        return [bench_folds(people)]
    if args.what == "audit":
        from kit.benchmarks.planning import bench_audit

        return [bench_audit(people)]
    if args.what == "ensemble":
        from kit.benchmarks.many_photos import bench_ensemble

        return [bench_ensemble(args.photos or 1_000_000)]
    if args.what == "blend":
        from kit.benchmarks.blending import bench_blend

        return [bench_blend(people, args.members)]
    if args.what == "all":
        return measure_all(args, path, data)
    return [measure_networks(args.what, args, path, data)]


def measure_networks(what: str, args: Namespace, path: Path, data: "DataFolder | None") -> "Table":
    """The tables of `photos`, `train`, `scale` or `infer`."""
    from kit.recipe import load_recipe
    from kit.system.device import choose_device

    # So many steps and photos that what happens once, and the batches that are ready before a
    # measurement starts, do not count.
    on_gpu = choose_device(args.device).type == "cuda"
    steps, photos = args.steps or (60 if on_gpu else 2), args.photos or (2000 if on_gpu else 24)
    if what == "photos":
        from kit.benchmarks.decoding import bench_photos

        return bench_photos(load_recipe(path), args.pairs, data, args.device)
    if what == "train":
        from kit.benchmarks.training import bench_train

        return bench_train(path, args.pairs, steps, data, args.device, args.workers)
    if what == "scale":
        from kit.benchmarks.scaling import Effort, bench_scale

        effort = Effort(args.pairs, steps, photos, args.processes)
        return bench_scale(path, effort, data, args.device, args.workers)
    from kit.benchmarks.inference import bench_infer

    source = path if path.is_dir() else load_recipe(path)
    return bench_infer(source, args.pairs, photos, data, args.device, args.workers)


def measure_all(args: Namespace, path: Path, data: "DataFolder | None") -> list["Table"]:
    """The tables of photos, training, inference and blending, and one of what to use here."""
    from kit.benchmarks.blending import bench_blend
    from kit.system.device import choose_device

    photos, training, inference = (
        measure_networks(what, args, path, data) for what in ("photos", "train", "infer")
    )
    people, members = args.people or _PEOPLE["blend"], min(args.members, _MEMBERS_OF_ALL)
    blending = bench_blend(people, members)
    advice = recommended(photos, training, inference, choose_device(args.device).type)
    summary = f"{blending.summary}\n{advice}"
    return [photos, training, inference, dataclasses.replace(blending, summary=summary)]


def recommended(photos: "Table", training: "Table", inference: "Table", device_type: str) -> str:
    """The batch sizes, precision and number of workers that the measurements recommend."""
    from kit.system.threads import cores

    mode = inference.numbers["mode"]
    rate = training.numbers["photos_per_second"]["kit.train"]
    cached = photos.numbers["decode, crop, resize: from the kit's pixel cache"]
    augmented = photos.numbers.get("augment: albumentations, as the recipe", math.inf)
    per_worker = 1 / (1 / cached + 1 / augmented)  # photos a second of one loader process
    workers = min(cores() - 1, math.ceil(1.2 * rate / per_worker)) if device_type == "cuda" else 0
    return (
        f"recommended here: training in {training.numbers['precision']} with batches of "
        f"{training.numbers['batch_size']}, --workers {workers} (a process makes "
        f"{per_worker:,.0f} augmented photos/s, a step takes {rate:,.1f}); inference in "
        f"{mode['precision']}, {mode['photos']} photos at once, as kit.ensemble does by itself"
    )


if __name__ == "__main__":
    sys.exit(main())
