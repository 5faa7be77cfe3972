"""The leaderboard log: a row a submission, never lost, and what it tells."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.compare import main
from kit.metrics.metric import find_metric, of_function
from kit.results import leaderboard as board
from kit.results.board_summary import summarise
from kit.results.leaderboard import BoardRow, enter_scores, read_board, write_board
from kit.system.checksum import with_checksum
from kit.system.disk import file_hash
from kit.system.errors import KitError


def row(name="a.csv", oof=0.5, public=None, **more):
    interval = oof - 0.04, oof + 0.04
    scored = BoardRow(name, name * 3, "2026-01-01 10:00", "a b", oof, *interval, public)
    return dataclasses.replace(scored, **more)


def submission(folder, name="a.csv", content="x", f1=0.5):
    path = Path(folder) / name
    path.write_text(content)
    board.add(
        path,
        {
            "sha256": file_hash(path),
            "members": [{"name": "a"}, {"name": "b"}],
            "oof": {"score": f1, "interval": [f1 - 0.1, f1 + 0.1]},
        },
    )
    return path


def test_a_submission_is_logged_once_and_keeps_what_the_site_said(tmp_path, capsys):
    log = tmp_path / "leaderboard.csv"
    submission(tmp_path)
    assert main(["--record", "a", "--public", ".7631", "--log", str(log)]) == 0
    assert "a.csv: public 0.7631" in capsys.readouterr().out
    submission(tmp_path, f1=0.6)  # the same bytes, scored anew
    (kept,) = read_board(log)
    assert (kept.oof, kept.public, kept.private, kept.members) == (0.6, 0.7631, None, "a b")
    submission(tmp_path, content="y")  # another file of the same name
    assert [r.public for r in read_board(log)] == [0.7631, None]
    assert (
        main(["--record", "a.csv", "--public", ".1", "--private", ".2", "--log", str(log)]) == 0
    )  # that which is there now
    assert [(r.public, r.private) for r in read_board(log)] == [(0.7631, None), (0.1, 0.2)]
    (tmp_path / "a.csv").write_text("x")
    assert main(["--record", str(tmp_path / "a.csv"), "--public", ".3", "--log", str(log)]) == 0
    assert [r.public for r in read_board(log)] == [0.3, 0.1]


def test_bad_entries_are_one_line_and_change_nothing(tmp_path, fails):
    log = tmp_path / "leaderboard.csv"
    write_board(log, [row("effb4-hflip.csv")])
    before = log.read_bytes()
    assert "did you mean effb4-hflip.csv?" in fails(
        main, "--record", "efb4-hflip", "--public", ".5", "--log", log
    )
    assert "76.31 is no macro-F1" in fails(
        main, "--record", "effb4-hflip", "--public", "76.31", "--log", log
    )
    assert "nan is no macro-F1" in fails(
        main, "--record", "effb4-hflip", "--public", "nan", "--log", log
    )
    assert "lacks the site's score" in fails(main, "--record", "effb4-hflip", "--log", log)
    assert "add --record" in fails(main, "a.csv", "b.csv", "--public", ".5")
    assert "take no files" in fails(main, "a.csv", "--board")
    assert "cannot be read" in fails(main, "--board", "--log", tmp_path / "none.csv")
    assert log.read_bytes() == before
    write_board(log, [row(public="high")])
    assert "are no numbers (1 found: public 'high' of a.csv)" in fails(
        main, "--board", "--log", log
    )


@pytest.mark.parametrize(
    "name, good, bad, ends",
    [
        ("f1_macro", 0.5, 1.5, "between 0 and 1"),
        ("roc_auc", 1, -0.1, "between 0 and 1"),
        ("quadratic_kappa", -0.2, -1.1, "between -1 and 1"),
        ("log_loss", 2.5, -0.1, "0 or more"),
    ],
)
def test_scores_are_those_that_the_metric_can_have(tmp_path, name, good, bad, ends):
    log, metric = tmp_path / "leaderboard.csv", find_metric(name)
    write_board(log, [row()])
    assert enter_scores(log, "a", {"public": good}, metric).public == good
    with pytest.raises(KitError, match=f"--public: {bad} is no {metric.title}; .*{ends}"):
        enter_scores(log, "a", {"public": bad}, metric)
    assert read_board(log)[0].public == good


def test_a_function_may_have_any_score(tmp_path):
    log = tmp_path / "leaderboard.csv"
    write_board(log, [row()])
    metric = of_function(lambda truth, probs: 0.0, False)
    assert enter_scores(log, "a", {"public": -37.5}, metric).public == -37.5


def test_a_damaged_log_costs_a_warning_not_the_submission(tmp_path, capsys):
    (tmp_path / "leaderboard.csv").write_text("mine\n1\n")
    submission(tmp_path)
    assert "is not in the leaderboard log" in capsys.readouterr().err
    assert (tmp_path / "leaderboard.csv").read_text() == "mine\n1\n"


# A file system without locks, as a process meets it.
NO_LOCKS = """import errno, fcntl
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


