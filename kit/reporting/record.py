"""An ensemble's record, printed."""

import numpy as np

from kit.blending.oof_score import OofScore
from kit.blending.record import AgreeRecord, CloseCallsRecord, Record
from kit.competition import Competition
from kit.scoring.bootstrap import say_interval, show_interval
from kit.system.console import duration, say, show_table


def show_record(record: Record, competition: Competition) -> None:
    """Print an ensemble: members, blends, views, classes, how it ran, and its out-of-fold score."""
    oof = record.oof
    _show_members(record)
    if oof is not None and len(oof.candidates) > 1:
        _show_candidates(oof, competition)
    if len(record.views) > 1:
        _show_views(record)
    if oof is None:
        _show_counts(record, competition)
    else:
        _show_classes(record, oof, competition)
    _say_passes(record)
    if record.close is not None:
        _say_close_calls(record.close, record.photos)
    if record.early is not None:
        decided = " ".join(map(str, record.early.decided_after))
        say(
            f"decided early: {record.early.saved:.1%} of the passes not known before saved; photos "
            f"decided after each pass: {decided}"
        )
        if record.early.agree is not None:
            _say_agree(record.early.agree, record.photos)
    if oof is None:
        return say("no out-of-fold score: --no-score", style="bold")
    _say_score(record, oof, competition)


def _show_members(record: Record) -> None:
    """The table of members."""
    oof = record.oof
    scores = oof.members if oof is not None else ()
    number = len(record.members)
    full = len(scores) > 1 and bool(scores[0].correlations)
    rows = []
    for n, member in enumerate(record.members):
        alone, correlations = ["-"] * 3, ["-"]
        if scores:
            one = scores[n]
            alone = [f"{one.score:.3f}", show_interval(one.interval), f"{one.log_loss:.3f}"]
            if full:
                correlations = [f"{r:.2f}" for r in one.correlations]
            elif number > 1:
                correlations = [f"{one.correlation:.2f}"]
        costs = [
            f"{member.parameters / 1e6:.1f}" if member.parameters else "-",
            f"{member.gflop:.2f}" if member.gflop else "-",
        ]
        name = f"{n + 1} {member.name}"
        rows.append(
            [name, member.folds or "-", *alone, *costs, *correlations, f"{member.weight:.3f}"]
        )
    title = oof.scores.metric.title if oof is not None else "score"
    show_table(
        f"Members ({title} out of fold, 95 % interval, log-loss; cost of a photo, one view; "
        "correlation of errors)",
        [
            *("member", "folds", title, "95 %", "log-loss", "M weights", "GFLOP"),
            *([str(m + 1) for m in range(number)] if full else ["correlation"]),
            "weight",
        ],
        rows,
    )
    say()


def _show_candidates(oof: OofScore, competition: Competition) -> None:
    """The table of blends and decisions."""
    rows = [
        [
            c.name,
            f"{c.in_sample:.3f}",
            f"{c.nested:.3f}",
            f"{c.in_sample - c.nested:+.3f}",
            show_interval(c.interval),
            f"{c.gain:+.3f}",
            show_interval(c.gain_interval, "+.3f"),
            "used" if c.name == " + ".join(oof.used) else "",
        ]
        for c in oof.candidates
    ]
    show_table(
        f"Blend and decision: {oof.scores.metric.title} in-sample and nested (fitted without the "
        f"fold's {competition.groups}), and over the mean",
        ["", "in-sample", "nested", "gap", "95 %", "over the mean", "95 %", ""],
        rows,
    )
    say()


def _show_views(record: Record) -> None:
    """The table of views."""
    oof = record.oof
    gains = oof.views if oof is not None else None
    rows = []
    for view, seconds in record.views.items():
        row = [view, f"{seconds:.1f}" if seconds else "-"]
        if gains:
            gain = gains[view]
            interval = show_interval(gain.interval, "+.3f")
            row += [f"{gain.alone:.3f}", f"{gain.adds:+.4f}", interval]
        rows.append(row)
    title = "--score-tta scores each of them"
    if oof is not None and gains:
        title = f"{oof.scores.metric.title} out of fold, alone and added to the others, by the mean"
    show_table(
        f"Views: seconds for the submission; {title}",
        ["view", "seconds", *(["alone", "adds", "95 %"] if gains else [])],
        rows,
    )
    say()


def _show_counts(record: Record, competition: Competition) -> None:
    """The table of classes where there is no out-of-fold score."""
    names = competition.class_names
    rows = [[f"{c:2d} {names[c]}", n] for c, n in enumerate(record.counts)]
    show_table("Class counts", ["class", "submission"], rows, ["photos", record.photos])


