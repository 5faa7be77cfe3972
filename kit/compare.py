"""Compare submissions with each other, joined by id, and with answers where there are some.

    python -m kit.compare submissions/*.csv

shows how often each pair agrees, beyond chance (kappa), with similar files side by side; in which
classes and in which of mask, gender and age they differ; and the class counts, beside those out of
fold. `--answers FILE` adds macro-F1; `--show 40` draws the photos that they differ on; `--vote
FILE` writes the hard vote of them all as a submission; `--json` prints all of it for a program,
with every flip if `--all-flips`. Runs' folders instead of files are compared out of fold.

    python -m kit.compare --record effb4_5fold-hflip --public .7631
    python -m kit.compare --board

enters what the competition's site said of a submission into `submissions/leaderboard.csv`, where
kit.ensemble logs each one, and shows that log: whether the out-of-fold score predicts the public
one, and what picking the best of many comes to by chance.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.blending.vote import write_vote
from kit.data.folder import eval_images, find_data, train_images
from kit.data.plan import read_plan
from kit.reporting.comparison import _SHOWN, compare_classes, compare_files, read_runs
from kit.reporting.comparison_tables import show, show_board
from kit.reporting.flips import check_sheet, write_flips
from kit.results import leaderboard as board
from kit.results.check import paired_draws
from kit.results.leaderboard import read_board
from kit.results.predictions import read_files
from kit.system.cli import Parser, command
from kit.system.console import say
from kit.system.errors import KitError


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.compare", description=__doc__)
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE.csv|RUN", help="submissions, or runs' folders"
    )
    parser.add_argument(
        "--plan",
        type=Path,
        default=Path("runs/folds.csv"),
        help="for runs: the fold plan (default: runs/folds.csv)",
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="a CSV ImageID,ans with the true classes"
    )
    parser.add_argument(
        "--vote",
        type=Path,
        metavar="OUT.csv",
        help="write their hard vote as a submission; of classes with equal votes that of the "
        "earliest file",
    )
    parser.add_argument(
        "--show",
        type=int,
        metavar="N",
        help="draw up to N photos that they differ on, on a contact sheet",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="for --show: the picture (default: flips.jpg)"
    )
    parser.add_argument(
        "--data",
        help="for --vote and --show: the competition's folder (default: $KIT_DATA, then data/)",
    )
    parser.add_argument(
        "--force", action="store_true", help="for --vote and --show: overwrite an existing file"
    )
    parser.add_argument(
        "--record",
        metavar="NAME",
        help="enter the site's scores of a submission into the leaderboard log",
    )
    parser.add_argument(
        "--public", type=float, metavar="SCORE", help="for --record: its public macro-F1"
    )
    parser.add_argument(
        "--private", type=float, metavar="SCORE", help="for --record: its private macro-F1"
    )
    parser.add_argument(
        "--board",
        action="store_true",
        help="show the leaderboard log, the best out-of-fold score first",
    )
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("submissions") / board.NAME,
        metavar="FILE",
        help=f"the leaderboard log (default: submissions/{board.NAME})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--all-flips",
        action="store_true",
        help=f"for --json: every flip of each pair, not the {_SHOWN} most frequent ones alone",
    )
    args = parser.parse_intermixed_args(argv)
    if args.all_flips and (not args.json or args.board or args.record is not None):
        raise KitError("--all-flips: is for --json of a comparison; leave it out")
    entered = {
        what: value for what in ("public", "private") if (value := getattr(args, what)) is not None
    }
    if args.record is not None or args.board:
        if args.files or args.vote or args.answers:
            raise KitError(
                "kit.compare: --record and --board are of the log alone; leave the files out"
            )
        if args.record is not None:
            if not entered:
                raise KitError("--record: say what the site said, with --public or --private")
            row = board.record(args.log, args.record, entered)
            say(
                f"{row['submission']}: "
                + ", ".join(f"{what} {value:g}" for what, value in entered.items())
            )
        if args.board:
            rows = read_board(args.log)
            draws = paired_draws([row for row in rows if row["public"] != ""], args.log.parent)
            summary = board.summary(rows, draws)
            if args.json:
                print(json.dumps(summary, indent=1, ensure_ascii=False))
            else:
                show_board(summary)
        return
    if entered:
        raise KitError("--public and --private: are of --record NAME")
    if len(args.files) > 1:
        args.files = [
            path for path in args.files if path.name != board.NAME
        ]  # of submissions/*.csv
    if not args.files:
        raise KitError("kit.compare: name submissions, or --board, or --record NAME")
    if len(args.files) == 1 and args.answers is None:
        raise KitError(
            f"{args.files[0]}: there is nothing to compare it with; name a second submission or "
            "--answers FILE"
        )
    if args.plan != parser.get_default("plan") and not any(path.is_dir() for path in args.files):
        raise KitError("--plan: is for runs, which are compared out of fold; leave it out")
    for option, of in (
        ("data", "--vote or --show"),
        ("force", "--vote or --show"),
        ("sheet", "--show"),
    ):
        if getattr(args, option) and not (args.show is not None or args.vote and of != "--show"):
            raise KitError(f"--{option}: is for {of}; leave it out")
    if args.show is not None and args.show < 1:
        raise KitError(f"--show {args.show}: take 1 or more")
    if args.show is not None and len(args.files) == 1:
        raise KitError(
            f"{args.files[0]}: there is no other file to differ from; name a second submission, "
            "or leave --show out"
        )
    runs = [path for path in args.files if path.is_dir()]
    if runs:
        if len(runs) < len(args.files) or args.answers or args.vote:
            raise KitError(
                f"{runs[0]}: runs are compared out of fold, with other runs alone; leave files, "
                "--answers and --vote "
                "out"
            )
        read = read_runs(runs, read_plan(args.plan))
        if len(read.names) < 2:
            raise KitError(
                f"{runs[0]}: is one run with the others; name another run to compare it with"
            )
        result = compare_classes(read.names, read.classes, read.truth, read.person, args.all_flips)
        result["chosen_on_fold"] = read.chosen
    else:
        read = read_files(args.files, args.answers)
        result = compare_files(args.files, read, args.all_flips)
    words = shlex.join(
        ["python", "-m", "kit.compare", *map(str, sys.argv[1:] if argv is None else argv)]
    )
    if args.show is not None:
        check_sheet(
            args.sheet or Path("flips.jpg"), find_data(args.data), args.files, args.force
        )  # before the vote is written
    if args.vote:
        write_vote(
            args.files, read, find_data(args.data, "eval/info.csv"), args.vote, args.force, words
        )
    told = []
    if args.show is not None:
        data, sheet = find_data(args.data), args.sheet or Path("flips.jpg")
        root = train_images(data) if runs else eval_images(data)
        shown = write_flips(args.files, read, data, root, args.show, sheet, args.force)
        told.append(
            f"wrote {sheet}: {shown} photos that they differ on; "
            + ", ".join(f"{n + 1} is {name}" for n, name in enumerate(read.names))
            if shown
            else "they differ on no photo, so that there is none to show"
        )
    if args.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    show(result)
    if args.vote:
        told.append(
            f"wrote {args.vote}, the hard vote of {len(args.files)} files, and "
            f"{args.vote.with_suffix('.json')}"
        )
    for line in told:
        say(line)


if __name__ == "__main__":
    sys.exit(main())
