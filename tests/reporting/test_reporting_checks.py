"""The check of submissions."""

import shutil

from helpers import ensemble_arguments

from kit.ensemble import main


def test_the_check_stands_alone(copy, fails, capsys):
    assert main(ensemble_arguments(copy)) == 0
    capsys.readouterr()
    place = ["--data", copy / "data", "--plan", copy / "runs" / "folds.csv"]

    def check(path):
        assert main(list(map(str, ["--check", path, *place]))) == 0
        return capsys.readouterr()

    before = sorted(copy.iterdir())
    said = check(copy / "s.csv")
    assert "would pass" in said.out and "the out-of-fold predictions" in said.out
    shutil.copy(copy / "s.csv", copy / "t.csv")
    said = check(copy / "t.csv")
    assert (
        "is the same submission as" in said.err
        and "s.csv" in said.err
        and "the training labels" in said.out
    )
    (copy / "t.csv").unlink()
    assert sorted(copy.iterdir()) == before
    lines = (copy / "s.csv").read_text().splitlines()
    edited = lines[1].split(",")[0] + f",{(int(lines[1].split(',')[1]) + 1) % 18}"
    (copy / "t.csv").write_text("\n".join([lines[0], edited, *lines[2:]]) + "\n")
    shutil.copy(copy / "s.json", copy / "t.json")
    said = fails(main, "--check", copy / "t.csv", *place)
    assert "t.csv: is not the file that t.json beside it describes" in said
    (copy / "t.json").unlink()
    assert "the training labels" in check(copy / "t.csv").out
    lines = (copy / "s.csv").read_text().splitlines()
    for content, wrong in (
        (lines[:-1], "lacks ids of"),
        ([lines[0], *lines[:0:-1]], "has another order than"),
        ([*lines[:-1], lines[-1].split(",")[0] + ",18"], "whole numbers 0..17"),
        ([*lines, "nobody.jpg,1"], "has ids not in"),
    ):
        (copy / "bad.csv").write_text("\n".join(content) + "\n")
        assert wrong in fails(main, "--check", copy / "bad.csv", *place)
    assert "there is no such file (did you mean" in fails(main, "--check", copy / "ss.csv", *place)
    assert "there is no such file" in fails(main, "--check", "", *place)
    assert "--check: takes no --force" in fails(main, "--check", copy / "s.csv", *place, "--force")
    assert (
        main(list(map(str, ["--check", copy / "s.csv", copy / "bad.csv", copy / "t.csv", *place])))
        == 2
    )
    captured = capsys.readouterr()
    assert captured.out.count("would pass: same ids") == 2 and "error: " in captured.err
    (copy / "runs" / "folds.json").unlink()
    assert "without the plan's labels" in check(copy / "s.csv").err
