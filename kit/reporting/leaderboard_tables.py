"""The leaderboard log, and what it tells, as tables on the screen."""

from kit.results.board_summary import BoardSummary
from kit.results.leaderboard import BoardRow
from kit.scoring.bootstrap import show_interval
from kit.system.console import say, show_table


def show_board(summary: BoardSummary) -> None:
    """Print the leaderboard log and what it tells."""
    show_table(
        "The leaderboard log, the best out-of-fold score first",
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
        say(f"outside of what the others say: {', '.join(summary.outside)}")
    if summary.picked_from is not None:
        _say_picked(summary)


def _row(row: BoardRow) -> list[str]:
    """A submission's row of the table."""
    interval = "-" if row.oof is None else show_interval(row.interval)
    oof, public, private = (
        "-" if score is None else f"{score:.4f}" for score in (row.oof, row.public, row.private)
    )
    return [row.submission, row.made, oof, interval, public, private]


def _say_picked(summary: BoardSummary) -> None:
    """Print what the best public score is above the mean, and what of that chance makes."""
    if summary.by_chance is not None:
        noise = (
            "picking the best of so many equally good ones would make "
            f"{summary.by_chance:.4f} of noise"
        )
    else:
        noise = (
            "what picking the best makes of noise is left out, for not all of them have a record "
            "beside the log with paired draws: of the same photos out of fold, by one plan"
        )
    say(
        f"the best of {summary.picked_from} public scores is {summary.best_above:.4f} above "
        f"their mean; {noise}"
    )
