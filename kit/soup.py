"""Average the weights of a fold's own checkpoints into one network.

    python -m kit.train recipes/effb4_5fold.py --fold all --keep-epochs 3
    python -m kit.soup runs/effb4_5fold

makes `runs/effb4_5fold_soup`, a run whose folds have the mean of the weights that `--keep-epochs`
kept, and its out-of-fold probabilities. It costs no more to run than one network. The last epochs
are not chosen on the fold, so that their mean's score flatters nobody. Checkpoint files may be
named instead, all of one fold. (Wortsman et al., Model soups, 2022.)
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.system.cli import Parser, command
from kit.system.errors import problem
from kit.system.options import add_options, whole_number

if TYPE_CHECKING:
    from kit.data.plan import Plan


def build_parser() -> Parser:
    """The command's options."""
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
        type=whole_number(2),
        default=0,
        metavar="N",
        help="average the last N kept epochs (default: all)",
    )
    parser.add_argument("--out", type=Path, help="the run to make (default: RUN_soup)")
    add_options(parser, "data", "plan", "device", "workers", force="overwrite an existing soup")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Average the checkpoints that a command line names."""
    args = build_parser().parse_intermixed_args(argv)
    if args.last and any(path.is_file() for path in args.members):
        raise problem(
            "--last",
            "chooses among the epochs of a run, and files are named",
            remedy="leave it out",
        )
    from kit.data.folder import find_data
    from kit.data.plan import read_plan
    from kit.inference.engine import Compute
    from kit.training.soup import check_place, soup

    plan = read_plan(args.plan)
    data = find_data(args.data, plan.competition)
    soups = soups_to_make(args.members, args.last, args.out, plan)
    for paths, out in soups:
        check_place(paths, out, data, args.force)
    compute = Compute(args.device, args.workers)
    for paths, out in soups:
        soup(paths, plan, data, out, compute, args.force)


def soups_to_make(
    members: Sequence[Path], last: int, out: Path | None, plan: "Plan"
) -> list[tuple[list[Path], Path]]:
    """The checkpoints of each soup, with the fold's folder that the soup is made in.

    Raises `KitError` for checkpoints that cannot be averaged, and for two soups in one folder.
    """
    from kit.results.run import FOLD_FOLDER
    from kit.training.soup import check_ingredients, ingredients

    groups = ingredients(members, last)
    if any(path.is_file() for path in members):
        # Files are one soup, wherever they lie: those of different folds are refused below.
        groups = {next(iter(groups)): [path for paths in groups.values() for path in paths]}
    soups: list[tuple[list[Path], Path]] = []
    for folder, paths in groups.items():
        fold = check_ingredients(paths, plan)[0].fold
        place = folder.resolve()
        if out is None and not FOLD_FOLDER.fullmatch(place.name):
            raise problem(
                paths[0],
                "lies in no fold of a run, so that the soup has no place",
                remedy="name one with --out",
            )
        run = out or place.parent.with_name(f"{place.parent.name}_soup")
        soups.append((paths, run / f"fold{fold}"))
    places = [place for _, place in soups]
    twice = [str(place) for i, place in enumerate(places) if place in places[:i]]
    if twice:
        raise problem(twice[0], "would be made twice", twice, "take one run at a time with --out")
    return soups


if __name__ == "__main__":
    sys.exit(main())
