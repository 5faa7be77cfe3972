"""Files that are too large, damaged or of others are told, and mended as told."""

import dataclasses
import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from kinds import SIDES
from PIL import Image
from remedies import after, command, tried

import kit.data.photos
import kit.folds
from kit.data.large_photos import in_turn
from kit.data.paths import check_names
from kit.data.photos import decode
from kit.data.recorded import recorded_competition, with_own_functions
from kit.results.leaderboard import BoardRow, check_board, read_board, write_board
from kit.results.run import Fold
from kit.system import cli
from kit.system.disk import file_hash, write_json
from kit.system.inputs import open_input, read_input
from kit.system.script import RecordedFunction, ScriptFunction
from kit.training.soup import check_ingredients

CODE = "def score(truth, probs):\n    return 0.5\n"


def test_photos_that_are_too_large(tmp_path, monkeypatch):
    path, content = tmp_path / "a.jpg", io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(content, "jpeg")
    whole = content.getvalue()
    size = whole.index(b"\xff\xc0") + 5  # height and width
    path.write_bytes(whole[:size] + b"\x3e\x80\x3e\x80" + whole[size + 4 :])
    said = "bytes cannot hold; unpack the data again"
    read = lambda: decode(path) and None  # noqa: E731
    tried(read, said, after(lambda: path.write_bytes(whole), read))

    def turn(*size: int):
        def take() -> None:
            with in_turn(path, size):
                pass

        return take

    said = "are decoded; make it smaller, or give the competition a function read(path)"
    tried(turn(2**15, 2**14), said, turn(2**10, 2**10))

    def no_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kit.data.photos, "_pixels", no_room)
    said = "needs more memory than there is; take fewer --workers, or make it smaller"
    tried(read, said, after(monkeypatch.undo, read))


def test_photos_that_are_damaged_are_listed(data, tmp_path):
    photo = next((data / "train" / "images").glob("*/mask1.jpg"))
    whole = photo.read_bytes()
    words = ("--data", data, "--out", tmp_path / "f.csv", "--folds", 3, "--force")
    plan = command(kit.folds.main, *words)
    photo.write_bytes(b"")
    said = "unpack the data again"
    back = after(lambda: photo.write_bytes(whole), plan)
    tried(plan, "f.damaged.txt lists them", back)
    photo.write_bytes(b"")
    tried(plan, said, back)


def test_names_of_files_that_no_table_can_hold(tmp_path, monkeypatch):
    said = "whose names are no UTF-8 (1 found"
    tried(
        lambda: check_names(tmp_path, ["a\udcff.jpg"]), said, lambda: check_names(tmp_path, ["a"])
    )
    run = cli.command(lambda argv: None)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "euc_kr")
    said = "names of files are others than in tables of UTF-8; set PYTHONUTF8=1, and start again"
    tried(lambda: run([]), said, after(monkeypatch.undo, lambda: run([])))


def test_inputs(tmp_path):
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(b"1234")

    def opened(path: Path):
        return lambda: open_input(path).close()

    said = "is a pipe or a device, and no file; write what it gives to a file, and name that"
    tried(opened(pipe), said, opened(file))
    said = "has 4 bytes, and at most 3 are read; name another file"
    tried(lambda: read_input(file, 3), said, lambda: read_input(file, 4) and None)


def test_functions_of_records(tmp_path, monkeypatch):
    own = ScriptFunction("", CODE, "score", "competition")
    call = lambda: RecordedFunction("", CODE, "score", "competition")(0, 0)  # noqa: E731
    tried(call, "use the definition that it is of", lambda: own(0, 0) and None)
    monkeypatch.chdir(tmp_path)
    recorded = recorded_competition(dataclasses.replace(SIDES, metric=own).describe())
    known = lambda: with_own_functions(recorded, Path("folds.json")) and None  # noqa: E731
    put = lambda: Path("competition.py").write_text(CODE)  # noqa: E731
    tried(
        known, "put the definition that was planned with here, as competition.py", after(put, known)
    )


def test_the_log_and_its_records(tmp_path):
    log, submission = tmp_path / "leaderboard.csv", tmp_path / "a.csv"
    submission.write_text("image,ans\na.jpg,0\n")
    digest = file_hash(submission)
    write_json(tmp_path / "a.json", {"sha256": digest, "members": [{"name": "m"}]})

    def board(name: str, members: str):
        row = BoardRow(name, digest, "now", members, None, None, None)
        return after(
            lambda: write_board(log, [row]), lambda: check_board(log, read_board(log)), lambda: None
        )

    good = board("a.csv", "m")
    tried(board("a.csv", "n"), "(1 found: members of a.csv, m by its record); mend these", good)
    said = "names submissions that are no plain file names (1 found: ../a.csv); mend these rows"
    tried(board("../a.csv", "m"), said, good)


def test_an_epoch_under_another_name(world, kept, tmp_path):
    epochs = Fold(kept / "kept" / "fold0").epochs
    paths = [Path(shutil.copy(path, tmp_path)) for path in epochs]
    shutil.copy(epochs[1], paths[0])
    check = lambda: check_ingredients(paths, world.plan) and None  # noqa: E731
    said = "; put a copy of its own epoch back, or name other checkpoints"
    tried(check, said, after(lambda: shutil.copy(epochs[0], paths[0]), check))