def _show_classes(record: Record, oof: OofScore, competition: Competition) -> None:
    """The table of classes and tasks."""
    share, names, rows = record.photos / oof.photos, competition.class_names, []
    for c, (count, scores) in enumerate(zip(record.counts, oof.classes)):
        interval = show_interval(scores.interval)
        row = [f"{c:2d} {names[c]}", scores.groups, f"{scores.score:.3f}", interval]
        row += [oof.true_counts[c], oof.predicted_counts[c], count, f"{count / share:.0f}"]
        rows.append(row)
    for name, task in oof.tasks.items():
        interval = show_interval(task.interval)
        rows.append([name, "", f"{task.score:.3f}", interval, "", "", "", ""])
    show_table(
        f"Classes (out of fold: {competition.groups}, {oof.class_title}, 95 % interval, photos "
        "true and predicted; submission: predicted, and scaled)",
        [
            *("class", competition.groups, oof.class_title, "95 %", "true", "predicted"),
            *("submission", "scaled"),
        ],
        rows,
        ["photos", "", "", "", oof.photos, oof.photos, record.photos, oof.photos],
    )
    say()


def _say_passes(record: Record) -> None:
    """Print how many passes ran, and how."""
    names, number = [m.name for m in record.members], sum(m.folds for m in record.members)
    others = ", the others kept from before or not needed"
    if record.passes_computed >= record.passes:
        others = ""
    elif not record.passes_computed:
        others = ": no network ran, all were kept from before"
    say(
        f"{', '.join(names)}: {number} checkpoint{'s'[: number != 1]}; views: "
        f"{', '.join(record.views)}; {record.passes_computed:g} of {record.passes} passes "
        f"computed{others}; {duration(record.seconds)}"
    )
    if record.modes:
        modes = [
            f"{mode.name}, {mode.photos} photos at once ({name})"
            for name, mode in record.modes.items()
        ]
        say(f"networks run in {'; '.join(modes)}")


def _say_close_calls(close: CloseCallsRecord, photos: int) -> None:
    """Print what was computed again in fp32, and what that proves."""
    say(
        f"close calls: {close.photos:,} photos were run again in fp32 ({close.passes_computed:g} "
        f"passes), {close.drawn:,} drawn at random and the closest ones; 16 bits moved no lead of "
        f"theirs by more than {close.error:.3f}, and every photo with a lead below twice that is "
        f"among them; {close.changed} got another class"
    )
    if close.photos < photos:
        say(
            f"(with {close.confidence:.0%} confidence at most {close.share:.0%} of all leads are "
            "moved further than any of those drawn; that no other class differs is likely, and not "
            "proven: --exact runs all in fp32)"
        )


def _say_agree(agree: AgreeRecord, photos: int) -> None:
    """Print the bound on the classes that were decided early."""
    margins = " ".join(f"{margin:.2f}" for margin in agree.margins)
    say(
        f"with 95 % confidence at most {agree.allowed} of {photos:,} classes differ from the full "
        f"run: of {agree.sample:,} photos run in full, {agree.fitted_on:,} gave the margins "
        f"({margins}), and {agree.differ} of the other {agree.tested_on:,} differ"
    )


def _say_score(record: Record, oof: OofScore, competition: Competition) -> None:
    """Print the out-of-fold score, and what it leaves out."""
    beside = "" if record.used == "mean" else f", the mean's {oof.mean_log_loss:.3f}"
    say(f"temperature {record.temperature:.2f}: log-loss {oof.log_loss:.3f} nested{beside}")
    scores = oof.scores.line()
    say(f"out of fold, pooled over {oof.photos:,} photos: {scores}", style="bold")
    folds, groups = list(oof.folds.values()), competition.groups
    by_fold = ""
    if len(folds) > 1:
        by_fold = (
            f"; by fold: {' '.join(f'{score:.3f}' for score in folds)} (spread "
            f"{max(folds) - min(folds):.3f}, standard deviation {np.std(folds, ddof=1):.3f})"
        )
    in_all = "" if oof.interval else " in all"
    interval = say_interval(oof.interval, oof.effective, of=groups)
    say(f"{interval}, from {oof.groups:,} {groups}{in_all}{by_fold}")
    files = [file for member in record.members for file in member.files]
    chosen, unscored, settings = "", "", record.settings
    if any(file.chosen_on_fold for file in files):
        chosen = "each fold's kept epoch was chosen on it, so this is a little too good, while "
    if not settings.score_tta and settings.tta != "none":
        unscored = ", nor any view but the plain one"
    say(
        f"(each photo by the checkpoint that did not train on it; {chosen}the folds' mean is not "
        f"in it{unscored})"
    )
    if competition.answer_rows:
        rows = f"a row of the submission is {competition.answer_rows}"
        say(f"(scored is each photo; {rows}, so the competition's score of rows will differ)")
