"""Look at a competition's folder, and write its definition, `competition.py`.

    python -m kit.start DATA

says what it takes the folder for and why, writes the definition with a comment a line, tries it on
the data, and says what it is unsure of. Read the definition before you plan folds with it.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.system.cli import Parser, command
from kit.system.console import say
from kit.system.options import add_options

if TYPE_CHECKING:
    from kit.starting.guess import Guess
    from kit.starting.look import Facts

DEFINITION = Path("competition.py")
_WIDE = 44  # letters of a value that are shown


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.start", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="the unpacked data")
    parser.add_argument("--train", default="", metavar="TABLE", help="the training table in it")
    parser.add_argument("--out", type=Path, default=DEFINITION, help=f"default: {DEFINITION}")
    add_options(parser, force="overwrite an existing definition")
    return parser


def show_guess(facts: "Facts", guess: "Guess") -> None:
    """Print what a folder holds, and what it is taken for."""
    (size, _), *more = facts.sizes or (((0, 0), 0),)
    frame = f"most of {size[0]}x{size[1]}" if more else f"{size[0]}x{size[1]}"
    say(f"{len(facts.photos):,} photos ({frame}), tables: {', '.join(facts.tables)}")
    say()
    rows = [(line.field, str(line.value), line.why) for line in guess.lines]
    rows = [
        (field, value if len(value) <= _WIDE else f"{value[:_WIDE]}...", why)
        for field, value, why in rows
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for field, value, why in rows:
        say(f"{field:{widths[0]}}  {value:{widths[1]}}  {why}".rstrip())


def try_definition(path: Path, data: Path) -> None:
    """Complete a definition by the data, read all that it names, and print what came out."""
    import numpy as np

    from kit.competitions import find_competition
    from kit.data.folder import find_data, read_test
    from kit.data.targets import targets
    from kit.data.training import read_training

    folder = find_data(str(data), find_competition(str(path)))
    competition = folder.competition
    photos = read_training(competition, data).table
    truth = targets(photos, competition)
    counts = (
        truth.sum(axis=0)
        if truth.ndim == 2
        else np.bincount(truth, minlength=competition.num_classes)
    )
    tests = len(read_test(folder))
    groups = photos["group"].nunique()
    word = "" if competition.group == "photo" else f" of {groups:,} {competition.groups}"
    low, high = int(np.argmin(counts)), int(np.argmax(counts))
    names = competition.class_names
    say()
    say(f"tried: {len(photos):,} photos{word} to train on, {tests:,} to predict")
    say(
        f"tried: {len(names):,} classes, from {counts[low]:,} photos ({names[low]}) to "
        f"{counts[high]:,} ({names[high]}); frame {competition.frame[0]}x{competition.frame[1]} "
        "(height x width)"
    )


def known_form(data: Path) -> str:
    """The competition that is taken without a definition, where a folder has its files; or ``."""
    from kit.competitions import DEFAULT, find_competition

    known = find_competition(DEFAULT)
    places = (known.train, known.train_images, known.test, known.test_images)
    return DEFAULT if all((data / place).exists() for place in places) else ""


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write the definition of the folder that a command line names."""
    args = build_parser().parse_args(argv)
    from kit.starting.guess import guess
    from kit.starting.look import look
    from kit.starting.write import definition_text
    from kit.system.disk import atomic_write, check_output

    data = Path(os.path.expanduser(args.data))
    step = f"python -m kit.folds --data {shlex.quote(str(args.data))}"
    check_output(args.out, "a definition", suffixes=(".py",), inputs=[data], force=args.force)
    facts = look(data)
    if name := known_form(data):
        say(f"{data} holds the files of the competition {name}, which needs no definition")
        say(f"next   {step} --competition {name}")
        return
    found = guess(facts, args.train)
    show_guess(facts, found)
    with atomic_write(args.out, args.force) as path:
        path.write_text(definition_text(found), encoding="utf-8")
    say()
    say(f"wrote {args.out}")
    try_definition(args.out, data)
    for text in found.unsure:
        say(f"unsure {text}")
    more = "" if args.out == DEFINITION else f" --competition {shlex.quote(str(args.out))}"
    say(f"next   {step}{more}")


if __name__ == "__main__":
    sys.exit(main())
