"""Blend members' probabilities over folds and views of each photo, and write a checked submission.

    python -m kit.ensemble runs/effb4_5fold --tta hflip
    python -m kit.ensemble runs/effb4_5fold theirs.csv --blend greedy --decide bias
    python -m kit.ensemble --check submissions/effb4_5fold-hflip.csv

MEMBER is a run's folder, with a checkpoint for each fold; one fold's folder, or a checkpoint file;
or another team's probabilities, a CSV (ids, then the classes from 0) or an .npz (ids, probs), with
its out-of-fold ones in it, or beside it in NAME.oof.csv. Whatever is fitted to out-of-fold
probabilities is scored nested, and used only if it pays. Test probabilities are kept beside each
checkpoint, by photos, view and precision, so that a second ensemble runs no network. Networks run
in the precision that is fastest here; in 16 bits, close calls are run again in fp32.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kit.system.cli import Parser, command, command_line
from kit.system.errors import KitError
from kit.system.options import DEFAULT_PLAN, add_flags, add_options, add_place_options, whole_number

if TYPE_CHECKING:
    from kit.blending.record import Record
    from kit.data.folder import DataFolder
    from kit.data.plan import Plan

_OF_PLACES: Final = ("cluster", "gpus", "task_cpus", "retries")


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.ensemble", description=__doc__)
    parser.add_argument(
        "members",
        nargs="*",
        type=Path,
        metavar="MEMBER",
        help="a run's folder, one fold's, a checkpoint, or a file of probabilities",
    )
    add_options(parser, "data", "plan")
    add_view_options(parser)
    add_blend_options(parser)
    add_file_options(parser)
    add_flags(parser, allow_missing_folds="take a run with the folds that are there")
    add_place_options(parser)
    folder = "$KIT_CACHE, then the system's temporary folder"
    add_options(parser, cache_dir=f"where --fast caches pixels while it runs (default: {folder})")
    parser.add_argument(
        "--batch-size", type=whole_number(1), help="photos a batch, for a GPU of little memory"
    )
    add_flags(
        parser,
        exact="run networks in fp32, whatever is faster",
        profile="tell where the time went, and write a trace beside the submission",
    )
    add_options(parser, force="overwrite an existing submission")
    return parser


def add_view_options(parser: Parser) -> None:
    """Add the options of the views of each photo."""
    parser.add_argument(
        "--tta",
        default="none",
        metavar="none|hflip|fivecrop|scale|shift|bright|hflip+scale...",
        help="views of each photo, the plain one always among them, + for products (default: none)",
    )
    add_flags(
        parser,
        force_views="take views upside down and at right angles, too",
        score_tta="score the views out of fold, too: what each of them adds",
    )


def add_blend_options(parser: Parser) -> None:
    """Add the options of blend, decision and score, and of stopping photos early."""
    from kit.blending.choices import BLENDS, DECISIONS

    for option, dest, choices in (
        ("--blend", "blend", BLENDS),
        ("--decide", "decision", DECISIONS),
    ):
        default, texts = next(iter(choices)), [f"{name}: {text}" for name, text in choices.items()]
        texts[-1] += f" (default: {default})"
        parser.add_argument(
            option, dest=dest, choices=list(choices), default=default, help="; ".join(texts)
        )
    add_flags(
        parser,
        force_blend="use a fitted blend or decision whose gain is not above chance",
        no_score="do without an out-of-fold score, for members that have none",
        fast="stop a photo as soon as no member to come can change its class",
    )
    parser.add_argument(
        "--agree",
        type=float,
        metavar="SHARE",
        help="stop earlier: with 95 %% confidence such a share of classes, say .998, is that of "
        "the full run",
    )


def add_file_options(parser: Parser) -> None:
    """Add the options of submissions, records and probabilities to read and to write."""
    parser.add_argument(
        "--from",
        type=Path,
        metavar="FILE.json",
        dest="source",
        help="make a record's submission again, to the byte: every network runs again",
    )
    parser.add_argument(
        "--check",
        type=Path,
        nargs="+",
        metavar="FILE.csv",
        help="check submissions, whoever made them; write nothing",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="default: submissions/<members>-<tta>.csv, with blend and decision if not plain",
    )
    parser.add_argument(
        "--save-probs",
        type=Path,
        metavar="FILE.csv|.npz",
        help="write the blended probabilities, too, out of fold as well: a member for others",
    )


def check_options(parser: Parser, args: Namespace) -> None:
    """Raise `KitError` unless there are members, `--from` or `--check`, and suitable options."""
    if [bool(args.members), args.source is not None, args.check is not None].count(True) != 1:
        raise KitError(
            "kit.ensemble: takes one of three; name members, such as runs/effb4_5fold, or --from "
            "FILE.json, or --check FILE.csv"
        )
    if args.members:
        return
    mode, taken = "--check", {"members", "check", "data", "plan"}
    if args.source is not None:
        mode = "--from"
        taken |= {"source", "out", "device", "workers", "batch_size", "cache_dir", "force"}
    for name, value in vars(args).items():
        if name not in taken and value != parser.get_default(name):
            option = "--decide" if name == "decision" else "--" + name.replace("_", "-")
            reason = ""
            if mode == "--from" and name not in ("save_probs", "profile", *_OF_PLACES):
                reason = ", for the record says it"
            raise KitError(f"{mode}: takes no {option}{reason}; leave it out")
    if args.source is not None and "," in (args.device or ""):
        raise KitError(f"--from: --device {args.device} are several; name one")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Make, remake or check the submission that a command line names."""
    parser = build_parser()
    args = parser.parse_intermixed_args(argv)
    check_options(parser, args)
    from kit.competitions import find_competition
    from kit.data.folder import find_data
    from kit.reporting.checks import optional_plan, show_checks, show_files
    from kit.reporting.record import show_record
    from kit.system.device import choose_device
    from kit.system.profiler import profiled

    plan = optional_plan(args.plan) if args.check is not None else needed_plan(args)
    competition = plan.competition if plan is not None else find_competition()
    data = find_data(args.data, competition, "test")
    if args.check is not None:
        return show_checks(args.check, data, plan)
    device = choose_device(local_device(args)) if args.profile else None
    with profiled(device) as profile:
        out, record = make_submission(args, plan, data, command_line("ensemble", argv))
    show_record(record, competition)
    if profile is not None:
        profile.write(out.with_suffix(".profile"))
    show_files(out, args.save_probs, data, plan)


