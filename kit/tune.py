"""Search settings of a recipe, and tell honestly whether the best ones are better.

    python -m kit.tune recipes/effb4_5fold.py --vary lr=1e-4..1e-3:log --vary drop_rate=0,.2,.4

trains variants on fold 0: first the recipe as it is, then settings that Optuna chooses. A trial
ends early where it is worse than the median of the others at the same epoch. The best one was
picked by a noisy score, so that its score flatters it. So it is trained, and the recipe as it is,
on the other folds, where nothing was chosen, and compared there: it is taken only if its gain is
above chance. Then `recipes/effb4_5fold_tuned.py` is written, and `runs/effb4_5fold_tuned` has all
its folds. Else the command says "keep what you have", and writes no recipe.

`runs/tune/effb4_5fold_tuned/tune.json` is the record: the space, the seed, the folds, every trial
with its scores. The same command goes on after any interruption, to the same result. The recipe as
it is is trained in its own run, `runs/effb4_5fold`, where trained folds are used.
"""

import dataclasses
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.scale.ranks import find_ranks
from kit.system.cli import Parser, command
from kit.system.console import duration, say, warn
from kit.system.durable import make_folder
from kit.system.errors import KitError, problem
from kit.system.locks import lock_file
from kit.system.options import (
    add_flags,
    add_options,
    add_place_options,
    data_words,
    first_device,
    whole_number,
)

if TYPE_CHECKING:
    from kit.data.plan import Plan
    from kit.tuning.search import Search
    from kit.tuning.space import Space
    from kit.tuning.study import Study


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.tune", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a recipe file, such as recipes/effb4_5fold.py")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FIELD=a..b[:log]|FIELD=x,y",
        help="a field to vary, over a range of numbers or over choices; several times",
    )
    parser.add_argument(
        "--trials",
        type=whole_number(2),
        default=20,
        metavar="N",
        help="how many, with the recipe as it is as the first (default: 20)",
    )
    parser.add_argument(
        "--search-folds",
        default="0",
        metavar="0|0,2",
        help="the folds of the trials; the others confirm the best one (default: 0)",
    )
    add_search_options(parser)
    add_options(parser, "data", "plan", "runs")
    add_place_options(parser)
    add_options(
        parser, "cache_dir", force="search anew, in place of an earlier search and what it left"
    )
    return parser


