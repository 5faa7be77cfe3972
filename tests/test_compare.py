import json

import numpy as np
import pytest

from kit.compare import compare, main

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def write(path, classes, order=None):
    rows = [f"{i}.jpg,{c}" for i, c in enumerate(classes)]
    path.write_text("ImageID,ans\n" + "\n".join(rows[i] for i in (order or range(len(rows)))) + "\n")
    return path


def test_a_pair_by_hand_joined_by_id(tmp_path):
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B, order=[4, 2, 0, 1, 3])
    result = compare([a, b])
    pair = result["pairs"][0]
    assert (pair["a"], pair["b"], pair["agreement"], pair["differ"]) == ("a", "b", 0.4, 3)
    # 1 -> 4 is another gender, 3 -> 9 another mask, 17 -> 16 another age.
    assert (pair["mask"], pair["gender"], pair["age"]) == (1, 1, 1)
    assert sorted((f["from"], f["to"], f["photos"]) for f in pair["flips"]) == [(1, 4, 1), (3, 9, 1), (17, 16, 1)]
    assert np.flatnonzero(result["files"]["b"]["counts"]).tolist() == [0, 2, 4, 9, 16]


def test_scores_with_answers_and_json(tmp_path, capsys):
    a, b, truth = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B), write(tmp_path / "truth.csv", A, [2, 0, 1, 4, 3])
    assert main([str(a), str(b), "--answers", str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"]["a"]["scores"]["accuracy"] == 1 and result["files"]["a"]["scores"]["f1"] == pytest.approx(5 / 18)
    assert result["files"]["b"]["scores"]["f1"] == pytest.approx(2 / 18)
    assert result == json.loads(json.dumps(compare([a, b], truth)))


def test_what_a_person_sees(tmp_path, capsys):
    assert main([str(write(tmp_path / "a.csv", A)), str(write(tmp_path / "b.csv", B)), str(write(tmp_path / "c.csv", A))]) == 0
    out = capsys.readouterr().out
    assert "a | b" in out and "40.00%" in out and "a | c" in out and "100.00%" in out
    assert "1 mask male 30-59 -> mask female 30-59" in out


def test_bad_input_is_one_line(tmp_path, fails):
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B[:4])
    assert "lacks ids of" in fails(main, a, b) and "has ids that are not in" in fails(main, b, a)
    assert "the same file twice" in fails(main, a, a)
    assert "nothing to compare it with" in fails(main, a)
    assert "cannot be read" in fails(main, a, tmp_path / "none.csv")
    assert "No such file" in fails(main, a, b.with_name("x"), "--answers", a)
    assert "cannot be read" in fails(main, a, tmp_path)
    b.write_text("ImageID,ans\n0.jpg,0.5\n")
    assert "whole numbers 0..17 (1 found: '0.5' at 0.jpg)" in fails(main, a, b)
    b.write_text("ImageID;ans\n0.jpg;1\n")
    assert "separated by something else than commas" in fails(main, a, b)
    b.write_text("Image,ans\n0.jpg,1\n")
    assert "has no column 'ImageID'" in fails(main, a, b)
    assert "the following arguments are required" in fails(main)


def test_a_name_is_not_markup(tmp_path, capsys):
    names = [write(tmp_path / name, A) for name in ("sub[hflip].csv", "sub[x].csv")]
    assert main([str(n) for n in names]) == 0
    assert "sub[hflip] | sub[x]" in capsys.readouterr().out


def test_equal_names_are_told_apart(tmp_path):
    (tmp_path / "x").mkdir()
    names = list(compare([write(tmp_path / "a.csv", A), write(tmp_path / "x" / "a.csv", B)])["files"])
    assert names == [str(tmp_path / "a.csv"), str(tmp_path / "x" / "a.csv")]
