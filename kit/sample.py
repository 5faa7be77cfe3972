"""Draw a small data set in the competition's layout, for trials without its photos.

    python -m kit.sample --out data/sample

The drawing carries what is asked, with overlap, so that a small network learns it, but not fully.
The layout carries the competition's traps.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.system.cli import Parser, command
from kit.system.console import say
from kit.system.errors import problem
from kit.system.options import add_options


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.sample", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to draw into"
    )
    parser.add_argument("--people", type=int, default=60, help="people with labels (default 60)")
    parser.add_argument(
        "--eval-people", type=int, default=20, help="people of the eval photos (default 20)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed draws other people (default 0)"
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

    competition = find_competition(DEFAULT)
    assert competition.draw is not None
    out = competition.draw(args.out, args.people, args.eval_people, args.seed, args.force)
    images = [out / folder for folder in (competition.train_images, competition.test_images)]
    photos = [sum(1 for path in folder.rglob("[!.]*.*")) for folder in images]
    say(
        f"drew {args.people:,} people with labels ({photos[0]:,} photos) and "
        f"{args.eval_people:,} for eval ({photos[1]:,} photos) in {out}"
    )
    say(f"look   {out / 'contact_sheet.png'}")
    say(f"next   python -m kit.folds --data {shlex.quote(str(args.out))}")


if __name__ == "__main__":
    sys.exit(main())
