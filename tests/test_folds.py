"""The command kit.folds and its bad input."""

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


def test_korean_paths(data, tmp_path):
    place = tmp_path / "대회 자료"
    data.rename(place)
    assert (
        main(["--data", str(place), "--out", str(tmp_path / "결과" / "folds.csv"), "--folds", "3"])
        == 0
    )


def test_a_misspelt_option_is_named(fails):
    assert "did you mean --folds?" in fails(main, "--fold", "5")
