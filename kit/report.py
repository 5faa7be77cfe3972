"""One page to look at: what runs get right and wrong out of fold, or, without a run, what the data
hold.

    python -m kit.report runs/effb4_5fold

writes `report.html`, one file with all of its figures and photos in it, which needs no network: the
score with its interval, learning curves, confusion matrices, F1 of each class, reliability, what
happens around 30 and 60, blends, the worst errors, and photos that are probably mislabelled, with
the lines for a corrections file. Several runs are reported as their mean.

    python -m kit.report

writes `data.html`: classes, ages, sizes and brightness, look-alikes, and photos of each class.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kit.data.folder import find_data
from kit.data.plan import read_plan
from kit.inference.engine import Compute
from kit.reporting.data_page import report_data
from kit.reporting.page import report
from kit.results.probs import PROBABILITY_FILES
from kit.results.run import Fold
from kit.scoring.bootstrap import say_interval
from kit.system.cli import Parser, command
from kit.system.console import duration, say
from kit.system.errors import KitError


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.report", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="runs' folders, or single folds; none: the data alone",
    )
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument(
        "--plan", type=Path, default=Path("runs/folds.csv"), help="default: runs/folds.csv"
    )
    parser.add_argument(
        "--out", type=Path, help="default: report.html, and data.html without a run"
    )
    parser.add_argument(
        "--tta",
        default="none",
        help="views as kit.ensemble has them, such as hflip (default: none)",
    )
    parser.add_argument(
        "--no-photos",
        action="store_true",
        help="leave photos out of the page; it still names people's folders",
    )
    parser.add_argument(
        "--device",
        help="for --tta and bare checkpoints: cpu, cuda or cuda:1 (default: the first GPU, else "
        "the CPU)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing page")
    args = parser.parse_intermixed_args(argv)
    started = time.monotonic()
    if args.runs:
        bare = any(
            run.suffix == ".safetensors" or Fold(run).best.exists() and not Fold(run).oof.exists()
            for run in args.runs
        )
        if args.device and args.tta == "none" and not bare:
            raise KitError(
                "--device: is for --tta, for without views no network is run; leave it out"
            )
        out = args.out or Path("report.html")
        alone = (
            args.no_photos
            and args.tta == "none"
            and not any(run.suffix in PROBABILITY_FILES for run in args.runs)
        )
        data = None if alone else find_data(args.data)
        numbers = report(
            args.runs,
            read_plan(args.plan),
            data,
            out,
            args.tta,
            Compute(args.device),
            not args.no_photos,
            args.force,
        )
        say(
            f"macro-F1 {numbers['f1']:.3f} out of fold "
            f"({say_interval(numbers['interval'], numbers['effective'])}), of "
            f"{numbers['photos']:,} photos of {numbers['people']:,} people; the networks are at "
            "odds with "
            f"{len(numbers['suspects'])} labels"
        )
    else:
        idle = [
            name
            for name in ("plan", "tta", "no_photos", "device")
            if getattr(args, name) != parser.get_default(name)
        ]
        if idle:
            raise KitError(
                f"--{idle[0].replace('_', '-')}: is of a report on runs; name one, such as "
                "runs/effb4_5fold"
            )
        out = args.out or Path("data.html")
        found = report_data(find_data(args.data), out, args.force)
        say(
            f"{found['photos']:,} photos of {found['people']:,} people, {found['eval']:,} to "
            f"predict; {len(found['links'])} "
            "pairs of people share a photo or a near-identical one"
        )
    say(
        f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) in "
        f"{duration(time.monotonic() - started)}: open it in a browser"
        + ("" if args.no_photos else "; it holds photos, so keep it to yourself")
    )


if __name__ == "__main__":
    sys.exit(main())