@pytest.mark.parametrize("before, processes", [("", 4), (NO_LOCKS, 2)])
def test_many_processes_lose_no_row(tmp_path, before, processes):
    code = (
        f"{before}import sys; from pathlib import Path; from kit.results import leaderboard\n"
        "from kit.system.disk import file_hash\n"
        "for n in range(10):\n"
        "    path = Path(sys.argv[1]) / f'{sys.argv[2]}-{n}.csv'\n"
        "    path.write_text(sys.argv[2] + str(n))\n"
        "    oof = {'score': 0.5, 'interval': [0.4, 0.6]}\n"
        "    leaderboard.add(path, {'sha256': file_hash(path), 'members': [], 'oof': oof})"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen([*words, str(k)]) for k in range(processes)]
    assert [process.wait(120) for process in running] == [0] * processes
    names = [r.submission for r in read_board(tmp_path / "leaderboard.csv")]
    assert sorted(names) == sorted(f"{k}-{n}.csv" for k in range(processes) for n in range(10))
    assert not list(tmp_path.glob(".*.held"))


def test_the_summary_by_hand(capsys, tmp_path):
    rng = np.random.default_rng(0)
    cv = np.linspace(0.5, 0.6, 12)
    site = cv + 0.1 + rng.normal(0, 0.003, 12)
    site[7] += 0.08
    rows = [row(f"s{n}.csv", float(c), float(s)) for n, (c, s) in enumerate(zip(cv, site))]
    rows += [
        row("later.csv", 0.7),
        dataclasses.replace(row("x.csv"), oof=None, low=None, high=None),
    ]
    found = summarise(rows)
    assert [r.submission for r in found.rows] == [
        "later.csv",
        *(f"s{n}.csv" for n in range(11, -1, -1)),
        "x.csv",
    ]
    assert found.correlation == pytest.approx(np.corrcoef(cv, site)[0, 1])
    z = np.arctanh(found.correlation)
    assert found.interval == pytest.approx(np.tanh([z - 1.96 / 3, z + 1.96 / 3]).tolist(), abs=1e-3)
    assert found.outside == ("s7.csv",) and found.picked_from == 12
    assert found.best_above == pytest.approx(site.max() - site.mean())
    assert "by_chance" not in found.describe()
    log = tmp_path / "leaderboard.csv"
    write_board(log, rows)
    assert main(["--board", "--log", str(log)]) == 0
    out = capsys.readouterr().out
    assert (
        "correlation of the out-of-fold with the public score" in out
        and "off the line of the others: s7.csv" in out
    )
    assert "is left out" in out
    assert main(["--board", "--json", "--log", str(log)]) == 0
    assert json.loads(capsys.readouterr().out)["outside"] == ["s7.csv"]
    write_board(log, rows[-2:])
    assert (
        main(["--board", "--log", str(log)]) == 0
        and "no correlation yet" in capsys.readouterr().out
    )


def test_files_of_a_glob_leave_the_log_out(tmp_path, capsys):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("ImageID,ans\nx.jpg,1\n")
    write_board(tmp_path / "leaderboard.csv", [row()])
    assert main([str(path) for path in sorted(tmp_path.glob("*.csv"))]) == 0
    assert "a | b" in capsys.readouterr().out


