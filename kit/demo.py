"""The whole pipeline on a drawn sample: draw, plan folds, train, ensemble, compare, score.

    python -m kit.demo

takes about two minutes on two CPU cores, needs no network, and leaves everything in `demo/` to look
at.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.folds import show_plan
from kit.system.cli import Parser, command
from kit.system.console import duration, say
from kit.system.errors import KitError, problem
from kit.system.options import add_options

if TYPE_CHECKING:
    from kit.blending.record import Record
    from kit.data.folder import DataFolder
    from kit.data.plan import Plan
    from kit.reporting.comparison import Comparison

_PARTS = ("data", "runs", "submissions")
_PAGE = "report.html"
_MARK = ".kit-demo"  # marks a folder that the demo made, and that --force may therefore empty


def demo(out: Path, people: int = 60, eval_people: int = 20, force: bool = False) -> float:
    """Run the pipeline into the folder `out`; the ensemble's macro-F1 on the sample's answers."""
    if people < 50 or eval_people < 1:
        raise KitError(
            f"--people {people} --eval-people {eval_people}: are too few; take 50 or more people, "
            "so that each class has some in five folds, and 1 or more eval people"
        )
    prepare_folder(out, force)
    data = draw(out / "data", people, eval_people)
    plan = plan_and_train(out, data)
    single, all_folds, record = make_submissions(out, plan, data)
    comparison = show_results(out, plan, data, (single, all_folds))
    scores = [comparison.files[path.stem].scores for path in (single, all_folds)]
    alone, together = (score.score if score is not None else float("nan") for score in scores)
    score = record.oof.scores.score if record.oof is not None else float("nan")
    say(
        f"\nmacro-F1 on {record.photos} photos of {eval_people} unseen people: one fold "
        f"{alone:.3f}, the ensemble {together:.3f}; out of fold it had said "
        f"{score:.3f}",
        style="bold",
    )
    for path, text in (
        (data.root / "contact_sheet.png", "the drawn people, to look at"),
        (out / "runs" / "folds.csv", "the fold plan"),
        (out / _PAGE, "the report, to open in a browser"),
        (
            out / "runs" / "tiny" / "fold0",
            "a checkpoint, its out-of-fold probabilities, its metrics",
        ),
        (all_folds, "the submission, with its record beside it (.json)"),
    ):
        say(f"{path!s:<34} {text}")
    return float(together)


def prepare_folder(out: Path, force: bool) -> None:
    """Make the demo's folder, or with `force` empty one that the demo made."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not force:
            raise problem(
                out,
                "exists already",
                remedy="choose another --out, or --force to run the demo anew",
            )
        if not (out / _MARK).is_file():
            raise problem(out, "is not a folder that the demo made", remedy="choose another --out")
        for part in _PARTS:
            shutil.rmtree(out / part, ignore_errors=True)
        (out / _PAGE).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).write_text(
        "Made by python -m kit.demo, which may replace it with --force.\n", encoding="utf-8"
    )


def say_step(title: str, line: str) -> None:
    """Print the title of a step, and the command line that does the same."""
    say(f"\n{title}", style="bold")
    say(f"$ python -m kit.{line}", style="dim")


def draw(out: Path, people: int, eval_people: int) -> "DataFolder":
    """Draw a sample of the default competition; its folder."""
    from kit.competitions import DEFAULT, find_competition
    from kit.data.folder import DataFolder

    say_step(
        "1. Draw a sample in the competition's layout",
        f"sample --out {out} --groups {people} --test-groups {eval_people}",
    )
    competition = find_competition(DEFAULT)
    assert competition.draw is not None  # the default one can
    competition.draw(out, people, eval_people, 0, False)
    return DataFolder(out, competition)


def plan_and_train(out: Path, data: "DataFolder") -> "Plan":
    """Plan the folds of the sample, and train a checkpoint for each; the plan."""
    from kit.data.planning import plan_folds
    from kit.recipe import load_recipe, shipped_recipe
    from kit.training.run import train

    runs = out / "runs"
    plan_path = runs / "folds.csv"
    say_step(
        f"2. Plan folds: every {data.competition.group} in one",
        f"folds --data {data.root} --out {plan_path}",
    )
    plan, _ = plan_folds(data, plan_path)
    show_plan(plan)
    say_step(
        "3. Train a checkpoint for each fold",
        f"train recipes/tiny.py --fold all --data {data.root} --plan {plan_path} --runs {runs}",
    )
    train(load_recipe(shipped_recipe("tiny")), plan, data, range(plan.k), runs)
    return plan


def make_submissions(out: Path, plan: "Plan", data: "DataFolder") -> "tuple[Path, Path, Record]":
    """Make the submissions of one fold and of all: both paths, and the record of the second."""
    from kit.blending.settings import EnsembleSettings, Output
    from kit.blending.submit import ensemble
    from kit.reporting.record import show_record

    run = out / "runs" / "tiny"
    single, all_folds = (out / "submissions" / f"tiny-{name}.csv" for name in ("fold0", "hflip"))
    common = f"--data {data.root} --plan {out / 'runs' / 'folds.csv'} --out"
    say_step("4. One fold alone, as a yardstick", f"ensemble {run / 'fold0'} {common} {single}")
    ensemble([run / "fold0"], plan, data, Output(path=single))
    say_step(
        "5. All folds and both views of each photo",
        f"ensemble {run} --tta hflip {common} {all_folds}",
    )
    output, settings = Output(path=all_folds), EnsembleSettings(tta="hflip")
    _, record = ensemble([run], plan, data, output, settings)
    show_record(record, plan.competition)
    return single, all_folds, record


def show_results(
    out: Path, plan: "Plan", data: "DataFolder", files: tuple[Path, Path]
) -> "Comparison":
    """Compare the two submissions, and write the report; the comparison."""
    from kit.reporting.comparing import compare
    from kit.reporting.comparison_tables import show
    from kit.reporting.page import report

    run, page, answers = out / "runs" / "tiny", out / _PAGE, data.root / "answers.csv"
    say_step(
        "6. Compare the two, and with the answers",
        f"compare {files[0]} {files[1]} --answers {answers}",
    )
    comparison = compare(files, plan.competition, answers)
    show(comparison)
    say_step(
        "7. See it: one page of what is right and wrong",
        f"report {run} --data {data.root} --plan {out / 'runs' / 'folds.csv'} --out {page}",
    )
    report([run], plan, data, page)
    return comparison


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser(prog="kit.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="default: demo")
    parser.add_argument("--people", type=int, default=60, help="people to train on (default: 60)")
    parser.add_argument(
        "--eval-people", type=int, default=20, help="people to predict (default: 20)"
    )
    add_options(parser, force="replace an earlier demo")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo that a command line describes."""
    args = build_parser().parse_args(argv)
    started = time.monotonic()
    demo(args.out, args.people, args.eval_people, args.force)
    say(f"done in {duration(time.monotonic() - started)}; the same commands work on your data")


if __name__ == "__main__":
    sys.exit(main())
