"""Comparisons by hand, against definitions, and as the JSON has them."""

import json

import numpy as np
import pytest
from draws import grouped_predictions, macro_f1
from helpers import MASK, write_classes

from kit.compare import main
from kit.reporting.comparing import compare
from kit.scoring.agreement import most_diverse
from kit.scoring.bootstrap import GroupBootstrap
from kit.system.disk import file_hash, write_json
from kit.system.errors import KitError

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def compared(files, answers=None):
    """The comparison of files, and with answers, as JSON has it."""
    return compare(files, MASK, answers).describe()


def test_a_pair_by_hand_joined_by_id(tmp_path):
    a, b = (
        write_classes(tmp_path / "a.csv", A),
        write_classes(tmp_path / "b.csv", B, order=[4, 2, 0, 1, 3]),
    )
    result = compared([a, b])
    pair = result["pairs"][0]
    assert (pair["a"], pair["b"], pair["agreement"], pair["differ"]) == ("a", "b", 0.4, 3)
    # 1 -> 4 is another gender, 3 -> 9 another mask, 17 -> 16 another age.
    assert (pair["mask"], pair["gender"], pair["age"]) == (1, 1, 1)
    assert sorted((f["from"], f["to"], f["photos"]) for f in pair["flips"]) == [
        (1, 4, 1),
        (3, 9, 1),
        (17, 16, 1),
    ]
    assert np.flatnonzero(result["files"]["b"]["counts"]).tolist() == [0, 2, 4, 9, 16]


