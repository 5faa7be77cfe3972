"""Train a recipe on the folds of a plan: checkpoints, out-of-fold probabilities, metrics.

    python -m kit.train recipes/effb4_5fold.py --fold 0
    python -m kit.train recipes/effb4_5fold.py --dry-run
    python -m kit.train --list

writes `runs/effb4_5fold/fold0/`: `best.safetensors` (the weights of the epoch that the recipe's
`select` says, by default the last one), `oof.npz` (their probabilities for the fold's photos),
`metrics.csv` (a row an epoch). `last.pt` lies beside them until the fold is finished: it is written
every epoch, every `--save-minutes`, and before Ctrl+C or SIGTERM end the training. The same command
goes on from it, on a CPU to the same weights, byte for byte, as without the interruption. A
finished fold is skipped.

Several recipes are trained one after another. With several devices (`--device cuda:0,cuda:1`) folds
are trained side by side by processes of this machine, and with `--cluster` as tasks of a Ray
cluster: what is killed there is started again and goes on. Each fold then has a log, `log.txt`.
`torchrun --standalone --nproc-per-node 2 -m kit.train` spreads each step of a fold over two GPUs.

On a CPU, trainings that are started side by side share its cores: each new one counts the others
and takes as many threads as are its share, unless OMP_NUM_THREADS says how many.
"""

import dataclasses
import math
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.scale.ranks import find_ranks
from kit.system.cli import Parser, command
from kit.system.console import duration, mute, say
from kit.system.errors import KitError
from kit.system.options import (
    add_flags,
    add_options,
    add_place_options,
    data_words,
    first_device,
    whole_number,
)

if TYPE_CHECKING:
    from kit.scale.group import Group
    from kit.training.job import TrainOptions


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.train", description=__doc__)
    parser.add_argument(
        "recipe", type=Path, nargs="*", help="recipe files, such as recipes/effb4_5fold.py"
    )
    add_flags(parser, list="show the recipes with their parameters and GFLOP")
    parser.add_argument(
        "--fold", default="0", metavar="0|0,2|all", help="which folds to train (default: 0)"
    )
    add_options(parser, "data", "plan", "runs")
    add_place_options(parser)
    add_options(parser, "cache_dir")
    parser.add_argument(
        "--select",
        choices=("last", "best"),
        help="which weights to keep, over the recipe's own select",
    )
    parser.add_argument(
        "--track",
        choices=("tensorboard", "wandb"),
        help="send each epoch's scalars to TensorBoard or Weights & Biases",
    )
    add_trial_options(parser)
    add_saving_options(parser)
    return parser


def add_trial_options(parser: Parser) -> None:
    """Add the options of trying a training out, and of measuring it."""
    add_flags(
        parser,
        dry_run="try one batch of each stage, and say how long all will take",
        profile="tell where the time goes, and write a trace into the fold's folder",
    )
    parser.add_argument(
        "--limit",
        type=whole_number(2),
        default=0,
        metavar="N",
        help="a trial on N photos to train and N to validate, in a run of its own, RECIPE-limitN",
    )


def add_saving_options(parser: Parser) -> None:
    """Add the options of saving, of resuming and of replacing."""
    parser.add_argument(
        "--save-minutes",
        type=float,
        default=10,
        metavar="M",
        help="save within an epoch, too, every M minutes (default: 10)",
    )
    parser.add_argument(
        "--keep-epochs",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="keep the weights of the last N epochs, too, for kit.soup to average",
    )
    add_flags(
        parser,
        no_cache="keep no pixel cache: decode in every epoch",
        resume="only go on with an unfinished training; an error without one",
    )
    add_options(parser, force="train anew, in place of an earlier training")


def check_options(args: Namespace) -> None:
    """Raise `KitError` for options that are absent, out of range, or at odds."""
    if not args.recipe:
        raise KitError(
            "kit.train: name a recipe, such as recipes/effb4_5fold.py; --list shows them"
        )
    if not 0 < args.save_minutes < math.inf:
        raise KitError(f"--save-minutes {args.save_minutes}: is no time; take a number above 0")
    if args.dry_run and args.cluster is not None:
        raise KitError("--dry-run measures this machine; leave --cluster out")
    if args.resume and args.force:
        raise KitError(
            "--resume goes on with an earlier training, --force replaces it; take one of them"
        )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Train the folds that a command line names, or list the recipes, or estimate the time."""
    ranks = find_ranks()
    mute(bool(ranks.rank))  # process 0 prints for all
    args = build_parser().parse_args(argv)
    if args.list:
        from kit.reporting.recipe_table import show_recipes

        return show_recipes()
    check_options(args)
    from kit.scale.group import joined

    with joined(ranks) as group:
        train_recipes(args, group)


def train_recipes(args: Namespace, group: "Group") -> None:
    """Train what the options name, by all processes of a group, or estimate the time."""
    from kit.recipe import load_recipe

    recipes = [load_recipe(path) for path in args.recipe]  # a typo is told before the slow imports
    from kit.data.folder import find_data
    from kit.data.plan import read_plan
    from kit.scale.job import raise_errors
    from kit.scale.place import choose_place
    from kit.training.estimate import estimate
    from kit.training.run import chosen_folds, describe_folds, fold_jobs, shared_files, train_folds

    plan = read_plan(args.plan)
    data = find_data(args.data, plan.competition)
    if args.select:
        recipes = [dataclasses.replace(recipe, select=args.select) for recipe in recipes]
    folds, options = chosen_folds(args.fold, plan.k), train_options(args, group)
    if args.dry_run:
        for recipe in recipes:
            estimate(recipe, plan, data, folds, args.runs, options)
        return
    jobs = fold_jobs(recipes, plan, data, folds, args.runs, options)
    started = time.monotonic()
    place = choose_place(args, shared_files(jobs, args.plan), len(jobs))
    if place.title:
        say(f"{place.title}; {describe_folds(jobs)}, {place.share}")
    ended = train_folds(jobs, place)
    for job, one in zip(jobs, ended):
        if one.error is None:
            epoch = f"its {job.recipe.select} epoch" + ", chosen on the fold" * (
                job.recipe.chosen_on_fold
            )
            name = job.name if len(recipes) > 1 else f"fold {job.fold}"
            say(f"{name}: {one.result.line()}, {epoch}")
    raise_errors(ended)
    mirror = plan.competition.mirror is not None
    names = [recipe.name for recipe in recipes]
    say(f"{duration(time.monotonic() - started)}; next: {next_step(args, names, mirror)}")


def train_options(args: Namespace, group: "Group") -> "TrainOptions":
    """How to train, as the options say."""
    from kit.inference.engine import Compute
    from kit.training.job import TrainOptions

    device = group.device(first_device(args.device))
    return TrainOptions(
        compute=Compute(device, args.workers, cache_dir=args.cache_dir),
        force=args.force,
        resume=args.resume,
        limit=args.limit,
        cache=not args.no_cache,
        save_minutes=args.save_minutes,
        keep_epochs=args.keep_epochs,
        track=args.track,
        profile=args.profile,
        group=group,
    )


def next_step(args: Namespace, names: Sequence[str], mirror: bool = True) -> str:
    """The next command after a training: the one that makes a submission of the runs `names`.

    It has a mirrored view if the competition's photos may be mirrored.
    """
    if args.limit:
        return "the whole data, without --limit"
    words = ["python", "-m", "kit.ensemble", *(str(args.runs / name) for name in names)]
    words += ["--tta", "hflip"] * mirror
    return shlex.join(words + data_words(args))


if __name__ == "__main__":
    sys.exit(main())
