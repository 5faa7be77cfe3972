"""The record as a person reads it."""

import json

from helpers import ensemble_arguments, theirs

from kit import __version__
from kit.compare import main as compare_main
from kit.ensemble import main
from kit.results.leaderboard import read_board


def test_the_record_and_the_printed_score(copy, capsys):
    assert main(ensemble_arguments(copy, "--tta", "hflip")) == 0
    out = capsys.readouterr().out
    record = json.loads((copy / "s.json").read_text())
    assert list(record["views"]) == ["plain", "hflip"] and record["kit"] == __version__
    assert len(record["members"]) == 1 and len(record["members"][0]["files"]) == 3
    assert sum(record["counts"]) == 10 and record["command"].startswith("python -m kit.ensemble ")
    assert (
        f"macro-F1 {record['oof']['score']:.3f}" in out
        and "by fold: " in out
        and "views: plain, hflip" in out
    )
    assert str(copy) not in json.dumps({k: v for k, v in record.items() if k != "command"})


def test_eight_people_of_each_class_are_enough(crowd, tmp_path, capsys):
    place = ["--data", crowd.data, "--plan", crowd.plan_path, "--out", tmp_path / "s.csv"]
    assert main(list(map(str, [*crowd.files, "--blend", "greedy", *place]))) == 0
    oof, out = json.loads((tmp_path / "s.json").read_text())["oof"], capsys.readouterr().out
    low, high = oof["interval"]
    assert (
        low < oof["score"] < high
        and f"95 % interval {low:.3f} {high:.3f}, from 54 people; by fold: " in out
    )
    assert "  none" not in out and oof["tested"]["interval"] is not None
    (row,) = read_board(tmp_path / "leaderboard.csv")
    assert (row.low, row.high) == (low, high)


def test_below_eight_people_of_a_class_there_is_no_interval_and_it_is_said(copy, capsys):
    assert (
        main(
            ensemble_arguments(
                copy,
                theirs(copy),
                "--blend",
                "weights",
                "--decide",
                "bias",
                "--tta",
                "hflip",
                "--score-tta",
            )
        )
        == 0
    )
    said = capsys.readouterr()
    oof = json.loads((copy / "s.json").read_text())["oof"]
    assert oof["interval"] is None and oof["effective"] == 3 and oof["tested"]["interval"] is None
    assert (
        "no interval: it would rest on 3 people of the rarest classes, and 8 are needed, from 18 "
        "people in all; by" in said.out
    )
    # Members, blends with their gains, views, classes and tasks.
    assert "95 % interval 0" not in said.out and said.out.count("  none") == 2 + 2 * 4 + 2 + 18 + 3
    # A gain without an interval is not above chance.
    assert (
        oof["used"] == ["mean", "argmax"]
        and "cannot be told from chance (no interval: it would rest on 3 people" in said.err
    )
    (row,) = read_board(copy / "leaderboard.csv")
    assert (row.oof, row.low, row.high) == (oof["score"], None, None)
    assert compare_main(["--board", "--log", str(copy / "leaderboard.csv")]) == 0
    assert f"{oof['score']:.4f}  none" in capsys.readouterr().out
    assert (
        main(
            ["--from", str(copy / "s.json"), *ensemble_arguments(copy, "--out", copy / "t.csv")[1:]]
        )
        == 0
    )
    assert "no interval: it would rest on 3 people" in capsys.readouterr().out
    assert (copy / "t.csv").read_bytes() == (copy / "s.csv").read_bytes()
