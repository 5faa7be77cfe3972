"""Blend members' probabilities over folds and views of each photo, score it honestly, and write a
checked submission.

    python -m kit.ensemble runs/effb4_5fold --tta hflip python -m kit.ensemble runs/effb4_5fold
    runs/resnet50_5fold theirs.csv --blend greedy --decide bias python -m kit.ensemble --check
    submissions/effb4_5fold-hflip.csv

MEMBER is a run's folder, with a checkpoint for each fold; one fold's folder, or a checkpoint file;
or another team's probabilities, a CSV (ids, then the classes 0 to 17) or an .npz (ids, probs), with
its out-of-fold ones in it, or beside it in NAME.oof.csv. Whatever is fitted to out-of-fold
probabilities is scored nested, and used only if it pays. Test probabilities are kept beside each
checkpoint, keyed by checkpoint, photos, view and precision, so that a second ensemble runs no
network. Networks run in the precision that is fastest here; in 16 bits, photos whose class is a
close call are run again in fp32.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.blending.rule import BLENDS, DECISIONS
from kit.blending.settings import Settings
from kit.blending.submit import ensemble, reproduce
from kit.data.folder import find_data, info_csv
from kit.data.plan import plan_json, read_plan
from kit.inference.engine import Compute
from kit.inference.member_files import only_files, oof_path
from kit.reporting.record import show_checks, show_record
from kit.results.check import check_submission, expected_counts
from kit.system.cli import Parser, command
from kit.system.console import say, warn
from kit.system.device import choose_device
from kit.system.disk import refuse_input
from kit.system.errors import KitError
from kit.system.profiler import profiled


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.ensemble", description=__doc__)
    parser.add_argument(
        "members",
        nargs="*",
        type=Path,
        metavar="MEMBER",
        help="a run's folder, one fold's, a checkpoint, or a file of probabilities",
    )
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument(
        "--plan",
        type=Path,
        default=Path("runs/folds.csv"),
        help="the fold plan (default: runs/folds.csv)",
    )
    parser.add_argument(
        "--tta",
        default="none",
        metavar="none|hflip|fivecrop|scale|shift|bright|hflip+scale...",
        help="views of each photo, the plain one always among them, + for products (default: none)",
    )
    parser.add_argument(
        "--force-views", action="store_true", help="take views upside down and at right angles, too"
    )
    parser.add_argument(
        "--score-tta",
        action="store_true",
        help="score the views out of fold, too: what each of them adds",
    )
    parser.add_argument(
        "--blend",
        choices=list(BLENDS),
        default="mean",
        help="; ".join(f"{name}: {text}" for name, text in BLENDS.items()) + " (default: mean)",
    )
    parser.add_argument(
        "--decide",
        choices=list(DECISIONS),
        default="argmax",
        dest="decision",
        help="; ".join(f"{name}: {text}" for name, text in DECISIONS.items())
        + " (default: argmax)",
    )
    parser.add_argument(
        "--force-blend",
        action="store_true",
        help="use a fitted blend or decision whose gain is not above chance",
    )
    parser.add_argument(
        "--no-score",
        action="store_true",
        help="do without an out-of-fold score, for members that have none",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="stop a photo as soon as no member to come can change its class",
    )
    parser.add_argument(
        "--agree",
        type=float,
        metavar="SHARE",
        help="stop earlier: with 95 %% confidence such a share of classes, say .998, is that of "
        "the full run",
    )
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
        help="default: submissions/<members>-<tta>.csv, with blend and decision if not the plain "
        "ones",
    )
    parser.add_argument(
        "--save-probs",
        type=Path,
        metavar="FILE.csv|.npz",
        help="write the blended probabilities, too, out of fold as well: a member for others",
    )
    parser.add_argument(
        "--allow-missing-folds",
        action="store_true",
        help="take a run with the folds that are there",
    )
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"
    )
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--batch-size", type=int, help="photos a batch, for a GPU of little memory")
    parser.add_argument(
        "--exact", action="store_true", help="run networks in fp32, whatever is faster"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="tell where the time went, and write a trace beside the submission",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing submission")
    args = parser.parse_intermixed_args(argv)
    if [bool(args.members), args.source is not None, args.check is not None].count(True) != 1:
        raise KitError(
            "kit.ensemble: name members, such as runs/effb4_5fold, or --from FILE.json, or "
            "--check FILE.csv: one of "
            "the three"
        )
    for name in ("workers", "batch_size"):
        value = getattr(args, name)
        if value is not None and value < (name == "batch_size"):
            raise KitError(
                f"--{name.replace('_', '-')} {value}: take {int(name == 'batch_size')} or more"
            )
    which = "--check" if args.check is not None else "--from" if args.source is not None else ""
    of_place = ["members", "check", "data", "plan"]
    of_place += ["source", "out", "device", "workers", "batch_size", "force"] * (which == "--from")
    idle = [
        name
        for name, value in vars(args).items()
        if which and name not in of_place and value != parser.get_default(name)
    ]
    if idle:
        option = "--decide" if idle[0] == "decision" else "--" + idle[0].replace("_", "-")
        said = which == "--from" and idle[0] not in ("save_probs", "profile")
        raise KitError(
            f"{which}: takes no {option}{', for the record says it' * said}; leave it out"
        )
    data = find_data(args.data, "eval/info.csv")
    if args.check is not None:
        return show_checks(args.check, info_csv(data), args.plan)
    words = shlex.join(
        ["python", "-m", "kit.ensemble", *map(str, sys.argv[1:] if argv is None else argv)]
    )
    for place in (
        args.out,
        *([args.save_probs, oof_path(args.save_probs)] if args.save_probs is not None else []),
    ):
        if place is not None:
            refuse_input(place, data, args.plan, plan_json(args.plan))
    engine = Compute(args.device, args.workers, args.batch_size, args.exact)
    # The labels are in the plan: without a score, files of probabilities need none.
    needless = (
        (args.no_score or args.source is not None)
        and only_files(args.members)
        and args.plan == parser.get_default("plan")
        and not args.plan.exists()
    )
    plan = None if needless else read_plan(args.plan)
    device = None
    if args.profile:
        device = choose_device(args.device)
    with profiled(device) as profile:
        if args.source is not None:
            out, record = reproduce(args.source, plan, data, args.out, engine, args.force, words)
        else:
            settings = Settings(
                tta=args.tta,
                force_views=args.force_views,
                score_tta=args.score_tta,
                blend=args.blend,
                decision=args.decision,
                force_blend=args.force_blend,
                score=not args.no_score,
                fast=args.fast or args.agree is not None,
                agree=args.agree,
            )
            out, record = ensemble(
                args.members,
                plan,
                data,
                args.out,
                settings,
                engine,
                args.allow_missing_folds,
                args.force,
                words,
                args.save_probs,
            )
    show_record(record)
    if profile is not None:
        profile.write(out.with_suffix(".profile"))
    if args.save_probs is not None:
        beside = oof_path(args.save_probs)
        say(
            f"wrote {args.save_probs}"
            + (f" and {beside}" if beside.exists() else "")
            + ", a member for others"
        )
    say(
        f"wrote {out} (checked against info.csv: same ids, same order, whole numbers 0..17) and "
        f"{out.with_suffix('.json')}"
    )
    for line in check_submission(out, info_csv(data), expected_counts(out, plan)):
        warn(line)


if __name__ == "__main__":
    sys.exit(main())
