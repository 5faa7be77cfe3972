"""The leaderboard log and its statistics, as tables on the screen."""

from kit.metrics.metric import Metric
from kit.results.board_summary import BoardSummary
from kit.results.leaderboard import BoardRow
from kit.scoring.bootstrap import show_interval
from kit.system.console import say, show_table


def show_board(summary: BoardSummary, metric: Metric) -> None:
    """Print the leaderboard log and its statistics; the scores are those of a metric."""
    less = "" if metric.greater else " (less is better)"
    show_table(
        f"The leaderboard log by {metric.title}{less}, the best out-of-fold score first",
        ["submission", "made", "OOF", "95 %", "public", "private"],
        [_row(row) for row in summary.rows],
    )
    say()
    if summary.correlation is not None and summary.interval is not None:
        low, high = summary.interval
        say(
            f"correlation of the out-of-fold with the public score: {summary.correlation:.2f} "
            f"(95 % interval {low:.2f} to {high:.2f})"
        )
    else:
        say(
            "no correlation yet: it needs four submissions that differ and have both scores "
            "(--record NAME --public SCORE)"
        )
    if summary.outside:
        say(f"off the line of the others: {', '.join(summary.outside)}")
    if summary.picked_from is not None:
        _say_picked(summary, "above" if metric.greater else "below")


def _row(row: BoardRow) -> list[str]:
    """A submission's row of the table."""
    interval = "-" if row.oof is None else show_interval(row.interval)
    oof, public, private = (
        "-" if score is None else f"{score:.4f}" for score in (row.oof, row.public, row.private)
    )
    return [row.submission, row.made, oof, interval, public, private]


def _say_picked(summary: BoardSummary, above: str) -> None:
    """Print how far the best public score is `above` the mean, and how far chance alone puts it."""
    if summary.by_chance is not None:
        noise = (
            f"if all were equally good, noise alone would put it {summary.by_chance:.4f} {above}"
        )
    else:
        noise = (
            "how far noise alone would put it is left out, because not all of them have a record "
            "beside the log with paired draws: of the same photos out of fold, by one plan"
        )
    say(
        f"the best of {summary.picked_from} public scores is {summary.best_above:.4f} {above} "
        f"their mean; {noise}"
    )
