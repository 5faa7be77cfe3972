import json

import numpy as np
import pytest
from conftest import make_data

from kit.compare import alike_first, compare, kappa, main, vote
from kit.data import read_eval
from kit.tables import file_hash, read_answers

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
    assert "name submissions, or --board" in fails(main)


def test_a_name_is_not_markup(tmp_path, capsys):
    names = [write(tmp_path / name, A) for name in ("sub[hflip].csv", "sub[x].csv")]
    assert main([str(n) for n in names]) == 0
    assert "sub[hflip] | sub[x]" in capsys.readouterr().out


def test_equal_names_are_told_apart(tmp_path):
    (tmp_path / "x").mkdir()
    names = list(compare([write(tmp_path / "a.csv", A), write(tmp_path / "x" / "a.csv", B)])["files"])
    assert names == [str(tmp_path / "a.csv"), str(tmp_path / "x" / "a.csv")]


# ------------------------------------------------------------ kappa, order, vote

def test_kappa_is_sklearns():
    from sklearn.metrics import cohen_kappa_score
    for seed in range(30):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 18, 60)
        b = np.where(rng.random(60) < .6, a, rng.integers(0, 18, 60))
        assert kappa(np.bincount(18 * a + b, minlength=324).reshape(18, 18)) == pytest.approx(cohen_kappa_score(a, b))
    assert kappa(np.array([[4, 0], [0, 0]])) == 1.0  # both know one class only
    assert kappa(np.ones((2, 2))) == pytest.approx(0)


def test_similar_files_stand_together():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds = rng.integers(0, 18, (3, 300))
        family = rng.permutation(np.repeat(np.arange(3), 4))
        files = np.stack([np.where(rng.random(300) < .1, rng.integers(0, 18, 300), kinds[k]) for k in family])
        order = alike_first(files)
        assert sorted(order) == list(range(12))
        assert np.count_nonzero(np.diff(family[order])) == 2  # each family in one block


def test_the_vote_by_hand_and_its_ties():
    files = np.array([[1, 5, 7, 0], [2, 5, 8, 3], [2, 6, 9, 3], [1, 4, 9, 0]])
    assert vote(files).tolist() == [1, 5, 9, 0]  # ties between 1 and 2, and 0 and 3: the earliest file's
    assert vote(files[::-1]).tolist() == [1, 5, 9, 0]
    assert vote(files[[1, 0, 2, 3]]).tolist() == [2, 5, 9, 3]
    assert vote(files[:1]).tolist() == files[0].tolist()


def test_a_vote_is_written_as_a_checked_submission(tmp_path, fails, capsys):
    data = make_data(tmp_path / "data", eval_photos=5)
    ids = read_eval(data)
    files = []
    for n, classes in enumerate(([0, 1, 2, 3, 4], [0, 1, 5, 3, 9], [7, 1, 5, 8, 4])):
        files.append(tmp_path / f"s{n}.csv")
        rows = [f"{i},{c}" for i, c in zip(ids, classes)]
        files[-1].write_text("\n".join(["ImageID,ans", *(rows[::-1] if n == 1 else rows)]) + "\n")  # joined by id
    out = tmp_path / "vote.csv"
    arguments = [*map(str, files), "--vote", str(out), "--data", str(data)]
    assert main(arguments) == 0 and "the hard vote of 3 files" in capsys.readouterr().out
    assert read_answers(out)["ans"].tolist() == [0, 1, 5, 3, 4] and read_answers(out)["ImageID"].tolist() == ids
    record = json.loads(out.with_suffix(".json").read_text())
    assert [m["name"] for m in record["members"]] == ["s0", "s1", "s2"] and record["sha256"] == file_hash(out)
    assert "exists already" in fails(main, *arguments)
    assert main([*arguments, "--force"]) == 0
    assert "is a place of input files" in fails(main, *files, "--vote", files[0], "--data", data, "--force")
    assert "is for --vote" in fails(main, *files, "--force")
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B)
    assert "has other ids than" in fails(main, a, b, "--vote", tmp_path / "w.csv", "--data", data)
    assert not (tmp_path / "w.csv").exists()


def test_many_files_are_told_by_the_matrix(tmp_path, capsys):
    rng = np.random.default_rng(0)
    files = [write(tmp_path / f"s{n}.csv", rng.integers(0, 18, 30)) for n in range(6)]
    assert main([str(f) for f in files]) == 0
    out = capsys.readouterr().out
    assert "Agreement in percent" in out and "Pairs:" not in out and "s0 | s1" not in out
