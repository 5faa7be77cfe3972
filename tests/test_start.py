"""The command kit.start: a folder that nobody has described becomes a definition."""

import pytest
from drawn_layouts import ALL

import kit.folds
from kit.competitions import find_competition
from kit.data.plan import read_plan
from kit.start import main


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The working folder, beside drawn data in State Farm's layout, `data/drivers`."""
    monkeypatch.chdir(tmp_path)
    ALL["statefarm"].draw(tmp_path / "data" / "drivers")
    return tmp_path


def test_a_folder_is_described_tried_and_planned(drawn, capsys):
    assert main(["data/drivers"]) == 0
    said = capsys.readouterr().out
    assert "imgs/train/{classname}/{img}" in said and "wrote competition.py" in said
    assert "tried: " in said and "12 subjects" in said and "10 classes" in said
    assert "unsure metric" in said and "unsure mirror" in said
    assert said.splitlines()[-1] == "next   python -m kit.folds --data data/drivers"
    assert find_competition(None).group == "subject"
    assert kit.folds.main(["--data", "data/drivers", "--folds", "2", "--no-audit"]) == 0
    assert read_plan(drawn / "runs" / "folds.csv").competition.metric == "log_loss"


def test_nothing_is_overwritten_without_force(drawn, fails):
    (drawn / "competition.py").write_text("mine")
    assert "exists already" in fails(main, "data/drivers")
    assert (drawn / "competition.py").read_text() == "mine"
    assert main(["data/drivers", "--force"]) == 0
    assert main(["data/drivers", "--out", "other.py"]) == 0
    assert (drawn / "other.py").read_text() == (drawn / "competition.py").read_text()


@pytest.mark.parametrize(
    "words, told",
    [
        (["missing"], "there is no such folder"),
        (["."], "no table"),
        (["data/drivers", "--out", "data/drivers/competition.py"], "is a place of input files"),
        (["data/drivers", "--out", "competition.txt"], "let --out end in .py"),
        (["data/drivers", "--train", "driver_imgs_lst.csv"], "did you mean driver_imgs_list.csv?"),
        (["data/drivers", "--forse"], "did you mean --force?"),
    ],
)
def test_bad_input_is_one_line(words, told, drawn, fails):
    if words == ["."]:
        (drawn / "data" / "drivers" / "driver_imgs_list.csv").unlink()
        (drawn / "data" / "drivers" / "sample_submission.csv").unlink()
        (drawn / "data" / "drivers" / "answers.csv").unlink()
        words = ["data/drivers"]
    assert told in fails(main, *words)
    assert not (drawn / "competition.py").exists()


def test_a_photo_that_is_missing_is_told_and_the_definition_stays(drawn, fails):
    next((drawn / "data" / "drivers" / "imgs" / "train" / "c1").iterdir()).unlink()
    assert "1 found" in fails(main, "data/drivers")
    assert (drawn / "competition.py").is_file()


def test_the_kit_s_first_competition_needs_no_definition(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(data)]) == 0
    assert "needs no definition" in capsys.readouterr().out
    assert not (tmp_path / "competition.py").exists()


@pytest.mark.parametrize("name", list(ALL))
def test_the_definition_of_every_layout_reads_its_data(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ALL[name].draw(tmp_path / "data")
    assert main(["data"]) == 0
    assert "to train on, " in capsys.readouterr().out
