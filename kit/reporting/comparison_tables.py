"""A comparison as tables on the screen."""

from typing import Final

import numpy as np

from kit.metrics.metric import metric_of
from kit.reporting.comparison import ComparedFile, Comparison, Pair
from kit.reporting.likeness import ClassLikeness, ListLikeness, ProbLikeness
from kit.scoring.bootstrap import say_interval, show_interval
from kit.system.console import say, show_table

_PAIRS: Final = 10  # pairs told one by one; of more the matrix alone is shown
_CLASSES: Final = 60  # classes whose counts are shown; of more those that differ most
_HINT: Final = (
    " (in brackets: what the out-of-fold predictions come to; p: of differing so by chance)"
)


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
    scored = next(file.scores for file in comparison.files.values() if file.scores)
    beside = list(scored.metrics)
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
        ["file", metric_of(competition).title, "95 %", *beside, *tasks],
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
    metric = metric_of(comparison.competition)
    name = metric.title[0].upper() + metric.title[1:]
    less = "" if metric.greater else ", times -1, for less is better"
    show_table(
        f"{name} of the second over the first{less}, and p of a paired permutation test",
        ["pair", "gain", "95 %", "p"],
        [
            [
                f"{pair.a} | {pair.b}",
                f"{gain.value:+.4f}",
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
    """Print how alike every pair is as a matrix, where there are several."""
    if len(comparison.pairs) < 2:
        return
    order, likeness = comparison.order, comparison.pairs[0].likeness
    of = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}

    def cell(m: int, n: int) -> str:
        if m == n:
            return "-"
        return _two(of[frozenset((order[m], order[n]))])[m < n]

    above, below = {
        ClassLikeness: ("Agreement in percent", "kappa"),
        ListLikeness: ("Equal lists in percent", "Jaccard's index"),
        ProbLikeness: ("Correlation", "rank correlation"),
    }[type(likeness)]
    show_table(
        f"{above}, and below the diagonal {below}, similar files side by side",
        ["file", *(str(n + 1) for n in range(len(order)))],
        [
            [f"{n + 1} {name}", *(cell(m, n) for m in range(len(order)))]
            for n, name in enumerate(order)
        ],
    )
    say()


def _two(pair: Pair) -> tuple[str, str]:
    """The two numbers of a pair in the matrix: above, and below the diagonal."""
    likeness = pair.likeness
    if isinstance(likeness, ProbLikeness):
        return f"{likeness.correlation:.3f}", f"{likeness.rank_correlation:.3f}"
    return f"{100 * likeness.agreement:.1f}", f"{likeness.similarity:.3f}"


def _show_apart(comparison: Comparison) -> None:
    """Print the files that are strong and least alike, if they were looked for."""
    for apart in comparison.apart or []:
        (measure, value), names = list(apart.items())[-1], ", ".join(apart["files"])
        say(f"strong and least alike: {names} ({measure.replace('_', ' ')} {value:.3f})")
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
    tasks = [task.name for task in comparison.competition.parts]
    title, columns = {
        ClassLikeness: (
            "the share of photos with the same class, kappa, and how many differ, and in what",
            ["agree", "kappa", "differ", *tasks],
        ),
        ListLikeness: (
            "Jaccard's index of the labels, the share of photos with the same ones, and how many "
            "differ",
            ["Jaccard", "agree", "differ"],
        ),
        ProbLikeness: (
            "Pearson's and Spearman's correlation, the mean over classes, and the log-loss of one "
            "over the other, if that is the truth",
            ["correlation", "of ranks", "log-loss"],
        ),
    }[type(comparison.pairs[0].likeness)]
    rows = [[f"{pair.a} | {pair.b}", *_numbers(pair)] for pair in comparison.pairs]
    show_table(f"Pairs: {title}", ["pair", *columns], rows)
    say()
    for pair in comparison.pairs:
        flips = _flips(pair, comparison.competition.class_names)
        if flips:
            say(f"{pair.a} -> {pair.b}: {flips}")


def _numbers(pair: Pair) -> list[str | int]:
    """The numbers of a pair's row."""
    likeness = pair.likeness
    if isinstance(likeness, ClassLikeness):
        agreement, kappa = f"{likeness.agreement:.2%}", f"{likeness.kappa:.3f}"
        return [agreement, kappa, likeness.differ, *likeness.tasks.values()]
    if isinstance(likeness, ListLikeness):
        return [f"{likeness.jaccard:.3f}", f"{likeness.agreement:.2%}", likeness.differ]
    return [
        f"{likeness.correlation:.3f}",
        f"{likeness.rank_correlation:.3f}",
        f"{likeness.log_loss:.4f}",
    ]


def _flips(pair: Pair, names: tuple[str, ...]) -> str:
    """The most frequent flips of a pair in words; empty if there are none."""
    likeness = pair.likeness
    if isinstance(likeness, ProbLikeness) or not likeness.flips:
        return ""
    if isinstance(likeness, ListLikeness):
        said = [f"{names[flip.label]} -{flip.first} +{flip.second}" for flip in likeness.flips]
    else:
        said = [f"{f.photos} {names[f.before]} -> {names[f.after]}" for f in likeness.flips]
    others = f", {likeness.other_flips} other flips" if likeness.other_flips else ""
    return ", ".join(said) + others


def _show_counts(comparison: Comparison) -> None:
    """Print the class counts, beside the out-of-fold predictions' counts for as many photos.

    Of probabilities their means are shown, and of many classes those that differ most.
    """
    files, truth, names = comparison.files, comparison.truth, comparison.competition.class_names
    of_probs = any(file.means is not None for file in files.values())
    recorded = any(file.oof for file in files.values())
    tables = np.array([file.means or file.counts for file in files.values()])
    spread = tables.max(axis=0) - tables.min(axis=0) if len(tables) > 1 else tables.max(axis=0)
    shown = np.sort(np.argsort(-spread, kind="stable")[:_CLASSES]).tolist()
    rows = [
        [
            f"{c:2d} {names[c]}",
            *([truth.counts[c]] if truth else []),
            *(_count(file, c) for file in files.values()),
        ]
        for c in shown
    ]
    p = [
        "p",
        *([""] if truth else []),
        *(f"{file.oof.p:.2g}" if file.oof else "-" for file in files.values()),
    ]
    title = "Mean probabilities" if of_probs else "Class counts"
    more = f", of {len(shown)} of {len(names):,} classes" if len(shown) < len(names) else ""
    show_table(
        f"{title}{more}{_HINT if recorded else ''}",
        ["class", *(["true"] if truth else []), *files],
        rows,
        p if recorded else [],
    )


def _count(file: ComparedFile, c: int) -> str:
    if file.means is not None:
        return f"{file.means[c]:.4f}"
    if file.oof is None:
        return f"{file.counts[c]}"
    return f"{file.counts[c]} ({file.oof.counts[c] * file.oof.scale:.0f})"
