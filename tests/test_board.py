"""The leaderboard log: a row a submission, never lost, and what it tells."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.compare import main
from kit.results import leaderboard as board
from kit.results.leaderboard import BOARD_COLUMNS, read_board, write_board
from kit.system.disk import file_hash


def row(name="a.csv", oof=0.5, public="", **more):
    return (
        dict(
            zip(
                BOARD_COLUMNS,
                (
                    name,
                    name * 3,
                    "2026-01-01 10:00",
                    "a b",
                    oof,
                    oof - 0.04,
                    oof + 0.04,
                    public,
                    "",
                ),
            )
        )
        | more
    )


def submission(folder, name="a.csv", content="x", f1=0.5):
    path = Path(folder) / name
    path.write_text(content)
    board.add(
        path,
        {
            "sha256": file_hash(path),
            "members": [{"name": "a"}, {"name": "b"}],
            "oof": {"f1": f1, "interval": [f1 - 0.1, f1 + 0.1]},
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
    assert (kept["oof"], kept["public"], kept["private"], kept["members"]) == (
        0.6,
        0.7631,
        "",
        "a b",
    )
    submission(tmp_path, content="y")  # another file of the same name
    assert [r["public"] for r in read_board(log)] == [0.7631, ""]
    assert (
        main(["--record", "a.csv", "--public", ".1", "--private", ".2", "--log", str(log)]) == 0
    )  # that which is there now
    assert [(r["public"], r["private"]) for r in read_board(log)] == [(0.7631, ""), (0.1, 0.2)]
    (tmp_path / "a.csv").write_text("x")
    assert main(["--record", str(tmp_path / "a.csv"), "--public", ".3", "--log", str(log)]) == 0
    assert [r["public"] for r in read_board(log)] == [0.3, 0.1]


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
    assert "say what the site said" in fails(main, "--record", "effb4-hflip", "--log", log)
    assert "are of --record" in fails(main, "a.csv", "b.csv", "--public", ".5")
    assert "leave the files out" in fails(main, "a.csv", "--board")
    assert "cannot be read" in fails(main, "--board", "--log", tmp_path / "none.csv")
    assert log.read_bytes() == before
    write_board(log, [row(public="high")])
    assert "no numbers in 0..1 (1 found: public 'high' of a.csv)" in fails(
        main, "--board", "--log", log
    )


def test_a_damaged_log_costs_a_warning_not_the_submission(tmp_path, capsys):
    (tmp_path / "leaderboard.csv").write_text("mine\n1\n")
    submission(tmp_path)
    assert "is not in the leaderboard log" in capsys.readouterr().err
    assert (tmp_path / "leaderboard.csv").read_text() == "mine\n1\n"


def test_many_processes_lose_no_row(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]); import test_board\n"
        "for n in range(10): test_board.submission(sys.argv[1], f'{sys.argv[2]}-{n}.csv', "
        "sys.argv[2] + str(n))"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen([*words, str(k), str(Path(__file__).parent)]) for k in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    names = [r["submission"] for r in read_board(tmp_path / "leaderboard.csv")]
    assert sorted(names) == sorted(f"{k}-{n}.csv" for k in range(4) for n in range(10))


def test_the_summary_by_hand(capsys, tmp_path):
    rng = np.random.default_rng(0)
    cv = np.linspace(0.5, 0.6, 12)
    site = cv + 0.1 + rng.normal(0, 0.003, 12)
    site[7] += 0.08
    rows = [row(f"s{n}.csv", float(c), float(s)) for n, (c, s) in enumerate(zip(cv, site))]
    rows += [row("later.csv", 0.7), row("x.csv") | {"oof": "", "low": "", "high": ""}]
    found = board.summary(rows)
    assert [r["submission"] for r in found["rows"]] == [
        "later.csv",
        *(f"s{n}.csv" for n in range(11, -1, -1)),
        "x.csv",
    ]
    assert found["correlation"] == pytest.approx(np.corrcoef(cv, site)[0, 1])
    z = np.arctanh(found["correlation"])
    assert found["interval"] == pytest.approx(
        np.tanh([z - 1.96 / 3, z + 1.96 / 3]).tolist(), abs=1e-3
    )
    assert found["outside"] == ["s7.csv"] and found["picked_from"] == 12
    assert found["best_above"] == pytest.approx(site.max() - site.mean())
    assert "by_chance" not in found
    log = tmp_path / "leaderboard.csv"
    write_board(log, rows)
    assert main(["--board", "--log", str(log)]) == 0
    out = capsys.readouterr().out
    assert (
        "correlation of the out-of-fold with the public score" in out
        and "outside of what the others say: s7.csv" in out
    )
    assert "what picking the best makes of noise is left out" in out
    assert main(["--board", "--json", "--log", str(log)]) == 0
    assert json.loads(capsys.readouterr().out)["outside"] == ["s7.csv"]
    write_board(log, rows[-2:])
    assert (
        main(["--board", "--log", str(log)]) == 0
        and "no correlation yet" in capsys.readouterr().out
    )


# ------------------------------------------------------------ what picking the best makes of noise


def correlated(rho, n=12, draws=500):
    """Draws of equally good submissions whose errors correlate; independent ones make .031 of
    picking the best.
    """
    rng = np.random.default_rng(0)
    deviation = 0.031 / np.mean(rng.normal(size=(200_000, n)).max(axis=1))
    shared, own = rng.normal(size=draws), rng.normal(size=(n, draws))
    level = rng.uniform(0.5, 0.7, (n, 1))  # which of them is better makes no noise
    return level + deviation * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)


@pytest.mark.parametrize("rho, expected", [(0, 0.031), (0.8, 0.0139), (0.95, 0.0069)])
def test_picking_the_best_makes_less_of_noise_where_submissions_correlate(rho, expected):
    assert board.selection_bias(correlated(rho)) == pytest.approx(expected, rel=0.06)
    assert board.selection_bias(correlated(rho, n=2)[[0, 0]]) == 0  # the same twice


def recorded(folder, draws, **more):
    """Submissions with records as kit.ensemble writes them, public scores, and the log's rows."""
    for n, own in enumerate(draws):
        path = folder / f"s{n}.csv"
        path.write_text(f"s{n}")
        oof = {
            "f1": 0.5,
            "interval": [0.4, 0.6],
            "photos": 70,
            "people": 10,
            "folds": {"0": 0.5, "1": 0.5},
            "draws": " ".join(f"{draw:.5f}" for draw in own),
        }
        record = {"sha256": file_hash(path), "plan": "p", "members": [], "oof": oof | more}
        path.with_suffix(".json").write_text(json.dumps(record))
        board.add(path, record)
        board.record(folder / "leaderboard.csv", path.name, {"public": 0.5 + n / 100})


