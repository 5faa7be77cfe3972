"""The command kit.compare: what it prints and writes, and its bad input."""

import json
import shutil

import numpy as np
import pytest
from draws import grouped_predictions, macro_f1
from helpers import write_classes
from trainings import chosen_otherwise

from kit.compare import main
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.scoring.bootstrap import GroupBootstrap

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def test_what_a_person_sees(tmp_path, capsys):
    assert (
        main(
            [
                str(write_classes(tmp_path / "a.csv", A)),
                str(write_classes(tmp_path / "b.csv", B)),
                str(write_classes(tmp_path / "c.csv", A)),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "a | b" in out and "40.00%" in out and "a | c" in out and "100.00%" in out
    assert "1 mask male 30-59 -> mask female 30-59" in out


def test_the_most_frequent_flips_alone_unless_all_are_asked_for(tmp_path, capsys, fails):
    flips = [(0, 1)] * 4 + [(2, 3)] * 3 + [(c, c - 1) for c in range(3, 12)] + [(5, 5)] * 3
    a, b = (
        write_classes(tmp_path / f"{name}.csv", [flip[n] for flip in flips])
        for n, name in enumerate("ab")
    )
    assert main([str(a), str(b), "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert [(f["from"], f["to"], f["photos"]) for f in pair["flips"]] == [
        (0, 1, 4),
        (2, 3, 3),
        (3, 2, 1),
        (4, 3, 1),
        (5, 4, 1),
    ]
    assert (pair["other_flips"], pair["differ"]) == (6, 16)
    assert main([str(a), str(b), "--json", "--all-flips"]) == 0
    (whole,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (
        whole["flips"][:5] == pair["flips"]
        and len(whole["flips"]) == 11
        and whole["other_flips"] == 0
    )
    assert sum(f["photos"] for f in whole["flips"]) == 16
    assert main([str(a), str(b)]) == 0 and "6 other flips" in capsys.readouterr().out
    assert "--all-flips: is for --json" in fails(main, a, b, "--all-flips")
    assert "--all-flips: is for --json" in fails(main, "--board", "--json", "--all-flips")


def test_bad_input_is_one_line(tmp_path, fails, world):
    a, b = write_classes(tmp_path / "a.csv", A), write_classes(tmp_path / "b.csv", B[:4])
    assert "lacks ids of" in fails(main, a, b) and "has ids that are not in" in fails(main, b, a)
    assert "the same file twice" in fails(main, a, a)
    assert "with; name a second submission or --answers FILE" in fails(main, a)
    assert "with; name a second run" in fails(main, tmp_path)
    assert "cannot be read" in fails(main, a, tmp_path / "none.csv")
    assert "No such file" in fails(main, a, b.with_name("x"), "--answers", a)
    assert "with other runs alone" in fails(main, a, tmp_path) and "holds no checkpoint" in fails(
        main, tmp_path, world.runs, "--plan", world.plan_path
    )
    b.write_text("ImageID,ans\n0.jpg,0.5\n")
    assert "whole numbers 0..17 (1 found: '0.5' at 0.jpg)" in fails(main, a, b)
    b.write_text("ImageID;ans\n0.jpg;1\n")
    assert "separated by something else than commas" in fails(main, a, b)
    b.write_text("Image,ans\n0.jpg,1\n")
    assert "has no column 'ImageID'" in fails(main, a, b)
    assert "name submissions, --board or" in fails(main)


def test_a_name_is_not_markup(tmp_path, capsys):
    names = [write_classes(tmp_path / name, A) for name in ("sub[hflip].csv", "sub[x].csv")]
    assert main([str(n) for n in names]) == 0
    assert "sub[hflip] | sub[x]" in capsys.readouterr().out


def test_many_files_are_told_by_the_matrix(tmp_path, capsys):
    rng = np.random.default_rng(0)
    files = [write_classes(tmp_path / f"s{n}.csv", rng.integers(0, 18, 30)) for n in range(6)]
    assert main([str(f) for f in files]) == 0
    out = capsys.readouterr().out
    assert "Agreement in percent" in out and "Pairs:" not in out and "s0 | s1" not in out


def test_of_few_people_there_is_no_interval_and_it_is_said(tmp_path, capsys, fails):
    truth, person, a, b = grouped_predictions(0, people=12, better=0.2)
    files = [
        write_classes(tmp_path / f"{name}.csv", classes)
        for name, classes in (("a", a), ("b", b), ("c", truth))
    ]
    answers = tmp_path / "answers.csv"
    answers.write_text(
        "ImageID,ans,person\n"
        + "".join(f"{i}.jpg,{t},p{p}\n" for i, (t, p) in enumerate(zip(truth, person)))
    )
    few = int(GroupBootstrap(person, truth, 18).effective)
    assert few < 8 and main([*map(str, files), "--answers", str(answers)]) == 0
    out = capsys.readouterr().out
    assert (
        f"no interval: it would rest on {few} people of the rarest classes, and 8 are needed" in out
    )
    assert out.count("  none  ") == 6 and "strong and least alike: cannot be told" in out
    assert main([*map(str, files), "--answers", str(answers), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["apart"] is None and int(result["effective"]) == few
    assert [file["interval"] for file in result["files"].values()] == [None] * 3
    assert [pair["gain_interval"] for pair in result["pairs"]] == [None] * 3 and 0 < result[
        "pairs"
    ][0]["p"] <= 1
    assert (
        main([*map(str, files), "--answers", str(write_classes(tmp_path / "plain.csv", truth))])
        == 0
    )
    assert " photos of the rarest classes" in capsys.readouterr().out
    assert "--plan: is for runs" in fails(main, *files, "--plan", tmp_path / "folds.csv")


def test_runs_are_compared_out_of_fold(world, tmp_path, fails, capsys):
    shutil.copytree(world.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("pixels"))
    other = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "other", world.plan, "last", 0
    )
    place = ["--plan", str(tmp_path / "runs" / "folds.csv")]
    assert main([str(tmp_path / "runs" / "small"), str(other), "--json", *place]) == 0
    result = json.loads(capsys.readouterr().out)
    tables = [read_probs(Fold(world.runs / "small" / f"fold{k}").oof) for k in range(3)]
    truth = (
        world.plan.photos.set_index("image")
        .loc[np.concatenate([t.ids for t in tables]), "label"]
        .to_numpy()
    )
    assert result["by"] == "people" and result["files"]["small"]["scores"]["f1"] == pytest.approx(
        macro_f1(truth, np.concatenate([t.probs for t in tables]).argmax(axis=1), 18)
    )
    assert result["chosen_on_fold"] == []
    picked = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "picked", world.plan, "best", 0
    )
    assert main([str(picked), str(other), *place]) == 0
    out = capsys.readouterr().out
    assert "p of a paired permutation test" in out
    assert (
        "epochs chosen on the fold they are scored on: picked; such scores are a little too good, "
        "and p of a gain over" in out
    )
    early = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "early", world.plan, "last", 3
    )  # by when it ended
    assert main([str(picked), str(early), *place]) == 0
    out = capsys.readouterr().out
    assert "scored on: picked, early; such scores are a little too good\n" in out
    assert main([str(other), str(early / "fold0"), *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen_on_fold"] == ["early"]
    more = chosen_otherwise(world.runs / "small", tmp_path / "runs" / "more", world.plan, "soup", 0)
    assert (
        main([str(other / "fold1"), str(more), *place]) == 0
        and "epochs chosen" not in capsys.readouterr().out
    )
    assert "with other runs alone" in fails(main, other, tmp_path / "a.csv", *place)
