"""Draw a small data set in a competition's layout, for trials without its photos.

    python -m kit.sample --out data/sample
    python -m kit.sample --competition statefarm --out data/statefarm

The drawing carries what is asked, with overlap, so that a small network learns it, but not fully.
The layout carries the competition's traps. `answers.csv` has the truth of the photos to predict.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.system.cli import Parser, command
from kit.system.console import say
from kit.system.errors import problem
from kit.system.options import add_options

_SHEET = "contact_sheet.png"


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.sample", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to draw into"
    )
    parser.add_argument(
        "--competition",
        metavar="FILE|NAME",
        help="whose layout: a name in kit/competitions (default: the kit's first one)",
    )
    parser.add_argument(
        "--groups", type=int, default=60, help="groups of photos with labels (default 60)"
    )
    parser.add_argument(
        "--test-groups", type=int, default=20, help="groups of photos to predict (default 20)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed draws other photos (default 0)"
    )
    add_options(parser, force="replace a sample drawn earlier")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Draw the sample that a command line describes."""
    args = build_parser().parse_args(argv)
    if args.out == Path():
        raise problem("--out", "names the folder you are in", remedy="name a new one")
    from kit.competitions import DEFAULT, find_competition

    name = args.competition or DEFAULT
    competition = find_competition(name)
    if competition.draw is None:
        what = f"{name} has no sample to draw"
        raise problem("--competition", what, remedy="take one of kit/competitions")
    out = competition.draw(args.out, args.groups, args.test_groups, args.seed, args.force)
    photos = [path for path in out.rglob("[!.]*.*") if path.suffix not in (".csv", ".json")]
    words = "groups" if competition.group == "photo" else competition.groups
    number = len(photos) - (out / _SHEET).is_file()
    say(
        f"drew {args.groups:,} {words} with labels and {args.test_groups:,} to predict, "
        f"{number:,} photos, in {out}"
    )
    if (out / _SHEET).is_file():
        say(f"look   {out / _SHEET}")
    more = f" --competition {shlex.quote(name)}" if args.competition else ""
    say(f"next   python -m kit.folds --data {shlex.quote(str(args.out))}{more}")


if __name__ == "__main__":
    sys.exit(main())
