"""An ensemble's record, and the check of submissions, as a person reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kit.competitions.mask import CLASS_NAMES
from kit.data.plan import read_plan
from kit.results import leaderboard as board
from kit.results.check import check_submission, expected_counts
from kit.scoring.bootstrap import say_interval, show_interval
from kit.scoring.metrics import Scores
from kit.system.console import duration, say, show_table, warn
from kit.system.disk import near
from kit.system.errors import KitError, problem


def show_record(record: dict[str, Any]) -> None:
    """Print an ensemble: members, blends, views, classes, and the out-of-fold score with its
    interval and the folds' spread.
    """
    oof, settings = record["oof"], record["settings"]
    scored = oof["members"] if oof else [{}] * len(record["members"])
    full = oof is not None and len(scored) > 1 and bool(scored[0]["correlations"])
    show_table(
        "Members (macro-F1 out of fold, 95 % interval, log-loss; cost of a photo, one view; "
        "correlation of errors)",
        [
            "member",
            "folds",
            "macro-F1",
            "95 %",
            "log-loss",
            "M weights",
            "GFLOP",
            *([str(m + 1) for m in range(len(scored))] if full else ["correlation"]),
            "weight",
        ],
        [
            [
                f"{n + 1} {row['name']}",
                sum("fold" in file for file in row["files"]) or "-",
                *(
                    [f"{s['f1']:.3f}", show_interval(s["interval"]), f"{s['log_loss']:.3f}"]
                    if s
                    else ["-"] * 3
                ),
                f"{row['parameters'] / 1e6:.1f}" if row["parameters"] else "-",
                f"{row['gflop']:.2f}" if row["gflop"] else "-",
                *(
                    [f"{r:.2f}" for r in s["correlations"]]
                    if full
                    else [f"{s['correlation']:.2f}" if s and len(scored) > 1 else "-"]
                ),
                f"{row['weight']:.3f}",
            ]
            for n, (row, s) in enumerate(zip(record["members"], scored))
        ],
    )
    say()
    if oof and len(oof["candidates"]) > 1:
        show_table(
            "Blend and decision: macro-F1 in-sample and nested (fitted without the fold's "
            "people), and over the mean",
            ["", "in-sample", "nested", "gap", "95 %", "over the mean", "95 %", ""],
            [
                [
                    c["name"],
                    f"{c['in_sample']:.3f}",
                    f"{c['nested']:.3f}",
                    f"{c['in_sample'] - c['nested']:+.3f}",
                    show_interval(c["interval"]),
                    f"{c['gain']:+.3f}",
                    show_interval(c["gain_interval"], "+.3f"),
                    "used" if c["name"] == " + ".join(oof["used"]) else "",
                ]
                for c in oof["candidates"]
            ],
        )
        say()
    if len(record["views"]) > 1:
        gains = oof.get("views", {}) if oof else {}
        show_table(
            "Views"
            + (
                ": seconds for the submission; macro-F1 out of fold, alone and added to the "
                "others, by the mean"
                if gains
                else ": seconds for the submission; --score-tta tells what each is worth"
            ),
            ["view", "seconds", *(["alone", "adds", "95 %"] if gains else [])],
            [
                [
                    view,
                    f"{record['views'][view]:.1f}" if record["views"].get(view) else "-",
                    *(
                        [
                            f"{gains[view]['alone']:.3f}",
                            f"{gains[view]['adds']:+.4f}",
                            show_interval(gains[view]["interval"], "+.3f"),
                        ]
                        if gains
                        else []
                    ),
                ]
                for view in record["views"]
            ],
        )
        say()
    _show_classes(record)
    files = [file for member in record["members"] for file in member["files"] if "fold" in file]
    n = len(files)
    computed = (
        f"{record['passes_computed']:g} of {record['passes']} passes computed, the others "
        "kept from before or not needed"
    )
    say(
        f"{', '.join(m['name'] for m in record['members'])}: {n} checkpoint{'s'[: n != 1]}; "
        f"views: {', '.join(record['views'])}; "
        f"{computed}; {duration(record['seconds'])}"
    )
    if record["ways"]:
        say(
            "networks run in "
            + "; ".join(
                f"{way['precision']}, {way['photos']} photos at once ({name})"
                for name, way in record["ways"].items()
            )
        )
    if "close" in record:
        close = record["close"]
        say(
            f"close calls: {close['photos']:,} photos were run again in fp32 "
            f"({close['passes_computed']:g} passes), "
            f"{close['drawn']:,} drawn at random and the closest ones; 16 bits moved no lead of "
            "theirs by more than "
            f"{close['error']:.3f}, and every photo with a lead below twice that is among them; "
            f"{close['changed']} got another "
            "class"
        )
        if close["photos"] < record["photos"]:
            say(
                f"(with {close['confidence']:.0%} confidence at most {close['share']:.0%} of all "
                "leads are moved further than "
                "any of those drawn; that no other class differs is likely, and not proven: "
                "--exact runs all in fp32)"
            )
    if "saved" in record:
        say(
            f"decided early: {record['saved']:.1%} of the passes not known before saved; photos "
            "decided after each pass: " + " ".join(map(str, record["decided_after"]))
        )
    if "agree" in record:
        agree = record["agree"]
        say(
            f"with 95 % confidence at most {agree['allowed']} of {record['photos']:,} classes "
            "differ from the full run: of "
            f"{agree['sample']:,} photos run in full, {agree['fitted_on']:,} gave the margins "
            f"({' '.join(f'{m:.2f}' for m in agree['margins'])}), and {agree['differ']} of the "
            f"other {agree['tested_on']:,} "
            "differ"
        )
    if oof is None:
        say("no out-of-fold score: --no-score", style="bold")
        return
    folds = list(oof["folds"].values())
    scores = Scores(*(oof[name] for name in ("f1", "accuracy", "mask", "gender", "age")))
    say(
        f"temperature {record['temperature']:.2f}: log-loss {oof['log_loss']:.3f} nested, the "
        f"mean's {oof['mean_log_loss']:.3f}"
    )
    say(f"out of fold, pooled over {oof['photos']:,} photos: {scores.line()}", style="bold")
    say(
        f"{say_interval(oof['interval'], oof['effective'])}, from {oof['people']:,} people"
        + ("" if oof["interval"] else " in all")
        + (
            f"; by fold: {' '.join(f'{f:.3f}' for f in folds)} (spread "
            f"{max(folds) - min(folds):.3f}, standard deviation "
            f"{np.std(folds, ddof=1):.3f})"
            if len(folds) > 1
            else ""
        )
    )
    chosen = (
        "each fold's kept epoch was chosen on it, so this is a little too good, while "
        if any(file["chosen_on_fold"] for file in files)
        else ""
    )
    unscored = (
        ""
        if settings["score_tta"] or settings["tta"] == "none"
        else ", nor any view but the plain one"
    )
    say(
        f"(each photo by the checkpoint that did not train on it; {chosen}the folds' mean is not "
        f"in it{unscored})"
    )


def _show_classes(record: dict[str, Any]) -> None:
    oof = record["oof"]
    if oof is None:
        return show_table(
            "Class counts",
            ["class", "submission"],
            [[f"{c:2d} {CLASS_NAMES[c]}", n] for c, n in enumerate(record["counts"])],
            ["photos", record["photos"]],
        )
    share = record["photos"] / oof["photos"]
    show_table(
        "Classes (out of fold: people, F1, 95 % interval, photos true and predicted; submission: "
        "predicted, and scaled)",
        ["class", "people", "F1", "95 %", "true", "predicted", "submission", "scaled"],
        [
            [
                f"{c:2d} {CLASS_NAMES[c]}",
                own["people"],
                f"{own['f1']:.3f}",
                show_interval(own["interval"]),
                oof["true_counts"][c],
                oof["predicted_counts"][c],
                count,
                f"{count / share:.0f}",
            ]
            for c, (count, own) in enumerate(zip(record["counts"], oof["classes"]))
        ]
        + [
            [task, "", f"{own['f1']:.3f}", show_interval(own["interval"]), "", "", "", ""]
            for task, own in oof["tasks"].items()
        ],
        ["photos", "", "", "", oof["photos"], oof["photos"], record["photos"], oof["photos"]],
    )
    say()


def show_checks(paths: Sequence[Path], info: Path, plan_path: Path) -> None:
    """Check submissions and say what was found; raises `KitError` where the competition would
    refuse one, after all of them.
    """
    plan = None
    if plan_path.exists():
        try:
            plan = read_plan(plan_path)
        except KitError as error:
            warn(f"without the plan's labels: {error}")
    refused: list[str] = []
    for path in [
        path for path in paths if len(paths) == 1 or path.name != board.NAME
    ]:  # of submissions/*.csv
        try:
            if not path.is_file():
                raise problem(
                    path, f"there is no such file{near(path)}", remedy="name a submission"
                )
            expected = expected_counts(path, plan)
            warnings = check_submission(path, info, expected)
        except KitError as error:
            refused.append(str(error))
            continue
        say(
            f"{path}: would pass: same ids as {info}, same order, whole numbers 0..17"
            + (f"; class counts held against {expected.source}" if expected else "")
        )
        for line in warnings:
            warn(line)
    for line in refused[1:]:
        warn(line)
    if refused:
        raise KitError(refused[0])
