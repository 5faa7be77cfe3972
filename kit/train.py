"""Train one recipe on the folds of a plan: a checkpoint, out-of-fold probabilities and metrics for
each fold.

    python -m kit.train recipes/effb4_5fold.py --fold 0
    python -m kit.train recipes/effb4_5fold.py --dry-run
    python -m kit.train --list

writes `runs/effb4_5fold/fold0/`: `best.safetensors` (the weights of the epoch that the recipe's
`select` says, by default the last one), `oof.npz` (their probabilities for the fold's photos),
`metrics.csv` (a row an epoch). `last.pt` lies there until the fold is finished, written every epoch
and every `--save-minutes`, and before Ctrl+C or SIGTERM end the training: the same command goes on
from there, on a CPU to the same weights, byte for byte, as without the interruption. A finished
fold is skipped.

On a CPU, trainings that are started side by side share its cores: each new one counts the others
and takes as many threads as are its share, unless OMP_NUM_THREADS says how many.
"""

import dataclasses
import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kit.competitions import find_competition
from kit.data.folder import find_data
from kit.data.plan import read_plan
from kit.inference.engine import Compute
from kit.models.architecture import architecture_of
from kit.models.network import cost
from kit.recipe import CHOICES, load_recipe, shipped_recipe
from kit.system.cli import Parser, command
from kit.system.console import duration, say, show_table, warn
from kit.system.errors import KitError, problem
from kit.training.estimate import estimate
from kit.training.job import TrainOptions
from kit.training.run import chosen_folds, train
from kit.training.trackers import TRACKERS


def list_recipes() -> None:
    """Print the recipes in `recipes/`, or the kit's own, with what their networks cost."""
    folder = Path("recipes") if Path("recipes").is_dir() else shipped_recipe("tiny").parent
    rows, competition = [], find_competition()
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            recipe = load_recipe(path)
            parameters, gflop = cost(architecture_of(recipe, competition))
        except KitError as error:
            warn(str(error))
            continue
        rows.append(
            [
                path,
                recipe.model,
                f"{recipe.size[0]} x {recipe.size[1]}",
                f"{parameters / 1e6:.1f}",
                f"{gflop:.2f}",
                recipe.epochs,
                f"{recipe.batch_size}"
                + (f" x {recipe.accumulate}" if recipe.accumulate > 1 else ""),
                recipe.head,
                recipe.loss,
            ]
        )
    if not rows:
        raise problem(folder, "holds no recipes", remedy="run the command where recipes/ lies")
    show_table(
        "Recipes (M parameters, and GFLOP forward a photo: training takes three times as many)",
        ["recipe", "model", "size", "M", "GFLOP", "epochs", "batch", "head", "loss"],
        rows,
    )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.train", description=__doc__)
    parser.add_argument(
        "recipe", type=Path, nargs="?", help="a recipe file, such as recipes/effb4_5fold.py"
    )
    parser.add_argument(
        "--list", action="store_true", help="show the recipes with their parameters and GFLOP"
    )
    parser.add_argument(
        "--fold", default="0", metavar="0|0,2|all", help="which folds to train (default: 0)"
    )
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument(
        "--plan",
        type=Path,
        default=Path("runs/folds.csv"),
        help="the fold plan (default: runs/folds.csv)",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where runs lie (default: runs)"
    )
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"
    )
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument(
        "--select",
        choices=CHOICES["select"],
        help="which weights to keep, over the recipe's own select",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="try one batch of each stage, and say how long all will take",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=0,
        metavar="N",
        help="a trial on N photos to train and N to validate, in a run of its own, RECIPE-limitN",
    )
    parser.add_argument(
        "--save-minutes",
        type=float,
        default=10,
        metavar="M",
        help="save within an epoch, too, every M minutes (default: 10)",
    )
    parser.add_argument(
        "--keep-epochs",
        type=int,
        default=0,
        metavar="N",
        help="keep the weights of the last N epochs, too, for kit.soup to average",
    )
    parser.add_argument(
        "--track",
        choices=TRACKERS,
        help="send each epoch's scalars to TensorBoard or Weights & Biases",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="keep no pixel cache in RUNS/pixels: decode in every epoch",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="tell where the time goes, and write a trace into the fold's folder",
    )
    parser.add_argument(
        "--resume", action="store_true", help="an error where there is nothing to go on with"
    )
    parser.add_argument("--force", action="store_true", help="train anew over what is there")
    args = parser.parse_args(argv)
    if args.list:
        return list_recipes()
    if args.recipe is None:
        raise KitError(
            "kit.train: name a recipe, such as recipes/effb4_5fold.py; --list shows them"
        )
    if args.workers is not None and args.workers < 0:
        raise KitError(f"--workers {args.workers}: take 0 or more")
    if args.limit < 0 or args.limit == 1:
        raise KitError(f"--limit {args.limit}: take 2 or more")
    if not 0 < args.save_minutes < math.inf:
        raise KitError(f"--save-minutes {args.save_minutes}: take a number above 0")
    if args.keep_epochs < 0:
        raise KitError(f"--keep-epochs {args.keep_epochs}: take 0 or more")
    if args.resume and args.force:
        raise KitError(
            "--resume goes on with what is there, and --force trains it anew: take one of the two"
        )
    recipe, plan = load_recipe(args.recipe), read_plan(args.plan)
    data = find_data(args.data, plan.competition)
    if args.select:
        recipe = dataclasses.replace(recipe, select=args.select)
    folds = chosen_folds(args.fold, plan.k)
    options = TrainOptions(
        compute=Compute(args.device, args.workers),
        force=args.force,
        resume=args.resume,
        limit=args.limit,
        cache=not args.no_cache,
        save_minutes=args.save_minutes,
        keep_epochs=args.keep_epochs,
        track=args.track,
        profile=args.profile,
    )
    if args.dry_run:
        return estimate(recipe, plan, data, folds, args.runs, options)
    started = time.monotonic()
    done = train(recipe, plan, data, folds, args.runs, options)
    for fold, scores in zip(folds, done):
        say(
            f"fold {fold}: {scores.line()}, its {recipe.select} epoch"
            + (", chosen on the fold" if recipe.chosen_on_fold else "")
        )
    words = ["python", "-m", "kit.ensemble", str(args.runs / recipe.name), "--tta", "hflip"]
    words += ["--data", args.data] * (args.data is not None)
    words += ["--plan", str(args.plan)] * (args.plan != Path("runs/folds.csv"))
    say(
        f"{duration(time.monotonic() - started)}; next: "
        + ("the whole data, without --limit" if args.limit else shlex.join(words))
    )


if __name__ == "__main__":
    sys.exit(main())