def add_search_options(parser: Parser) -> None:
    """Add the options of how settings are chosen, and of the result's place."""
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="S",
        help="the seed of the settings that are tried (default: 0)",
    )
    parser.add_argument(
        "--round",
        type=whole_number(1),
        metavar="N",
        help="choose N settings at once (default: as many as run side by side)",
    )
    add_flags(parser, no_prune="train every trial to its end")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.py",
        help="the variant to write (default: RECIPE_tuned.py beside the recipe)",
    )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Search the settings of a recipe that a command line names."""
    args = build_parser().parse_args(argv)
    if not args.vary:
        raise KitError("kit.tune: nothing varies; name a field, such as --vary lr=1e-4..1e-3:log")
    from kit.tuning.confirm import confirm
    from kit.tuning.sampler import load_optuna
    from kit.tuning.search import begin, run_search
    from kit.tuning.show import show_result
    from kit.tuning.variant import publish

    load_optuna()
    out = args.out or args.recipe.with_name(f"{args.recipe.stem}_tuned.py")
    search, asked = asked_search(args, out)
    started = time.monotonic()
    make_folder(search.folder)
    try:
        with lock_file(search.folder / ".lock"):
            study = run_search(search, begin(search, asked, out))
            study = publish(search, confirm(search, study), args.recipe, out)
    except KeyboardInterrupt:
        warn(f"stopped; the same command{', without --force,' * args.force} goes on from here")
        raise
    except BlockingIOError:
        remedy = "wait for it, or stop it first"
        raise problem(search.folder, "another process searches here", remedy=remedy) from None
    show_result(study, search.metric, search.plan.competition.groups)
    if study.confirmation is not None and study.confirmation.above_chance:
        say(f"written: {out}, and its run with all folds, {args.runs / study.name}")
    say(f"{duration(time.monotonic() - started)}; next: {next_step(args, study)}")


def asked_search(args: Namespace, out: Path) -> tuple["Search", "Study"]:
    """The search that a command line asks for, and its study without a trial.

    Raises `KitError` for what cannot be searched, before anything is trained.
    """
    from kit.data.plan import read_plan
    from kit.metrics.metric import metric_of
    from kit.recipe import load_recipe
    from kit.training.run import chosen_folds
    from kit.tuning.space import read_space
    from kit.tuning.study import Study

    recipe, plan = load_recipe(args.recipe), read_plan(args.plan)
    folds = sorted(chosen_folds(args.search_folds, plan.k, "--search-folds"))
    rest = tuple(fold for fold in range(plan.k) if fold not in folds)
    if len(rest) < 2:
        what = f"leaves {len(rest)} of {plan.k} folds to confirm the best trial on: it takes 2"
        remedy = "name fewer" if len(folds) > 1 else "plan more folds"
        raise problem(f"--search-folds {args.search_folds}", what, remedy=remedy)
    if out.suffix != ".py" or out.stem == recipe.name:
        what = "is no name for a variant of the recipe"
        raise problem(out, what, remedy="let --out end in another name and .py")
    space = read_space(args.vary, recipe, plan.competition)
    space.variant(out.stem, {})  # its name is a recipe's
    search = where_to_search(args, space, plan, args.runs / "tune" / out.stem)
    study = Study(
        name=out.stem,
        recipe=recipe.describe(),
        plan=plan.hash,
        metric=metric_of(plan.competition).name,
        space=tuple(map(str, space.varied)),
        search_folds=tuple(folds),
        confirm_folds=rest,
        number=args.trials,
        round=args.round or search.place.slots,
        seed=args.seed,
        prune=not args.no_prune,
        replaces=args.force,
    )
    return search, study


def where_to_search(args: Namespace, space: "Space", plan: "Plan", folder: Path) -> "Search":
    """The search of a space, at the place that the options say.

    Raises `KitError` if the recipe's run was trained by another recipe.
    """
    from kit.data.folder import find_data
    from kit.inference.engine import Compute
    from kit.scale.place import choose_place
    from kit.training.job import TrainOptions
    from kit.training.run import fold_jobs, shared_files
    from kit.tuning.search import Search, run_logged

    data = find_data(args.data, plan.competition)
    device = first_device(args.device)
    pixels = args.cache_dir or args.runs / "pixels"  # the trials' runs lie deeper
    options = TrainOptions(compute=Compute(device, args.workers, cache_dir=pixels))
    try:
        folds = fold_jobs([space.recipe], plan, data, range(plan.k), args.runs, options)
    except KitError as error:
        raise KitError(f"{error}".replace("--force", "kit.train --force")) from error
    for line in space.idle:
        warn(f"recipe {space.recipe.name}: {line}")
    if find_ranks().size > 1:
        raise KitError(
            "torchrun gives one training several processes, and a search has many trainings; start "
            "it without: several --device or --cluster run them side by side"
        )
    place = choose_place(args, shared_files(folds, args.plan), args.round or args.trials)
    if place.title:
        say(f"{place.title}; {place.share}")
    else:
        place = dataclasses.replace(place, run=run_logged)
    return Search(folder, space, plan, data, args.runs, options, place)


def next_step(args: Namespace, study: "Study") -> str:
    """The next command: the ensemble of the run to take, or to keep."""
    confirmed = study.confirmation
    words = ["python", "-m", "kit.ensemble", str(args.runs / study.recipe["name"])]
    if confirmed is None:
        words = ["python", "-m", "kit.train", str(args.recipe), "--fold", "all"]
    elif confirmed.above_chance:
        words = [*words[:-1], str(args.runs / study.name)]
    return shlex.join(words + data_words(args))


if __name__ == "__main__":
    sys.exit(main())
