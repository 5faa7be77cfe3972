"""Plan folds: every group in one fold, all classes balanced, look-alikes kept together.

    python -m kit.folds --data DIR

writes `runs/folds.csv`, the one authority on training labels and split, which all recipes share,
and `runs/folds.json` with what made it, the competition among it. The same data, seed and
corrections give the same file on any machine.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.system.cli import Parser, command
from kit.system.console import say, show_table, warn
from kit.system.options import DEFAULT_PLAN, add_flags, add_options

if TYPE_CHECKING:
    from kit.competition import Competition
    from kit.data.plan import Plan

_CLASSES = 30  # rarest ones that are shown, of more than twice as many
_SHOWN = 10  # links and corrections printed; folds.json has all


def show_plan(plan: "Plan") -> None:
    """Print a plan: photos per class and fold, groups, and what audit and corrections did."""
    import numpy as np

    from kit.data.split import class_counts

    competition = plan.competition
    counts = class_counts(plan.photos, competition)
    groups = plan.photos.drop_duplicates("group").groupby("fold").size()
    rarest = np.argsort(counts.sum(axis=0), kind="stable")
    shown = np.sort(rarest[:_CLASSES] if len(rarest) > 2 * _CLASSES else rarest).tolist()
    what = (
        "Photos per class and fold"
        if len(shown) == len(rarest)
        else (f"Photos per class and fold, of the {len(shown)} rarest of {len(rarest):,} classes")
    )
    show_table(
        f"{what}, seed {plan.meta['seed']}",
        ["class", *(f"fold {f}" for f in range(plan.k)), "all"],
        [
            [f"{c:2d} {competition.class_names[c]}", *counts[:, c], counts[:, c].sum()]
            for c in shown
        ],
        [competition.groups, *(groups[f] for f in range(plan.k)), groups.sum()],
    )
    _say_answer(competition)
    links = plan.meta["audit"]["links"]
    if not plan.meta["audit"]["done"]:
        say(
            f"leak audit: left out (--no-audit), so look-alike {competition.groups} may lie in "
            "different folds"
        )
    elif not links:
        say(
            f"leak audit: {len(plan.photos):,} photos read, none the same or near-identical"
            + (f" under two {competition.groups}" if competition.is_grouped else "")
        )
    else:
        what = "share a photo or a near-identical one" if competition.is_grouped else "look alike"
        say(
            f"leak audit: {len(links)} pairs of {competition.groups} {what}; "
            "each pair is kept in one fold"
        )
        for link in links[:_SHOWN]:
            say(f"  {link['a']}  {link['b']}  {link['kind']} ({link['score']:.2f})")
    for fix in plan.meta["corrections"][:_SHOWN]:
        say(f"corrected {fix['path']}: {fix['field']} {fix['old']} -> {fix['new']}")
    hidden = max(0, len(links) - _SHOWN) + max(0, len(plan.meta["corrections"]) - _SHOWN)
    if hidden:
        say(f"  and {hidden} more, in folds.json")


def _say_answer(competition: "Competition") -> None:
    """Print what the order of classes decides on: their numbers, or whose probability it is."""
    names = competition.class_names
    if not competition.parts and competition.answer == "class":
        numbers = ", ".join(f"{c} {name}" for c, name in enumerate(names))
        say(f"answers are these numbers: {numbers[:200]}; set classes=(...) for another order")
    if competition.answer == "probability":
        say(f"an answer is the probability of {names[1]}")


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.folds", description=__doc__)
    add_options(parser, "data")
    parser.add_argument(
        "--competition",
        metavar="FILE|NAME",
        help="what is to be predicted: a definition, or a name in kit/competitions (default: "
        "competition.py in the working folder, else the kit's first one)",
    )
    parser.add_argument("--folds", type=int, default=5, help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=42, help="seed of the split (default: 42)")
    parser.add_argument(
        "--corrections", type=Path, metavar="FILE", help="label fixes: a CSV id,target,value"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_PLAN, help=f"default: {DEFAULT_PLAN}")
    add_flags(parser, no_audit="do not read the photos for the leak audit")
    add_options(parser, force="overwrite an existing plan")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Plan the folds that a command line describes."""
    args = build_parser().parse_args(argv)
    from kit.competitions import find_competition
    from kit.data.folder import find_data
    from kit.data.plan import plan_json
    from kit.data.planning import PlanOptions, plan_folds

    data = find_data(args.data, find_competition(args.competition))
    definition = Path(args.competition or "competition.py")
    options = PlanOptions(
        folds=args.folds,
        seed=args.seed,
        corrections=args.corrections,
        audit=not args.no_audit,
        force=args.force,
        definition=definition if definition.suffix == ".py" and definition.is_file() else None,
    )
    plan, remarks = plan_folds(data, args.out, options)
    show_plan(plan)
    for remark in remarks:
        warn(remark)
    words = ["--data", str(args.data)] * (args.data is not None)
    words += ["--plan", str(args.out)] * (args.out != DEFAULT_PLAN)
    step = shlex.join(["recipes/effb4_5fold.py", "--fold", "all", *words])
    say(f"wrote {args.out} and {plan_json(args.out)}; next: python -m kit.train {step}")


if __name__ == "__main__":
    sys.exit(main())
