"""Any bytes: each reader gives what another one reads, too, or raises a `KitError` of one line.

Valid files are changed at random by hypothesis, with the same examples each time. The trial has
more of them, new ones each time.
"""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_arrays import HALVES, IDS, saved
from bad_files import named
from bad_photos import FORMATS, photo
from bad_world import FIX, LOG, ONE, RECIPE, THEIRS, TRAIN
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kit.competition import Competition
from kit.data.photos import decode, size_of
from kit.models.checkpoint import read_checkpoint_info
from kit.recipe import load_recipe
from kit.results.answers import read_answers
from kit.results.leaderboard import read_board
from kit.results.probs import read_foreign_probs
from kit.system.disk import read_json
from kit.system.errors import KitError
from kit.system.table import read_header, read_table

OF = Competition(
    name="tiny", classes=("a", "b"), kind="classes", id="id", answer="name", answer_column="label",
    metric="accuracy", frame=(32, 24), group="who",
)  # fmt: skip
PIECES = [b"", b",", b"\n", b"\r\n", b"\r", b'"', b"\0", b"\xff", b"\xef\xbb\xbf", b"nan", b"-1"]
PIECES += [b"1e999", b"9" * 30, b";", b"\t", b"[" * 2000, b"\xff\xff\xff\xff", b"\0\0\0\0", b"1_0"]


def changed(*contents: bytes) -> st.SearchStrategy[bytes]:
    """One of some contents, with up to five places in which other bytes stand."""
    place = st.tuples(
        st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)
    )

    def change(content: bytes, places: list[tuple[float, int, bytes]]) -> bytes:
        for where, length, piece in places:
            at = int(where * len(content))
            content = content[:at] + piece + content[at + length :]
        return content

    # More often near the start, where headers are.
    near = st.tuples(st.floats(0, 0.1), st.integers(0, 4), st.binary(max_size=4))
    return st.builds(change, st.sampled_from(contents), st.lists(place | near, max_size=5))


def check_table(path: Path) -> None:
    """A table is what Python's own reader reads, too."""
    table = read_table(path)
    text = path.read_bytes().decode("utf-8-sig").lstrip("\ufeff")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    rows = [row for row in rows if len(row) > 1 or row[0] == "" or row[0].strip(" \t")]
    assert [name.strip() or f"Unnamed: {n}" for n, name in enumerate(rows[0])] == list(table)
    assert table.to_numpy().tolist() == rows[1:]
    read_header(path)


def check_photo(path: Path) -> None:
    """A photo has the size that its header says."""
    pixels, _ = decode(path)
    assert pixels.dtype == np.uint8 and pixels.shape == (*size_of(path)[::-1], 3)


def check_probs(path: Path) -> None:
    """Probabilities are some, and of different photos."""
    table = read_foreign_probs(path, OF)
    assert len(set(table.ids.tolist())) == len(table.ids) == len(table.probs)
    assert np.allclose(table.probs.sum(axis=1), 1, atol=1e-5) and (table.probs >= 0).all()


def check_board(path: Path) -> None:
    """Scores are numbers."""
    for row in read_board(path):
        scores = (row.oof, row.low, row.high, row.public, row.private)
        assert all(score is None or math.isfinite(score) for score in scores)


def check_answers(path: Path) -> None:
    """Answers are classes, of different photos."""
    answers = read_answers(path, OF)
    assert answers.ids.is_unique and set(answers.classes.tolist()) <= {0, 1}


def compressed() -> bytes:
    """A compressed file of probabilities."""
    content = io.BytesIO()
    np.savez_compressed(content, ids=IDS, probs=HALVES)
    return content.getvalue()


JSON = json.dumps({"a": [1, 2.5, None, {"b": "c\u00e9"}], "d": True}).encode()
READERS: dict[str, tuple[str, Callable[[Path], object], tuple[bytes, ...]]] = {
    "table": ("a.csv", check_table, (TRAIN.encode(), b'id,"a"\n1,"x,y"\n2,""\n', FIX.encode())),
    "probabilities": ("a.csv", check_probs, (THEIRS.encode(),)),
    "arrays": ("a.npz", check_probs, (saved(), compressed())),
    "answers": ("a.csv", check_answers, (ONE.encode(),)),
    "log": ("a.csv", check_board, (LOG.encode(),)),
    "photo": ("a.png", check_photo, tuple(photo(form) for form in FORMATS)),
    "json": ("a.json", lambda path: read_json(path, "delete it"), (JSON,)),
    "checkpoint": ("a.safetensors", read_checkpoint_info, (named(JSON.decode()),)),
    "recipe": ("small.py", load_recipe, (RECIPE.encode(),)),
}  # fmt: skip


def check(kind: str, folder: Path, content: bytes) -> None:
    """Read a content as a kind of file: right, or an error of one line."""
    name, read, _ = READERS[kind]
    (folder / name).write_bytes(content)
    try:
        read(folder / name)
    except KitError as error:
        line = str(error)
        assert line.isprintable() and name in line and len(line) < 2000


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.filterwarnings("ignore")  # PIL's and Python's, of what is in the files
@pytest.mark.parametrize("kind", READERS)
def test_changed_files_are_read_right_or_told(kind, tmp_path, capfd):
    @settings(
        max_examples=120,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=QUIET,
    )
    @given(changed(*READERS[kind][2]))
    def run(content):
        check(kind, tmp_path, content)

    run()


@pytest.mark.trial
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_more_changed_files_are_read_right_or_told(kind, tmp_path, capfd):
    @settings(
        max_examples=5000,
        database=None,
        deadline=None,
        suppress_health_check=QUIET,
        phases=(Phase.generate, Phase.shrink),
    )
    @given(changed(*READERS[kind][2]))
    def run(content):
        check(kind, tmp_path, content)

    run()