def test_scores_with_answers_and_json(tmp_path, capsys):
    a, b, truth = (
        write_classes(tmp_path / "a.csv", A),
        write_classes(tmp_path / "b.csv", B),
        write_classes(tmp_path / "truth.csv", A, [2, 0, 1, 4, 3]),
    )
    assert main([str(a), str(b), "--answers", str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"]["a"]["scores"]["accuracy"] == 1 and result["files"]["a"]["scores"][
        "f1"
    ] == pytest.approx(5 / 18)
    assert result["files"]["b"]["scores"]["f1"] == pytest.approx(2 / 18)
    assert result == json.loads(json.dumps(compared([a, b], truth)))


def test_the_order_of_rows_changes_no_interval_and_no_p(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(18), 9)
    given = [
        np.where(rng.random(162) < share, truth, rng.permutation(truth)) for share in (0.6, 0.5)
    ]
    results = []
    for _ in range(2):
        orders = [rng.permutation(162).tolist() for _ in range(3)]
        paths = [tmp_path / name for name in ("a.csv", "b.csv", "truth.csv")]
        for path, classes, order in zip(paths, [*given, truth], orders):
            write_classes(path, classes, order)
        results.append(compared(paths[:2], paths[2]))
    assert results[0] == results[1]
    assert results[0]["files"]["a"]["interval"] and 0 < results[0]["pairs"][0]["p"] < 1


def test_equal_names_are_told_apart(tmp_path):
    (tmp_path / "x").mkdir()
    names = list(
        compared(
            [write_classes(tmp_path / "a.csv", A), write_classes(tmp_path / "x" / "a.csv", B)]
        )["files"]
    )
    assert names == [str(tmp_path / "a.csv"), str(tmp_path / "x" / "a.csv")]


def test_answers_with_people_give_intervals_by_people(tmp_path, capsys):
    truth, person, a, b = grouped_predictions(0, better=0.2)
    files = [
        write_classes(tmp_path / f"{name}.csv", classes) for name, classes in (("a", a), ("b", b))
    ]
    answers = tmp_path / "answers.csv"
    rows = [f"{i}.jpg,{t},p{p}" for i, (t, p) in enumerate(zip(truth, person))]
    answers.write_text("ImageID,ans,person\n" + "\n".join(rows[::-1]) + "\n")
    result = compared(files, answers)
    people = GroupBootstrap(np.array([f"p{p}" for p in person]), truth, 18)
    assert result["by"] == "people" and result["files"]["a"]["interval"] == list(
        people.interval(people.draws(a))
    )
    pair = result["pairs"][0]
    assert pair["gain"] == pytest.approx(macro_f1(truth, b, 18) - macro_f1(truth, a, 18)) and pair[
        "p"
    ] == people.paired_p(a, b)
    assert pair["gain_interval"] == list(people.interval(people.draws(b) - people.draws(a)))
    assert main([*map(str, files), "--answers", str(answers)]) == 0
    assert "95 % interval by people" in capsys.readouterr().out
    plain = compared(files, write_classes(tmp_path / "plain.csv", truth))
    assert plain["by"] == "photos"
    assert np.ptp(plain["files"]["a"]["interval"]) < np.ptp(result["files"]["a"]["interval"])


def test_strong_files_that_are_least_alike(tmp_path, capsys):
    kappas = {"ab": 0.9, "ac": 0.6, "ad": 0.1, "bc": 0.5, "bd": 0.1, "cd": 0.1}
    result = {frozenset(pair): value for pair, value in kappas.items()}
    scored = {
        "a": (0.60, 0.55),
        "b": (0.58, 0.50),
        "c": (0.56, 0.50),
        "d": (0.40, 0.35),
    }  # d is clearly worse
    two, three = most_diverse(result, scored)
    assert set(two["files"]) == {"b", "c"} and two["kappa"] == 0.5
    assert set(three["files"]) == {"a", "b", "c"} and three["kappa"] == pytest.approx(2 / 3)
    assert most_diverse(result, {"a": (0.6, 0.5), "b": (0.5, 0.4)}) == []
    # Where the best has no interval, it cannot be told what is clearly worse.
    assert most_diverse(result, scored | {"a": (0.6, None)}) is None and most_diverse(
        result, scored | {"d": (0.4, None)}
    )
    files = [
        write_classes(tmp_path / f"{name}.csv", classes)
        for name, classes in (("a", A), ("b", B), ("c", A[::-1]))
    ]
    assert compared(files)["apart"] == []
    for path, f1 in zip(files, (0.6, 0.58, 0.59)):
        record = {"sha256": file_hash(path), "oof": {"score": f1, "interval": [f1 - 0.1, f1 + 0.1]}}
        write_json(path.with_suffix(".json"), record)
    assert main([str(path) for path in files]) == 0
    assert "strong and least alike: a, c, b (kappa " in capsys.readouterr().out.replace(
        "a, b, c", "a, c, b"
    )
    record = {"sha256": file_hash(files[0]), "oof": {"score": 0.6, "interval": None}}
    write_json(files[0].with_suffix(".json"), record, force=True)
    assert main([str(path) for path in files]) == 0
    assert (
        "strong and least alike: cannot be told" in capsys.readouterr().out
        and compared(files)["apart"] is None
    )
    write_json(files[0].with_suffix(".json"), {"sha256": "of another"}, force=True)
    with pytest.raises(KitError, match="is not the file that a.json beside it describes"):
        compared(files)
    files[0].with_suffix(".json").write_text('{"of": "another program"}')
    assert compared(files)["apart"] == []


def test_class_counts_stand_beside_those_out_of_fold(tmp_path, capsys):
    """A record's out-of-fold counts, scaled to the file's photos, and the p of a difference."""
    a, b = (
        write_classes(tmp_path / "a.csv", [0] * 30 + [1] * 10),
        write_classes(tmp_path / "b.csv", [0] * 20 + [1] * 20),
    )
    oof = {
        "predicted_counts": [60, 60] + [0] * 16,
        "rao_scott_correction": [1.0, 1.0],
        "f1": 0.5,
        "interval": [0.4, 0.6],
    }
    write_json(a.with_suffix(".json"), {"sha256": file_hash(a), "oof": oof})
    result = compared([a, b])
    assert (
        result["files"]["a"]["oof_counts"][:2] == [60, 60]
        and "oof_counts" not in result["files"]["b"]
    )
    # Two samples, 30 and 10 against 60 and 60: chi-square by hand.
    table = np.array([[30, 10], [60, 60]])
    fitted = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    from scipy.stats import chi2

    assert result["files"]["a"]["oof_p"] == pytest.approx(
        chi2.sf(((table - fitted) ** 2 / fitted).sum(), 1)
    )
    assert main([str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "30 (20)" in out and "10 (20)" in out and "in brackets" in out
    a.write_text(a.read_text().replace("0.jpg,0", "0.jpg,2", 1))
    with pytest.raises(KitError, match="a.csv: is not the file that a.json beside it describes"):
        compared([a, b])
    a.with_suffix(".json").unlink()
    assert "oof_counts" not in compared([a, b])["files"]["a"]
