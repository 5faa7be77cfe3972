"""The command kit.folds and its bad input."""

import re

from pets_folder import pets, usual_folder

from kit.competitions.mask_data import read_people
from kit.folds import main


def test_no_data_folder(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIT_DATA", raising=False)
    assert "data: there is no data folder" in fails(main) and "kit.sample" not in fails(
        main, "--folds", "x"
    )
    assert "kit.sample" in fails(main, "--data", "nowhere")
    monkeypatch.setenv("KIT_DATA", "elsewhere")
    assert "elsewhere" in fails(main)
    (tmp_path / "data").mkdir()
    assert "holds no train/train.csv" in fails(main, "--data", "data")


def test_too_many_folds_and_an_output_that_exists(data, tmp_path, fails):
    assert "so some folds would have none" in fails(
        main, "--data", data, "--out", tmp_path / "f.csv", "--folds", 4
    )
    (tmp_path / "f.csv").write_text("mine")
    assert "exists already" in fails(
        main, "--data", data, "--out", tmp_path / "f.csv", "--folds", 3
    )
    assert (tmp_path / "f.csv").read_text() == "mine"
    assert (
        main(["--data", str(data), "--out", str(tmp_path / "f.csv"), "--folds", "3", "--force"])
        == 0
    )


def test_input_files_are_never_written_over(data, tmp_path, fails):
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,field,value\n000003_male_Asian_35,age,35\n")
    for out in (data / "train" / "train.csv", data / "eval" / "new.csv", fixes):
        line = fails(
            main, "--data", data, "--folds", 3, "--corrections", fixes, "--out", out, "--force"
        )
        assert "is a place of input files" in line
    assert len(read_people(data / "train" / "train.csv")) and fixes.read_text().startswith(
        "path,field,value"
    )


def test_korean_paths_stand_in_the_next_step(data, tmp_path, capsys):
    place, plan = tmp_path / "대회 자료", tmp_path / "결과" / "folds.csv"
    data.rename(place)
    assert main(["--data", str(place), "--out", str(plan), "--folds", "3"]) == 0
    step = "next: python -m kit.train recipes/effb4_5fold.py --fold all"
    assert capsys.readouterr().out.strip().endswith(f"{step} --data '{place}' --plan '{plan}'")


def test_a_misspelt_option_is_named(fails):
    assert "did you mean --folds?" in fails(main, "--fold", "5")


DEFINITION = """from kit.competition import Competition

competition = Competition(
    name="pets", train="labels.csv", image="train/{id}.jpg", target="breed", group="owner",
    test_image="test/{id}.jpg",
)
"""


def test_a_definition_is_planned_and_its_mistakes_are_one_line(tmp_path, fails, capsys):
    root, _ = usual_folder(tmp_path / "data")
    file, out = tmp_path / "competition.py", tmp_path / "folds.csv"
    options = ["--competition", file, "--data", root, "--folds", 2, "--out", out]
    for right, wrong, said in (
        ("target=", "traget=", "line 3: .*did you mean target"),
        ('"owner"', '"ownr"', "has no column 'ownr' .did you mean owner"),
        ("train/{id}", "{id}", "no row names a photo that is there .12 found"),
        ("test/{id}", "tests/{id}", "ids that name no file .* .4 found, the first: tests/t00.jpg"),
    ):
        file.write_text(DEFINITION.replace(right, wrong))
        assert re.search(said, fails(main, *options))
    file.write_text(DEFINITION)
    assert main(list(map(str, options))) == 0
    out = capsys.readouterr().out
    assert "0 beagle" in out and re.search("owners +3 +3 +6", out)


def test_of_many_classes_the_rarest_are_shown(tmp_path, capsys):
    table = pets(140).assign(breed=[f"b{n // 2:02d}" for n in range(140)])
    root, _ = usual_folder(tmp_path / "data", table=table)
    (tmp_path / "competition.py").write_text(DEFINITION.replace(' group="owner",', ""))
    options = ["--competition", str(tmp_path / "competition.py"), "--data", str(root), "--folds"]
    assert main([*options, "2", "--out", str(tmp_path / "f.csv"), "--no-audit"]) == 0
    shown = capsys.readouterr().out
    assert "of the 30 rarest of 70 classes" in shown and shown.count("b0") == 10