def needed_plan(args: Namespace) -> "Plan | None":
    """The fold plan, which has the labels.

    None if the plan does not exist, and files of probabilities are blended without a score.
    """
    from kit.data.plan import read_plan
    from kit.inference.member_files import only_files

    unscored = args.no_score or args.source is not None
    if unscored and only_files(args.members) and args.plan == DEFAULT_PLAN:
        return read_plan(args.plan) if args.plan.exists() else None
    return read_plan(args.plan)


def local_device(args: Namespace) -> str | None:
    """The device of this process: where others run blocks of photos, the first, or any."""
    return None if args.cluster is not None else args.device and args.device.split(",")[0]


def make_submission(
    args: Namespace, plan: "Plan | None", data: "DataFolder", line: str
) -> "tuple[Path, Record]":
    """Write a submission and its record, which has the command line: its path, and the record."""
    from kit.blending.reproduce import reproduce
    from kit.blending.settings import EnsembleSettings, Output
    from kit.blending.submit import ensemble
    from kit.data.plan import plan_json
    from kit.inference.elsewhere import find_place
    from kit.inference.engine import Compute

    compute = Compute(
        device=local_device(args),
        workers=args.workers,
        batch_size=args.batch_size,
        exact=args.exact,
        cache_dir=args.cache_dir,
        place=find_place(args, args.members, data),
    )
    output = Output(
        path=args.out,
        save_probs=args.save_probs,
        force=args.force,
        inputs=(args.plan, plan_json(args.plan)),
        command=line,
    )
    if args.source is not None:
        return reproduce(args.source, plan, data, output, compute)
    settings = EnsembleSettings(
        tta=args.tta,
        force_views=args.force_views,
        score_tta=args.score_tta,
        blend=args.blend,
        decision=args.decision,
        force_blend=args.force_blend,
        score=not args.no_score,
        fast=args.fast or args.agree is not None,
        agree=args.agree,
        allow_missing=args.allow_missing_folds,
    )
    return ensemble(args.members, plan, data, output, settings, compute)


if __name__ == "__main__":
    sys.exit(main())
