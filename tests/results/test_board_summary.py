"""What the log tells: what picking the best of many submissions makes of noise."""

import json

import numpy as np
import pytest

from kit.compare import main
from kit.metrics.metric import find_metric
from kit.results import leaderboard as board
from kit.results.board_summary import selection_bias, summarise
from kit.results.leaderboard import BoardRow
from kit.system.disk import file_hash, write_json

F1 = find_metric("f1_macro")


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
    assert selection_bias(correlated(rho)) == pytest.approx(expected, rel=0.06)
    assert selection_bias(correlated(rho, n=2)[[0, 0]]) == 0  # the same twice


def recorded(folder, draws, **more):
    """Submissions with records as kit.ensemble writes them, public scores, and the log's rows."""
    for n, own in enumerate(draws):
        path = folder / f"s{n}.csv"
        path.write_text(f"s{n}")
        oof = {
            "score": 0.5,
            "interval": [0.4, 0.6],
            "photos": 70,
            "groups": 10,
            "folds": {"0": 0.5, "1": 0.5},
            "draws": " ".join(f"{draw:.5f}" for draw in own),
        }
        record = {"sha256": file_hash(path), "plan": "p", "members": [], "oof": oof | more}
        write_json(path.with_suffix(".json"), record)
        board.add(path, record)
        board.enter_scores(folder / "leaderboard.csv", path.name, {"public": 0.5 + n / 100}, F1)


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
    assert chance == pytest.approx(selection_bias(draws), rel=1e-3)
    assert f"noise alone would put it {chance:.4f} above" in out


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record | {"plan": "another"},
        lambda record: record | {"sha256": "0" * 64},
        lambda record: {key: value for key, value in record.items() if key != "plan"},
        *(
            lambda record, more=more: record | {"oof": record["oof"] | more}
            for more in (
                {"photos": 77},
                {"groups": 11},
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
    write_json(path, damage(json.loads(path.read_text())), force=True)
    assert shown(tmp_path, capsys)[0] is None


def test_a_lost_record_is_no_crash(tmp_path, capsys):
    recorded(tmp_path, correlated(0.8, n=3))
    (tmp_path / "s2.json").unlink()
    assert shown(tmp_path, capsys)[0] is None
    (tmp_path / "s2.csv").unlink()
    assert shown(tmp_path, capsys)[0] is None


def test_a_log_and_its_records_contradict_each_other_in_no_silence(tmp_path, capsys, fails):
    recorded(tmp_path, correlated(0.8, n=3))
    log = tmp_path / "leaderboard.csv"
    content, record = log.read_text(), (tmp_path / "s2.json").read_text()
    shown(tmp_path, capsys)
    for old, new, said in (
        (",0.5,", ",0.4,", "is damaged, or was changed (3 found, the first: oof of s0.csv, 0.5"),
        ("0.6", "0.5999999", ""),  # as a spreadsheet may round
        ("0.6", "", "holds scores that are no numbers (3 found"),
    ):
        log.write_text(content.replace(old, new))
        if said:
            assert said in fails(main, "--board", "--log", log)
            assert said in fails(main, "--record", "s0", "--public", ".5", "--log", log)
        else:
            shown(tmp_path, capsys)
    log.write_text("".join(content.splitlines(keepends=True)[:-1]))
    assert main(["--board", "--log", str(log)]) == 0
    assert "has no row of s2.csv as it is now" in capsys.readouterr().err
    log.write_text(content)
    (tmp_path / "s2.json").write_text(record[:-9])
    assert main(["--board", "--log", str(log)]) == 0
    assert "warning" in (said := capsys.readouterr().err) and "s2.json: is no JSON" in said


def test_the_best_is_the_least_where_less_is_better():
    rows = [
        BoardRow(f"s{n}.csv", "00", "2026-01-01", "m", loss, loss - 0.1, loss + 0.1, loss + 0.05)
        for n, loss in enumerate((0.5, 0.3, 0.4))
    ]
    rows.append(BoardRow("none.csv", "00", "2026-01-01", "m"))
    draws = np.random.default_rng(0).normal(size=(3, 500))
    found = summarise(rows, draws, sign=-1)
    assert [row.submission for row in found.rows] == ["s1.csv", "s2.csv", "s0.csv", "none.csv"]
    assert found.best_above == pytest.approx(0.45 - 0.35)
    assert found.by_chance == pytest.approx(selection_bias(-draws)) and found.by_chance > 0.5
