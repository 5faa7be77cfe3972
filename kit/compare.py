"""Compare submissions with each other, joined by id, and with answers where there are some.

    python -m kit.compare submissions/*.csv

shows how alike each pair is, with similar files side by side. Classes: how often they agree, beyond
chance (kappa), in which classes and in which of the competition's tasks they differ, and the class
counts, beside those out of fold. Lists of labels: Jaccard's index. Probabilities: correlation, rank
correlation and log-loss between them. `--answers FILE` adds the score by the competition's metric;
`--show 40` draws the photos that they differ on; `--vote FILE` writes the hard vote of them all as
a submission, or the mean of probabilities; `--json` prints all of it for a program, with every flip
if `--all-flips`. Runs' folders instead of files are compared out of fold.

    python -m kit.compare --record effb4_5fold-hflip --public .7631
    python -m kit.compare --board

enters what the competition's site said of a submission into `submissions/leaderboard.csv`, where
kit.ensemble logs each one, and shows that log: whether the out-of-fold score predicts the public
one, and what picking the best of many comes to by chance.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kit.system.cli import Parser, command, command_line
from kit.system.console import say, say_json
from kit.system.errors import KitError
from kit.system.options import DEFAULT_PLAN, add_flags, add_options, whole_number

if TYPE_CHECKING:
    from kit.competition import Competition
    from kit.reporting.comparison import Comparison
    from kit.results.predictions import Predictions

LOG: Final = Path("submissions/leaderboard.csv")
DEFAULT_SHEET: Final = Path("flips.jpg")


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.compare", description=__doc__)
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE.csv|RUN", help="submissions, or runs' folders"
    )
    add_options(parser, plan=f"for runs: the fold plan (default: {DEFAULT_PLAN})")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="a CSV with the true classes")
    add_output_options(parser)
    add_log_options(parser)
    add_flags(
        parser,
        json="print JSON",
        all_flips="for --json: every flip of each pair, not the most frequent ones alone",
    )
    return parser


def add_output_options(parser: Parser) -> None:
    """Add the options of the files that are written: a vote, and a contact sheet."""
    parser.add_argument(
        "--vote",
        type=Path,
        metavar="OUT.csv",
        help="write their hard vote as a submission (of classes with equal votes that of the "
        "earliest file), or the mean of their probabilities, of ranks for ROC AUC and the like",
    )
    parser.add_argument(
        "--show",
        type=whole_number(1),
        metavar="N",
        help="draw up to N photos that they differ on, on a contact sheet",
    )
    text = f"for --show: the picture (default: {DEFAULT_SHEET})"
    parser.add_argument("--sheet", type=Path, metavar="FILE", help=text)
    add_options(
        parser,
        data="for --vote and --show: the competition's folder (default: $KIT_DATA, then data/)",
        force="for --vote and --show: overwrite an existing file",
    )


def add_log_options(parser: Parser) -> None:
    """Add the options of the leaderboard log."""
    parser.add_argument(
        "--record",
        metavar="NAME",
        help="enter the site's scores of a submission into the leaderboard log",
    )
    for name in ("public", "private"):
        text = f"for --record: its {name} score"
        parser.add_argument(f"--{name}", type=float, metavar="SCORE", help=text)
    add_flags(parser, board="show the leaderboard log, the best out-of-fold score first")
    text = f"the leaderboard log (default: {LOG})"
    parser.add_argument("--log", type=Path, default=LOG, metavar="FILE", help=text)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Compare the files that a command line names, or read and write the leaderboard log."""
    parser = build_parser()
    args = parser.parse_intermixed_args(argv)
    given = {name: getattr(args, name) for name in ("public", "private")}
    scores = {name: score for name, score in given.items() if score is not None}
    if args.all_flips and (not args.json or args.board or args.record is not None):
        raise KitError("--all-flips: is for --json of a comparison; leave it out")
    if args.record is not None or args.board:
        return use_log(args, scores)
    if scores:
        raise KitError("--public and --private: need --record NAME")
    if len(args.files) > 1:  # of submissions/*.csv
        args.files = [path for path in args.files if path.name != LOG.name]
    check_options(parser, args)
    predictions, comparison = compare(args)
    lines = write_outputs(args, predictions, command_line("compare", argv))
    if args.json:
        return say_json(comparison.describe())
    from kit.reporting.comparison_tables import show

    show(comparison)
    for line in lines:
        say(line)


