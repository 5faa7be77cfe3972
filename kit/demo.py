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

from kit.blending.settings import Settings
from kit.blending.submit import ensemble
from kit.competitions.mask_sample import draw_sample
from kit.data.planning import plan_folds
from kit.folds import show_plan
from kit.recipe import load_recipe, shipped_recipe
from kit.reporting.comparison import compare
from kit.reporting.comparison_tables import show
from kit.reporting.page import report
from kit.reporting.record import show_record
from kit.system.cli import Parser, command
from kit.system.console import duration, say
from kit.system.errors import KitError, problem
from kit.training.run import train

_PARTS = ("data", "runs", "submissions")


_PAGE = "report.html"


_MARK = ".kit-demo"  # tells a folder that --force may empty from one with the same names in it


def demo(out: Path, people: int = 60, eval_people: int = 20, force: bool = False) -> float:
    """Run the pipeline into the folder `out`; the ensemble's macro-F1 on the sample's answers."""
    if people < 50 or eval_people < 1:
        raise KitError(
            f"--people {people} --eval-people {eval_people}: take 50 or more people, so that each "
            "class has some in "
            "five folds, and 1 or more eval people"
        )
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
    data, runs, submissions = (out / part for part in _PARTS)
    page = out / _PAGE
    recipe = load_recipe(shipped_recipe("tiny"))

    def step(number: int, what: str, line: str) -> None:
        say(f"\n{number}. {what}", style="bold")
        say(f"$ python -m kit.{line}", style="dim")

    step(
        1,
        "Draw a sample in the competition's layout",
        f"sample --out {data} --people {people} --eval-people {eval_people}",
    )
    draw_sample(data, people, eval_people)
    step(2, "Plan folds: every person in one", f"folds --data {data} --out {runs / 'folds.csv'}")
    plan, _ = plan_folds(data, runs / "folds.csv")
    show_plan(plan)
    step(
        3,
        "Train a checkpoint for each fold",
        f"train recipes/tiny.py --fold all --data {data} --plan {runs / 'folds.csv'} --runs {runs}",
    )
    train(recipe, plan, data, range(plan.k), runs)
    run, single, all_folds = (
        runs / recipe.name,
        submissions / "tiny-fold0.csv",
        submissions / "tiny-hflip.csv",
    )
    common = f"--data {data} --plan {runs / 'folds.csv'} --out"
    step(4, "One fold alone, as a yardstick", f"ensemble {run / 'fold0'} {common} {single}")
    ensemble([run / "fold0"], plan, data, single)
    step(
        5,
        "All folds and both views of each photo",
        f"ensemble {run} --tta hflip {common} {all_folds}",
    )
    _, record = ensemble([run], plan, data, all_folds, Settings(tta="hflip"))
    show_record(record)
    step(
        6,
        "Compare the two, and with the answers",
        f"compare {single} {all_folds} --answers {data / 'answers.csv'}",
    )
    result = compare([single, all_folds], data / "answers.csv")
    show(result)
    step(
        7,
        "See it: one page of what is right and wrong",
        f"report {run} --data {data} --plan {runs / 'folds.csv'} --out {page}",
    )
    report([run], plan, data, page)
    alone, together = (result["files"][path.stem]["scores"]["f1"] for path in (single, all_folds))
    say(
        f"\nmacro-F1 on {record['photos']} photos of {eval_people} unseen people: one fold "
        f"{alone:.3f}, the ensemble "
        f"{together:.3f}; out of fold it had said {record['oof']['f1']:.3f}",
        style="bold",
    )
    say(
        "\n".join(
            f"{place!s:<34} {what}"
            for place, what in (
                (data / "contact_sheet.png", "the drawn people, to look at"),
                (runs / "folds.csv", "the fold plan"),
                (page, "the report, to open in a browser"),
                (run / "fold0", "a checkpoint, its out-of-fold probabilities, its metrics"),
                (all_folds, "the submission, with its record beside it (.json)"),
            )
        )
    )
    return float(together)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="default: demo")
    parser.add_argument("--people", type=int, default=60, help="people to train on (default: 60)")
    parser.add_argument(
        "--eval-people", type=int, default=20, help="people to predict (default: 20)"
    )
    parser.add_argument("--force", action="store_true", help="run it anew over what is there")
    args = parser.parse_args(argv)
    started = time.monotonic()
    demo(args.out, args.people, args.eval_people, args.force)
    say(f"done in {duration(time.monotonic() - started)}; the same commands work on your data")


if __name__ == "__main__":
    sys.exit(main())
