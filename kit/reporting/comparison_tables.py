"""A comparison as tables on the screen."""

from typing import Final

from kit.reporting.comparison import ComparedFile, Comparison, Pair
from kit.scoring.bootstrap import say_interval, show_interval
from kit.scoring.metrics import METRICS
from kit.system.console import say, show_table

_PAIRS: Final = 10  # pairs told one by one; of more the matrix alone is shown


def show(comparison: Comparison) -> None:
    """Print a comparison."""
    _show_scores(comparison)
    _show_gains(comparison)
    _show_chosen(comparison)
    _show_matrix(comparison)
    _show_apart(comparison)
    if len(comparison.pairs) <= _PAIRS:
        _show_pairs(comparison)
    say()
    _show_counts(comparison)


def _show_scores(comparison: Comparison) -> None:
    """Print the files' scores against the truth, where it is known."""
    competition, truth = comparison.competition, comparison.truth
    if truth is None:
        return
    narrow = truth.by == "photos" and competition.groups != "photos"
    hint = f", too narrow: add a column `{competition.group}` to the answers"
    tasks = [task.name for task in competition.parts]
    rows = [
        [
            name,
            f"{file.scores.score:.3f}",
            show_interval(file.interval),
            *(f"{value:.3f}" for value in file.scores.metrics.values()),
            *(f"{file.scores.tasks[task]:.3f}" for task in tasks),
        ]
        for name, file in comparison.files.items()
        if file.scores
    ]
    show_table(
        f"Against the truth (95 % interval by {truth.by}{hint if narrow else ''})",
        ["file", "macro-F1", "95 %", *METRICS, *tasks],
        rows,
    )
    if not all(file.interval for file in comparison.files.values()):
        say(say_interval(None, truth.effective, of=truth.by))
    say()


def _show_gains(comparison: Comparison) -> None:
    """Print the gain of each pair that was tested, and whether it may be chance."""
    tested = [(pair, pair.gain) for pair in comparison.pairs if pair.gain]
    if not tested:
        return
    show_table(
        "Macro-F1 of the second over the first, and p of a paired permutation test",
        ["pair", "gain", "95 %", "p"],
        [
            [
                f"{pair.a} | {pair.b}",
                f"{gain.f1:+.4f}",
                show_interval(gain.interval, "+.4f"),
                f"{gain.p:.3f}",
            ]
            for pair, gain in tested
        ],
    )
    say()


def _show_chosen(comparison: Comparison) -> None:
    """Print the runs whose scores are a little too good, if any."""
    chosen = comparison.chosen_on_fold
    if not chosen:
        return
    others = len(comparison.files) > len(chosen)
    tested = any(pair.gain for pair in comparison.pairs)
    small = ", and p of a gain over a run whose epochs were not is too small"
    say(
        f"epochs chosen on the fold they are scored on: {', '.join(chosen)}; such scores are a "
        f"little too good{small if others and tested else ''}"
    )
    say()


def _show_matrix(comparison: Comparison) -> None:
    """Print the agreement and kappa of every pair as a matrix, where there are several."""
    if len(comparison.pairs) < 2:
        return
    order = comparison.order
    of = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}

    def cell(m: int, n: int) -> str:
        if m == n:
            return "-"
        pair = of[frozenset((order[m], order[n]))]
        return f"{100 * pair.agreement:.1f}" if m > n else f"{pair.kappa:.3f}"

    show_table(
        "Agreement in percent, and below the diagonal kappa, similar files side by side",
        ["file", *(str(n + 1) for n in range(len(order)))],
        [
            [f"{n + 1} {name}", *(cell(m, n) for m in range(len(order)))]
            for n, name in enumerate(order)
        ],
    )
    say()


def _show_apart(comparison: Comparison) -> None:
    """Print the files that are strong and least alike, if they were looked for."""
    for apart in comparison.apart or []:
        say(f"strong and least alike: {', '.join(apart['files'])} (kappa {apart['kappa']:.3f})")
    if comparison.apart is None:
        say(
            "strong and least alike: cannot be told, for the best score has no interval that "
            "others could lie in"
        )
    if comparison.apart != []:
        say()


def _show_pairs(comparison: Comparison) -> None:
    """Print each pair, and its flips."""
    if not comparison.pairs:
        return
    show_table(
        "Pairs: the share of photos with the same class, kappa, and how many differ, and in what",
        ["pair", "agree", "kappa", "differ", *(task.name for task in comparison.competition.parts)],
        [
            [
                f"{pair.a} | {pair.b}",
                f"{pair.agreement:.2%}",
                f"{pair.kappa:.3f}",
                pair.differ,
                *pair.tasks.values(),
            ]
            for pair in comparison.pairs
        ],
    )
    say()
    for pair in comparison.pairs:
        if pair.flips:
            say(f"{pair.a} -> {pair.b}: {_flips(pair, comparison.competition.class_names)}")


def _flips(pair: Pair, names: tuple[str, ...]) -> str:
    flips = [f"{flip.photos} {names[flip.before]} -> {names[flip.after]}" for flip in pair.flips]
    others = f", {pair.other_flips} other flips" if pair.other_flips else ""
    return ", ".join(flips) + others


def _show_counts(comparison: Comparison) -> None:
    """Print the class counts, beside the out-of-fold predictions' counts for as many photos."""
    files, truth = comparison.files, comparison.truth
    recorded = any(file.oof for file in files.values())
    hint = " (in brackets: what the out-of-fold predictions come to; p: of differing so by chance)"
    rows = [
        [
            f"{c:2d} {name}",
            *([truth.counts[c]] if truth else []),
            *(_count(file, c) for file in files.values()),
        ]
        for c, name in enumerate(comparison.competition.class_names)
    ]
    p = [
        "p",
        *([""] if truth else []),
        *(f"{file.oof.p:.2g}" if file.oof else "-" for file in files.values()),
    ]
    show_table(
        f"Class counts{hint if recorded else ''}",
        ["class", *(["true"] if truth else []), *files],
        rows,
        p if recorded else [],
    )


def _count(file: ComparedFile, c: int) -> str:
    if file.oof is None:
        return f"{file.counts[c]}"
    expected = file.oof.counts[c] * sum(file.counts) / sum(file.oof.counts)
    return f"{file.counts[c]} ({expected:.0f})"