def shown(folder, capsys):
    assert main(["--board", "--log", str(folder / "leaderboard.csv")]) == 0
    out = capsys.readouterr().out
    assert main(["--board", "--json", "--log", str(folder / "leaderboard.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert ("is left out" in out) == ("by_chance" not in found)
    assert "draws" not in found["rows"][0]
    return found.get("by_chance"), out


def test_the_board_takes_the_draws_of_the_records(tmp_path, capsys):
    draws = correlated(0.8)
    recorded(tmp_path, draws)
    chance, out = shown(tmp_path, capsys)
    assert chance == pytest.approx(board.selection_bias(draws), rel=1e-3)
    assert f"picking the best of so many equally good ones would make {chance:.4f} of noise" in out


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record | {"plan": "another"},
        lambda record: record | {"sha256": "0" * 64},
        lambda record: {key: value for key, value in record.items() if key != "plan"},
        *(
            lambda record, more=more: record | {"oof": more and record["oof"] | more}
            for more in (
                None,
                {"photos": 77},
                {"people": 11},
                {"folds": {"2": 0.5, "3": 0.5}},
                {"folds": 3},
                {"draws": ""},
                {"draws": "0.5 x"},
                {"draws": "0.5 0.5"},
                {"draws": " ".join(["nan"] * 500)},
                {"draws": None},
                {"draws": [0.5] * 500},
            )
        ),
    ],
)
def test_without_paired_draws_of_all_it_is_left_out(tmp_path, capsys, damage):
    recorded(tmp_path, correlated(0.8, n=3))
    path = tmp_path / "s1.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    assert shown(tmp_path, capsys)[0] is None


def test_a_lost_or_damaged_record_is_no_crash(tmp_path, capsys):
    recorded(tmp_path, correlated(0.8, n=3))
    (tmp_path / "s2.json").write_text("{")
    assert shown(tmp_path, capsys)[0] is None
    (tmp_path / "s2.json").unlink()
    assert shown(tmp_path, capsys)[0] is None
    (tmp_path / "s2.csv").unlink()
    assert shown(tmp_path, capsys)[0] is None
    rows = read_board(tmp_path / "leaderboard.csv")
    write_board(tmp_path / "leaderboard.csv", [rows[0], rows[1] | {"submission": ""}])
    assert shown(tmp_path, capsys)[0] is None


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