def test_half_an_interval_is_told(tmp_path, fails):
    (tmp_path / "leaderboard.csv").write_text(
        "submission,sha256,made,members,oof,low,high,public,private\n"
        "a.csv,00,2026-01-01 10:00,m,0.5,0.4,,0.6,\n"
    )
    assert "half an interval of a.csv" in fails(
        main, "--board", "--log", tmp_path / "leaderboard.csv"
    )


def test_a_log_that_a_spreadsheet_has_saved_is_the_same_log(tmp_path, capsys):
    log, file = tmp_path / "leaderboard.csv", submission(tmp_path, f1=0.56785)
    record = {
        "sha256": file_hash(file),
        "members": [{"name": "a"}, {"name": "b"}],
        "oof": {"score": 0.56785, "interval": [0.46785, 0.66785]},
    }
    file.with_suffix(".json").write_text(json.dumps(with_checksum(record)))
    (made,) = read_board(log)
    # Other order, quotes, rounded scores, two columns and a row of one's own, an empty row.
    log.write_bytes(
        '\ufeff"note",members,made,submission,sha256,low,high,oof,public,private,"=why"\r\n'
        f'"later, again",a b,{made.made},a.csv,{made.sha256},0.468,0.6679,0.568,,,\'=x\r\n'
        ",,,my kernel,,,,,0.5,,\r\n"
        ",,,,,,,,,,\r\n".encode()
    )
    assert main(["--record", "a", "--public", ".7", "--log", str(log)]) == 0
    assert main(["--record", "my kernel", "--private", ".6", "--log", str(log)]) == 0
    assert main(["--board", "--log", str(log)]) == 0
    assert "my kernel" in capsys.readouterr().out
    board.add(file, record)
    own, kept = read_board(log)
    assert (own.submission, own.public, own.private, own.notes[0]) == (
        "my kernel",
        0.5,
        0.6,
        ("note", ""),
    )
    assert (kept.oof, kept.public) == (0.56785, 0.7)
    assert kept.notes == (("note", "later, again"), ("=why", "=x"))
    assert log.read_text().startswith(",".join(board.BOARD_COLUMNS) + ",note,=why\n")


@pytest.mark.parametrize("given, told", [("0.568", False), ("0.567", True), ("0.57", True)])
def test_a_score_is_its_records_or_rounded_to_three_digits(tmp_path, fails, given, told):
    file = tmp_path / "a.csv"
    file.write_text("x")
    record = {"sha256": file_hash(file), "members": [], "oof": {"score": 0.56785}}
    file.with_suffix(".json").write_text(json.dumps(with_checksum(record)))
    log = tmp_path / "leaderboard.csv"
    write_board(log, [BoardRow("a.csv", file_hash(file), "now", "", float(given))])
    if told:
        assert "oof of a.csv, 0.56785 by its record" in fails(main, "--board", "--log", log)
    else:
        assert main(["--board", "--log", str(log)]) == 0


def test_a_renamed_submission_has_its_row(tmp_path, capsys):
    file = submission(tmp_path)
    record = {"sha256": file_hash(file), "members": [{"name": "a"}, {"name": "b"}]}
    file.rename(tmp_path / "best.csv")
    (tmp_path / "best.json").write_text(json.dumps(with_checksum(record)))
    log = tmp_path / "leaderboard.csv"
    assert main(["--record", "best", "--public", ".7", "--board", "--log", str(log)]) == 0
    assert [(row.submission, row.public) for row in read_board(log)] == [("a.csv", 0.7)]
    assert "warning" not in capsys.readouterr().err


def test_a_damaged_record_of_another_submission_is_a_warning(tmp_path, capsys):
    submission(tmp_path)
    submission(tmp_path, "b.csv", "y").with_suffix(".json").write_text('{"sha256": "0"}')
    log = tmp_path / "leaderboard.csv"
    assert main(["--record", "a", "--public", ".7", "--board", "--log", str(log)]) == 0
    assert "warning: " in (said := capsys.readouterr().err) and "b.json: is damaged" in said
    assert [row.public for row in read_board(log)] == [0.7, None]
