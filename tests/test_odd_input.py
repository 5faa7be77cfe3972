"""Input that is odd and not bad: every command reads it, and gives the right answer."""

import json
import os
import unicodedata
from pathlib import Path

import pytest
from bad_world import DEFINITION, TEST, TRAIN
from helpers import draw_photo

import kit.folds
import kit.start
from kit.competitions import find_competition
from kit.data.folder import find_data, read_test
from kit.data.plan import read_plan
from kit.results.submission import Predicted, read_submission, write_submission

NAMES = [
    "007",
    "1e5",
    "nan",
    "NA",
    "None",
    "-rf",
    "--help",
    "a b",
    " a",
    "{label}",
    "{}",
    "%s%d",
    "$HOME",
    'say "a"',
    "it's",
    "a,b",
    "a\nb",
    "a\tb",
    "[red]x",
    "<b>x",
    "=1+1",
    "\U0001f600",
    unicodedata.normalize("NFC", "얼굴 사진"),
    unicodedata.normalize("NFD", "얼굴 사진"),
    "x" * 251,
]


def quoted(text: str) -> str:
    """A text as a field of a CSV."""
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """A competition whose photos have all of these names, for training and to predict."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train", "test"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name in NAMES:
            draw_photo(tmp_path / "data" / folder / f"{name}.png", (folder, name), (24, 32))
    rows = [f"{quoted(name)},{'ab'[n % 2]}\n" for n, name in enumerate(NAMES)]
    # Ids that are no numbers may stand in one of the two tables alone, in a column of one name.
    for table, column in (("train", "id"), ("test", "key")):
        text = f"{column},label\n" + "".join(rows)
        (tmp_path / "data" / f"{table}.csv").write_bytes(text.encode())
    definition = (DEFINITION % "").replace(', group="who"', "").replace("test/{id}", "test/{key}")
    (tmp_path / "competition.py").write_text(definition)
    return tmp_path


def test_photos_of_any_name_are_planned_and_answered(world):
    assert kit.folds.main(["--data", "data", "--out", "folds.csv", "--folds", "2"]) == 0
    plan = read_plan(world / "folds.csv")
    assert sorted(plan.photos["image"]) == sorted(f"train/{name}.png" for name in NAMES)
    given = dict(zip(plan.photos["image"], plan.photos["label"]))
    assert [given[f"train/{name}.png"] for name in NAMES] == [n % 2 for n in range(len(NAMES))]
    data = find_data("data", find_competition())
    assert read_test(data) == NAMES
    answers = plan.photos["label"].to_numpy()
    write_submission(world / "s.csv", Predicted(NAMES, answers), data, {"members": []})
    assert read_submission(world / "s.csv", data).classes.tolist() == answers.tolist()
    assert json.loads((world / "s.json").read_text())["sha256"]


def test_names_that_are_no_utf8_are_told(world, fails):
    """kit.start lists all photos; a table cannot hold such a name."""
    (world / "data/train" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    line = fails(kit.start.main, "data", "--force")
    assert "names are no UTF-8 (1 found: train/\\udcff.png); rename these files" in line


FORMS = {
    "with a byte-order mark": TRAIN.encode("utf-8-sig"),
    "with Windows line ends": TRAIN.replace("\n", "\r\n").encode(),
    "with an old Mac's line ends": TRAIN.replace("\n", "\r").encode(),
    "with mixed line ends": TRAIN.replace("\n", "\r\n", 3).encode(),
    "without a last line end": TRAIN.rstrip().encode(),
    "with blank lines": TRAIN.replace("\n", "\n\n").encode(),
    "with every field quoted": "".join(
        ",".join(map(quoted, line.split(","))) + "\n" for line in TRAIN.splitlines()
    ).encode(),
    "with spaces around names of columns and classes": TRAIN.replace("label", " label ")
    .replace(",a,", ", a ,")
    .encode(),
    "with an index column": "".join(
        f"{n},{line}\n".removeprefix("0") for n, line in enumerate(TRAIN.splitlines())
    ).encode(),
    "with a column more": TRAIN.replace("\n", ",x\n").encode(),
    "with a column whose name ends in .1": TRAIN.replace("\n", ",x\n")
    .replace("who,x", "who,label.1")
    .encode(),
}


@pytest.fixture
def tidy(tmp_path, monkeypatch) -> Path:
    """The plain world, and what its plan is."""
    monkeypatch.chdir(tmp_path)
    for folder, numbers in (("train", range(12)), ("test", range(12, 16))):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for i in numbers:
            draw_photo(tmp_path / "data" / folder / f"{i:03d}.png", i, (24, 32))
    (tmp_path / "competition.py").write_text(DEFINITION % "")
    (tmp_path / "data/train.csv").write_text(TRAIN)
    (tmp_path / "data/test.csv").write_text(TEST)
    return tmp_path


def test_tables_in_any_form_give_the_same_plan(tidy):
    words = ["--data", "data", "--folds", "2", "--no-audit", "--force", "--out", "folds.csv"]
    assert kit.folds.main(words) == 0
    plan = (tidy / "folds.csv").read_bytes()
    for form, content in FORMS.items():
        (tidy / "data/train.csv").write_bytes(content)
        assert kit.folds.main(words) == 0, form
        assert (tidy / "folds.csv").read_bytes() == plan, form
    (tidy / "data/train.csv").write_text(TRAIN)
    for content in (TEST.encode("utf-8-sig"), TEST.replace("\n", "\r\n").encode()):
        (tidy / "data/test.csv").write_bytes(content)
        assert read_test(find_data("data", find_competition())) == ["012", "013", "014", "015"]


def test_damaged_photos_are_all_told_and_listed(tidy, fails, capsys):
    """A damaged photo stops no command before all the others are known."""
    for name in ("000", "004", "011"):
        (tidy / f"data/train/{name}.png").write_bytes(b"no photo")
    words = ["--data", "data", "--folds", "2", "--out", "folds.csv"]
    line = fails(kit.folds.main, *words)
    assert "photos that cannot be used (3 found, the first: train/000.png: is no image" in line
    assert "or take their rows out of the training table; folds.damaged.txt lists them" in line
    listed = (tidy / "folds.damaged.txt").read_text().splitlines()
    assert [line.partition(":")[0][6:9] for line in listed] == ["000", "004", "011"]
    rows = [row for row in TRAIN.splitlines() if row[:3] not in ("000", "004", "011")]
    (tidy / "data/train.csv").write_text("\n".join(rows))
    assert kit.folds.main(words) == 0 and not (tidy / "folds.damaged.txt").exists()
    for path in (tidy / "data/train").iterdir():
        path.write_bytes(b"no photo")
    assert "photos that cannot be used (9 found" in fails(kit.folds.main, *words, "--force")
