"""The leaderboard log as tables, by hand."""

from kit.metrics.metric import find_metric
from kit.reporting.leaderboard_tables import show_board
from kit.results.board_summary import BoardSummary
from kit.results.leaderboard import BoardRow

MADE = ("00", "2026-01-01 10:00", "m")


def test_a_row_with_scores_and_one_without(capsys):
    rows = (
        BoardRow("a.csv", *MADE, 0.5, 0.4, 0.6, 0.55),
        BoardRow("b.csv", *MADE),
        BoardRow("c.csv", *MADE, 0.5, private=0.25),
    )
    show_board(BoardSummary(rows), find_metric("f1_macro"))
    out = " ".join(capsys.readouterr().out.split())
    assert "a.csv 2026-01-01 10:00 0.5000 0.400 0.600 0.5500 -" in out
    assert "b.csv 2026-01-01 10:00 - - - -" in out
    assert "c.csv 2026-01-01 10:00 0.5000 none - 0.2500" in out and "no correlation yet" in out


def test_what_picking_the_best_makes_of_noise(capsys):
    summary = BoardSummary((), picked_from=3, best_above=0.02, by_chance=0.01)
    show_board(summary, find_metric("f1_macro"))
    out = capsys.readouterr().out
    assert "the best of 3 public scores is 0.0200 above their mean; if all" in out
    assert "noise alone would put it 0.0100 above" in out and "less is better" not in out
    show_board(summary, find_metric("log_loss"))
    out = capsys.readouterr().out
    assert "The leaderboard log by log-loss (less is better), the best" in out
    assert "0.0200 below their mean; if all" in out and "put it 0.0100 below" in out
