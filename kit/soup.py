"""Average the weights of a fold's own checkpoints into one network, which costs no more than one to
run.

    python -m kit.train recipes/effb4_5fold.py --fold all --keep-epochs 3
    python -m kit.soup runs/effb4_5fold

makes `runs/effb4_5fold_soup`, a run whose folds have the mean of the weights that `--keep-epochs`
kept, and its out-of-fold probabilities. The last epochs are not chosen on the fold, so that their
mean's score flatters nobody. Checkpoint files may be named instead, all of one fold. (Wortsman et
al., Model soups, 2022.)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from kit.data.folder import find_data
from kit.data.plan import read_plan
from kit.inference.engine import Compute
from kit.results.run import FOLD_FOLDER
from kit.system.cli import Parser, command
from kit.system.errors import problem
from kit.training.soup import check_ingredients, check_place, ingredients, soup


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.soup", description=__doc__)
    parser.add_argument(
        "members",
        nargs="+",
        type=Path,
        metavar="RUN|CHECKPOINT",
        help="a run's folder, or files of one fold",
    )
    parser.add_argument(
        "--last",
        type=int,
        default=0,
        metavar="N",
        help="average the last N kept epochs (default: all)",
    )
    parser.add_argument("--out", type=Path, help="the run to make (default: RUN_soup)")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument(
        "--plan",
        type=Path,
        default=Path("runs/folds.csv"),
        help="the fold plan (default: runs/folds.csv)",
    )
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"
    )
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing soup")
    args = parser.parse_intermixed_args(argv)
    if args.last < 0 or args.last == 1:
        raise problem("--last", f"{args.last} epochs make no mean", remedy="take 2 or more")
    if args.workers is not None and args.workers < 0:
        raise problem("--workers", str(args.workers), remedy="take 0 or more")
    plan = read_plan(args.plan)
    data = find_data(args.data, plan.competition)
    groups = ingredients(args.members, args.last)
    if any(path.is_file() for path in args.members):
        if args.last:
            raise problem(
                "--last",
                "chooses among the epochs of a run, and files are named",
                remedy="leave it out",
            )
        # Files are one soup, wherever they lie, so that a mix of folds is told and not parted in
        # silence.
        groups = {next(iter(groups)): [path for paths in groups.values() for path in paths]}
    jobs = []
    for folder, paths in groups.items():
        fold = check_ingredients(paths, plan)[0].fold
        place = folder.resolve()
        if args.out is None and not FOLD_FOLDER.fullmatch(place.name):
            raise problem(
                paths[0],
                "lies in no fold of a run, which would give the soup its place",
                remedy="name one with --out",
            )
        run = args.out or place.parent.with_name(f"{place.parent.name}_soup")
        jobs.append((paths, run / f"fold{fold}"))
    twice = [str(out) for i, (_, out) in enumerate(jobs) if out in [other for _, other in jobs[:i]]]
    if twice:
        raise problem(twice[0], "would be made twice", twice, "take one run at a time with --out")
    for paths, out in jobs:
        check_place(paths, out, data, args.force)
    compute = Compute(args.device, args.workers)
    for paths, out in jobs:
        soup(paths, plan, data, out, compute, args.force)


if __name__ == "__main__":
    sys.exit(main())
