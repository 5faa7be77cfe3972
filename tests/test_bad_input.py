"""Bad input of every kind: one line that says what is wrong and what to do, and nothing else.

Each row of the table is a file of a tiny competition made bad, the command that reads it, and what
the command says.
"""

import shutil
from pathlib import Path

import pytest
from bad_answers import ANSWERS
from bad_arrays import ARRAYS
from bad_files import FILES
from bad_photos import PHOTOS
from bad_tables import TABLES
from bad_world import KINDS, Bad, make_world

import kit.folds

ROWS = [*TABLES, *ANSWERS, *ARRAYS, *PHOTOS, *FILES]


@pytest.fixture(scope="module")
def tiny(made_once) -> Path:
    """The world that each test copies, with a plan."""

    def make(root: Path) -> None:
        make_world(root)
        words = ["--data", root / "data", "--competition", root / "competition.py", "--folds", "2"]
        assert kit.folds.main([*map(str, words), "--out", str(root / "folds.csv")]) == 0

    return made_once("tiny", make)


@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: f"{bad.kind} that {bad.wrong}")
def test_bad_input_is_one_line(bad: Bad, tiny, tmp_path, monkeypatch, fails):
    root = Path(shutil.copytree(tiny, tmp_path / "world"))
    monkeypatch.chdir(root)
    bad.make(root)
    before = sorted(root.rglob("*"))
    line = fails(KINDS[bad.kind].main, *KINDS[bad.kind].argv)
    rest = line
    for part in bad.said.split(" ... "):
        assert part in rest, line
        rest = rest.partition(part)[2]
    assert len(line) < 1000
    made = set(root.rglob("*")) - set(before)
    assert {path.name for path in made} <= {"new", "folds.damaged.txt"}


def test_the_table_has_two_hundred_different_rows_of_every_kind():
    assert len({(bad.kind, bad.wrong) for bad in ROWS}) == len(ROWS) >= 200
    assert {bad.kind for bad in ROWS} == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_good_is_read(kind, tiny, tmp_path, monkeypatch, capsys):
    """So that no row is told for another fault than its own."""
    root = Path(shutil.copytree(tiny, tmp_path / "world"))
    monkeypatch.chdir(root)
    if kind in ("checkpoint", "ensemble", "plan", "record", "recipe", "parquet"):
        pytest.skip("a network would run")
    assert KINDS[kind].main(list(KINDS[kind].argv)) == 0, capsys.readouterr().err
