"""One page to look at: what runs get right and wrong out of fold, or what the data hold.

    python -m kit.report runs/effb4_5fold

writes `report.html`, one file with all of its figures and photos in it, which needs no network: the
score with its interval, learning curves, confusion matrices, F1 of each class, reliability, what
happens around the edges of classes that are ranges of a number, blends, the worst errors, and
photos that are probably mislabelled, with the lines for a corrections file. Several runs are
reported as their mean.

    python -m kit.report

writes `data.html`: classes, numbers, sizes and brightness, look-alikes, and photos of each class.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from kit.system.cli import Parser, command
from kit.system.console import duration, say
from kit.system.errors import KitError
from kit.system.options import add_flags, add_options


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.report", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="runs' folders, or single folds; none: the data alone",
    )
    add_options(parser, "data", "plan")
    parser.add_argument(
        "--out", type=Path, help="default: report.html, and data.html without a run"
    )
    parser.add_argument(
        "--tta",
        default="none",
        help="views as kit.ensemble has them, such as hflip (default: none)",
    )
    add_flags(parser, no_photos="leave photos out of the page; it still names them")
    add_options(
        parser,
        device="for --tta and bare checkpoints: cpu, cuda or cuda:1 (default: the first GPU, else "
        "the CPU)",
        force="overwrite an existing page",
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write the page that a command line describes."""
    parser = build_parser()
    args = parser.parse_intermixed_args(argv)
    started = time.monotonic()
    if args.runs:
        out = report_runs(args)
    else:
        for name in ("plan", "tta", "no_photos", "device"):
            if getattr(args, name) != parser.get_default(name):
                raise KitError(
                    f"--{name.replace('_', '-')}: is of a report on runs; name one, such as "
                    "runs/effb4_5fold"
                )
        out = report_folder(args)
    say(
        f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) in "
        f"{duration(time.monotonic() - started)}: open it in a browser"
        + ("" if args.no_photos else "; it holds photos, so keep it to yourself")
    )


def report_runs(args: Namespace) -> Path:
    """Write the page on runs, and print their score; returns the page's path."""
    from kit.data.folder import find_data
    from kit.data.plan import read_plan
    from kit.inference.engine import Compute
    from kit.reporting.page import ReportOptions, report
    from kit.results.probs import PROBABILITY_FILES
    from kit.results.run import Fold
    from kit.scoring.bootstrap import say_interval

    bare = any(
        run.suffix == ".safetensors" or Fold(run).best.exists() and not Fold(run).oof.exists()
        for run in args.runs
    )
    if args.device and args.tta == "none" and not bare:
        raise KitError("--device: is for --tta, for without views no network is run; leave it out")
    out = args.out or Path("report.html")
    needs_photos = (
        not args.no_photos
        or args.tta != "none"
        or any(run.suffix in PROBABILITY_FILES for run in args.runs)
    )
    plan = read_plan(args.plan)
    groups = plan.competition.groups
    numbers, suspects = report(
        args.runs,
        plan,
        find_data(args.data, plan.competition) if needs_photos else None,
        out,
        ReportOptions(
            tta=args.tta, compute=Compute(args.device), photos=not args.no_photos, force=args.force
        ),
    )
    score = numbers.score
    interval = say_interval(score.interval, score.effective, of=groups)
    say(
        f"{score.scores.metric.title} {score.scores.score:.3f} out of fold ({interval}), of "
        f"{of_groups(score.photos, score.groups, groups)}; the networks are at odds with "
        f"{len(suspects)} labels"
    )
    return out


def report_folder(args: Namespace) -> Path:
    """Write the page on the data alone, and print their numbers; returns the page's path."""
    from kit.competitions import find_competition
    from kit.data.folder import find_data
    from kit.reporting.data_page import report_data

    out, competition = args.out or Path("data.html"), find_competition()
    summary = report_data(find_data(args.data, competition), out, args.force)
    say(
        f"{of_groups(summary.photos, summary.groups, competition.groups)}, "
        f"{summary.to_predict:,} to predict; {len(summary.links)} pairs of {competition.groups} "
        "share a photo or a near-identical one"
    )
    return out


def of_groups(photos: int, number: int, groups: str) -> str:
    """The number of photos in words, with the number of groups if a group has several photos."""
    return f"{photos:,} photos" + (f" of {number:,} {groups}" if groups != "photos" else "")


if __name__ == "__main__":
    sys.exit(main())