def use_log(args: Namespace, scores: Mapping[str, float]) -> None:
    """Enter a submission's scores into the leaderboard log, and show the log, as asked.

    Raises `KitError` for options that the log does not take, or lacks.
    """
    if args.files or args.vote or args.answers:
        raise KitError("kit.compare: --record and --board take no files; leave them out")
    if args.record is not None and not scores:
        raise KitError("--record: give the site's score with --public or --private")
    from kit.metrics.metric import metric_of
    from kit.reporting.leaderboard_tables import show_board
    from kit.results.board_summary import summarise
    from kit.results.check import paired_draws
    from kit.results.leaderboard import enter_scores, read_board

    metric = metric_of(competition_of(args))
    if args.record is not None:
        row = enter_scores(args.log, args.record, scores, metric)
        texts = [f"{name} {score:g}" for name, score in scores.items()]
        say(f"{row.submission}: {', '.join(texts)}")
    if args.board:
        rows = read_board(args.log)
        draws = paired_draws([row for row in rows if row.public is not None], args.log.parent)
        summary = summarise(rows, draws, metric.sign)
        if args.json:
            say_json(summary.describe())
        else:
            show_board(summary, metric)


def check_options(parser: Parser, args: Namespace) -> None:
    """Raise `KitError` unless there are files to compare, and options that suit them."""
    files = args.files
    if not files:
        raise KitError("kit.compare: name submissions, or --board, or --record NAME")
    if len(files) == 1 and args.answers is None:
        more = "run" if files[0].is_dir() else "submission or --answers FILE"
        raise KitError(f"{files[0]}: there is nothing to compare it with; name a second {more}")
    if args.plan != parser.get_default("plan") and not any(path.is_dir() for path in files):
        raise KitError("--plan: is for runs, which are compared out of fold; leave it out")
    shown = args.show is not None
    if not shown and not args.vote:
        for option in ("data", "force"):
            if getattr(args, option):
                raise KitError(f"--{option}: is for --vote or --show; leave it out")
    if args.sheet and not shown:
        raise KitError("--sheet: is for --show; leave it out")
    if shown and len(files) == 1:
        raise KitError(
            f"{files[0]}: there is no other file to differ from; name a second submission, "
            "or leave --show out"
        )
    runs = [path for path in files if path.is_dir()]
    if runs and (len(runs) < len(files) or args.answers or args.vote):
        raise KitError(
            f"{runs[0]}: runs are compared out of fold, with other runs alone; leave files, "
            "--answers and --vote out"
        )


def competition_of(args: Namespace) -> "Competition":
    """The competition of the fold plan; without a plan, the definition's, completed by its data."""
    from kit.competitions import find_competition
    from kit.data.folder import find_data
    from kit.data.plan import read_plan

    if args.plan.exists():
        return read_plan(args.plan).competition
    competition = find_competition()
    return competition if competition.answer else find_data(args.data, competition).competition


def compare(args: Namespace) -> tuple["Predictions", "Comparison"]:
    """Read and compare submissions, or runs out of fold: their predictions, and the comparison."""
    from kit.data.plan import read_plan
    from kit.reporting.comparing import compare_files, compare_predictions, read_runs
    from kit.results.predictions import read_files

    if not args.files[0].is_dir():
        predictions = read_files(args.files, args.answers, competition_of(args))
        return predictions, compare_files(args.files, predictions, args.all_flips)
    predictions = read_runs(args.files, read_plan(args.plan))
    if len(predictions.names) < 2:
        raise KitError(f"{args.files[0]}: the paths are one run; name another to compare it with")
    return predictions, compare_predictions(predictions, args.all_flips)


def write_outputs(args: Namespace, predictions: "Predictions", line: str) -> list[str]:
    """Write the vote, with the command `line` in its record, and the contact sheet, as asked.

    Returns a line for each file written.
    """
    if not args.vote and args.show is None:
        return []
    from kit.blending.vote import kind_of_vote, write_vote
    from kit.data.folder import find_data
    from kit.reporting.flips import FlipSheet

    competition, lines, sheet = predictions.competition, list[str](), None
    if args.show is not None:
        data, out = find_data(args.data, competition), args.sheet or DEFAULT_SHEET
        photos = data.train_images if args.files[0].is_dir() else data.test_images
        sheet = FlipSheet(args.files, data, photos, out, args.show, args.force)
        sheet.check()  # before the vote is written
    if args.vote:
        data = find_data(args.data, competition, "test")
        write_vote(args.files, predictions, data, args.vote, args.force, line)
    if sheet is not None:
        shown = sheet.write(predictions)
        names = ", ".join(f"{n + 1} is {name}" for n, name in enumerate(predictions.names))
        lines.append(
            f"wrote {sheet.out}: {shown} photos that they differ on; {names}"
            if shown
            else "they differ on no photo, so that there is none to show"
        )
    if args.vote:
        record = args.vote.with_suffix(".json")
        kind = kind_of_vote(competition)
        lines.append(f"wrote {args.vote}, the {kind} of {len(args.files)} files, and {record}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
