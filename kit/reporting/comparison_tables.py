"""A comparison and the leaderboard log, as a person reads them."""

from typing import Any

from kit.competitions.mask import CLASS_NAMES, NUM_CLASSES, TASKS
from kit.scoring.bootstrap import say_interval, show_interval
from kit.system.console import say, show_table

_PAIRS = 10  # pairs told one by one; of more the matrix alone is shown


def show(result: dict[str, Any]) -> None:
    """Print what `compare` found."""
    files, pairs = result["files"], result["pairs"]
    if "by" in result:
        show_table(
            f"Against the truth (95 % interval by {result['by']}"
            + (
                ", too narrow: a column `person` in the answers tells better)"
                if result["by"] == "photos"
                else ")"
            ),
            ["file", "macro-F1", "95 %", "accuracy", *TASKS],
            [
                [
                    name,
                    f"{file['scores']['f1']:.3f}",
                    show_interval(file["interval"]),
                    *(f"{file['scores'][key]:.3f}" for key in ("accuracy", *TASKS)),
                ]
                for name, file in files.items()
            ],
        )
        if not all(file["interval"] for file in files.values()):
            say(say_interval(None, result["effective"], of=result["by"]))
        say()
    tested = [pair for pair in pairs if "p" in pair]
    if tested:
        show_table(
            "Macro-F1 of the second over the first, and p of a paired permutation test",
            ["pair", "gain", "95 %", "p"],
            [
                [
                    f"{p['a']} | {p['b']}",
                    f"{p['gain']:+.4f}",
                    show_interval(p["gain_interval"], "+.4f"),
                    f"{p['p']:.3f}",
                ]
                for p in tested
            ],
        )
        say()
    if result.get("chosen_on_fold"):
        others = len(files) > len(result["chosen_on_fold"])
        say(
            "epochs chosen on the fold they are scored on: "
            f"{', '.join(result['chosen_on_fold'])}; such scores are a little too "
            "good"
            + (
                ", and p of a gain over a run whose epochs were not is too small"
                if others and tested
                else ""
            )
        )
        say()
    if len(pairs) > 1:
        order = result["order"]
        of = {frozenset((p["a"], p["b"])): p for p in pairs}
        show_table(
            "Agreement in percent, and below the diagonal kappa, similar files side by side",
            ["file", *(str(n + 1) for n in range(len(order)))],
            [
                [
                    f"{n + 1} {a}",
                    *(
                        "-"
                        if a == b
                        else f"{100 * of[frozenset((a, b))]['agreement']:.1f}"
                        if m > n
                        else f"{of[frozenset((a, b))]['kappa']:.3f}"
                        for m, b in enumerate(order)
                    ),
                ]
                for n, a in enumerate(order)
            ],
        )
        say()
    for apart in result["apart"] or []:
        say(f"strong and least alike: {', '.join(apart['files'])} (kappa {apart['kappa']:.3f})")
    if result["apart"] is None:
        say(
            "strong and least alike: cannot be told, for the best score has no interval that "
            "others could lie in"
        )
    if result["apart"] != []:
        say()
    few = pairs if len(pairs) <= _PAIRS else []
    if few:
        show_table(
            "Pairs: the share of photos with the same class, kappa, and how many differ, and in "
            "what",
            ["pair", "agree", "kappa", "differ", *TASKS],
            [
                [
                    f"{p['a']} | {p['b']}",
                    f"{p['agreement']:.2%}",
                    f"{p['kappa']:.3f}",
                    p["differ"],
                    *(p[task] for task in TASKS),
                ]
                for p in few
            ],
        )
        say()
    for pair in few:
        if pair["flips"]:
            say(
                f"{pair['a']} -> {pair['b']}: "
                + ", ".join(
                    f"{f['photos']} {CLASS_NAMES[f['from']]} -> {CLASS_NAMES[f['to']]}"
                    for f in pair["flips"]
                )
                + (f", {pair['other_flips']} other flips" if pair["other_flips"] else "")
            )
    say()
    _show_counts(result)


def _show_counts(result: dict[str, Any]) -> None:
    """Print the class counts, and beside them what the out-of-fold predictions come to for as many
    photos.
    """
    files = result["files"]
    recorded = any("oof_counts" in file for file in files.values())

    def cell(file: dict[str, Any], c: int) -> str:
        if "oof_counts" not in file:
            return f"{file['counts'][c]}"
        return (
            f"{file['counts'][c]} "
            f"({file['oof_counts'][c] * sum(file['counts']) / sum(file['oof_counts']):.0f})"
        )

    show_table(
        "Class counts"
        + (
            " (in brackets: what the out-of-fold predictions come to; p: of differing so by chance)"
            if recorded
            else ""
        ),
        ["class", *(["true"] if "true_counts" in result else []), *files],
        [
            [
                f"{c:2d} {CLASS_NAMES[c]}",
                *([result["true_counts"][c]] if "true_counts" in result else []),
                *(cell(file, c) for file in files.values()),
            ]
            for c in range(NUM_CLASSES)
        ],
        [
            "p",
            *([""] if "true_counts" in result else []),
            *(f"{file['oof_p']:.2g}" if "oof_p" in file else "-" for file in files.values()),
        ]
        if recorded
        else [],
    )


def show_board(summary: dict[str, Any]) -> None:
    """Print the leaderboard log and what it tells."""

    def number(value: Any, form: str = ".4f") -> str:
        return format(value, form) if value != "" else "-"

    show_table(
        "The leaderboard log, the best out-of-fold score first",
        ["submission", "made", "OOF", "95 %", "public", "private"],
        [
            [
                row["submission"],
                row["made"],
                number(row["oof"]),
                show_interval((row["low"], row["high"]) if row["low"] != "" else None)
                if row["oof"] != ""
                else "-",
                number(row["public"]),
                number(row["private"]),
            ]
            for row in summary["rows"]
        ],
    )
    say()
    if "correlation" in summary:
        low, high = summary["interval"]
        say(
            f"correlation of the out-of-fold with the public score: {summary['correlation']:.2f} "
            f"(95 % interval {low:.2f} to "
            f"{high:.2f})"
        )
    else:
        say(
            "no correlation yet: it needs four submissions that differ and have both scores "
            "(--record NAME --public SCORE)"
        )
    if summary.get("outside"):
        say(f"outside of what the others say: {', '.join(summary['outside'])}")
    if "picked_from" in summary:
        say(
            f"the best of {summary['picked_from']} public scores is {summary['best_above']:.4f} "
            "above their mean"
            + (
                "; picking the best of so many equally good ones would make "
                f"{summary['by_chance']:.4f} of noise"
                if "by_chance" in summary
                else "; what picking the best makes of noise is left out, for not all of them "
                "have a record beside the log with paired "
                "draws: of the same photos out of fold, by one plan"
            )
        )
