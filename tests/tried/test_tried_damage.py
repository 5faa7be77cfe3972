"""Damaged, foreign and too large files are told, and mended as told, until they are read."""

import functools
import json
import os
import shutil
from pathlib import Path

from bad_photos import large_jpeg
from helpers import ensemble_arguments
from pets_folder import usual_folder
from PIL import Image
from remedies import after, command, tried

import kit.folds
import kit.soup
import kit.start
import kit.system.cli
from kit.data.large_photos import in_turn
from kit.data.photos import decode
from kit.data.plan import read_plan
from kit.data.recorded import with_own_functions
from kit.ensemble import main
from kit.models.checkpoint import load
from kit.results.leaderboard import BoardRow, check_board, read_board, write_board
from kit.results.run import Fold
from kit.system.disk import file_hash, write_json
from kit.system.inputs import open_input, read_input
from kit.system.script import RecordedFunction

OWN = "def read(path):\n    return 7\n"


def test_photos_that_are_too_large(tmp_path, monkeypatch):
    path = tmp_path / "a.png"

    def waits(*size: int):
        def call() -> None:
            with in_turn(path, size):
                pass

        return call

    said = "are decoded; make it smaller, or give the competition a function read(path)"
    tried(waits(16_384, 16_385), said, waits(16_384, 16_384))
    Image.new("RGB", (8, 8)).save(path)
    photo, whole = lambda: decode(path) and None, path.read_bytes()
    path.write_bytes(large_jpeg())
    said = "bytes cannot hold; unpack the data again"
    tried(photo, said, after(lambda: path.write_bytes(whole), photo))

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "load", no_memory)
        patch.setattr("PIL.ImageFile.ImageFile.load", no_memory)
        said = "needs more memory than there is; take fewer --workers, or make it smaller"
        tried(photo, said, after(patch.undo, photo))


def test_names_that_are_no_utf8(tmp_path):
    root, _ = usual_folder(tmp_path / "data")
    photo = root / "train" / "p00.jpg"
    odd = Path(shutil.copy(photo, photo.with_name(os.fsdecode(b"\xff.jpg"))))
    start = command(kit.start.main, root, "--out", tmp_path / "own.py", "--force")
    renamed = after(lambda: odd.rename(photo.with_name("odd.jpg")), start)
    tried(start, "names are no UTF-8 (1 found: train/\\udcff.jpg); rename these files", renamed)


def test_damaged_photos_are_listed(data, tmp_path):
    words = ("--data", data, "--out", tmp_path / "folds.csv", "--folds", 3, "--force")
    plan = command(kit.folds.main, *words)
    photo = sorted((data / "train" / "images").rglob("*.jpg"))[0]
    whole = photo.read_bytes()
    photo.write_bytes(whole[:200])
    said = "folds.damaged.txt lists them"
    tried(plan, said, after(lambda: photo.write_bytes(whole), plan))


def test_foreign_plans(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = copy / "runs" / "folds.csv"
    record = path.with_suffix(".json")
    text, meta = path.read_text(), json.loads(record.read_text())

    def written(plan_text: str = text, **competition: object):
        def call() -> object:
            path.write_text(plan_text)
            changed = meta | {"folds.csv": file_hash(path)}
            changed["competition"] = meta["competition"] | competition
            write_json(record, changed, force=True)
            return read_plan(path) and None

        return call

    again = written()  # as kit.folds --force writes them
    outside = text.replace(text.splitlines()[1].partition(",")[0], "../secret.jpg")
    tried(written(outside), "outside of the data folder (1 found: ../secret.jpg); plan", again)
    function = {"path": "", "text": OWN, "name": "read"}
    foreign, definition = written(read=function), tmp_path / "competition.py"
    said = "put the definition that was planned with here, as competition.py"
    tried(foreign, said, after(lambda: definition.write_text(OWN), foreign))
    recorded = RecordedFunction("", OWN, "read", "competition")
    own = lambda: with_own_functions(read_plan(path).competition, record).read("x")  # noqa: E731
    said = "what a file of data says is never run; use the definition that it is of"
    tried(lambda: recorded("x"), said, after(foreign, lambda: own() and None))


def test_weights_that_are_damaged(world, tmp_path):
    best = Path(shutil.copy(Fold(world.runs / "small" / "fold0").best, tmp_path))
    whole, read = best.read_bytes(), lambda: load(best) and None
    best.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    said = "their checksum does not fit: the file is damaged); put a copy of it back, or make it"
    tried(read, said, after(lambda: best.write_bytes(whole), read))


def test_epochs_under_another_s_name(world, kept, tmp_path):
    files = Fold(shutil.copytree(kept / "kept" / "fold0", tmp_path / "fold0"))
    words = ["--data", world.data, "--plan", kept / "folds.csv", "--device", "cpu", "--force"]
    soup = functools.partial(command, kit.soup.main, *words, "--out", tmp_path / "soup")
    first, last = files.epochs
    named = Path(shutil.copy(first, files.epoch(9)))
    said = "put a copy of its own epoch back, or name other checkpoints"
    tried(soup(named, last), said, soup(first, last))
    whole = first.read_bytes()
    shutil.copy(last, first)
    kept_apart = last.rename(tmp_path / "other.safetensors")
    wrong = soup(first, kept_apart)
    tried(wrong, said, after(lambda: first.write_bytes(whole), wrong))


def test_leaderboard_logs(tmp_path):
    log, submission = tmp_path / "leaderboard.csv", tmp_path / "a.csv"
    submission.write_text("id\n1\n")
    members = [{"name": "one"}]
    record = {"sha256": file_hash(submission), "members": members, "oof": {"score": 0.5}}
    write_json(submission.with_suffix(".json"), record)
    right = BoardRow("a.csv", str(record["sha256"]), "now", "one", 0.5)

    def logged(*rows: BoardRow):
        def call() -> None:
            write_board(log, rows)
            check_board(log, read_board(log))

        return call

    outside = BoardRow("../secret.csv", "0", "now", "a")
    said = "that are no plain file names (1 found: ../secret.csv); mend these rows"
    tried(logged(right, outside), said, logged(right))
    said = "mend these cells"
    tried(logged(BoardRow("a.csv", right.sha256, "now", "two", 0.5)), said, logged(right))
    said = "has no row of a.csv as it is now; if it was not removed on purpose, make the"
    tried(logged(BoardRow("b.csv", "0", "now", "b")), said, logged(right))


def test_files_that_are_none(tmp_path):
    pipe, file = tmp_path / "pipe", tmp_path / "a.csv"
    os.mkfifo(pipe)
    file.write_text("id\n1\n")
    said = "is a pipe or a device, and no file; write what it gives to a file, and name that"
    tried(lambda: open_input(pipe), said, lambda: open_input(file).close())
    other = tmp_path / "b.csv"
    other.write_text("id\n1")
    said = "has 5 bytes, and at most 4 are read; name another file"
    tried(lambda: read_input(file, 4), said, lambda: read_input(other, 4) and None)


def test_what_save_probs_would_replace(copy):
    words, out = ensemble_arguments(copy, "--force"), copy / "p.csv"
    out.write_text("notes\n")
    save = functools.partial(command, main, *words, "--save-probs")
    said = "; delete it, or choose another name for --save-probs"
    tried(save(out), said, save(copy / "q.csv"))
    tried(save(out), said, after(out.unlink, save(out)))


def test_the_encoding_of_a_locale(monkeypatch):
    @kit.system.cli.command
    def run(argv: object = None) -> None:
        pass

    def by(encoding: str):
        def call() -> int:
            monkeypatch.setattr("sys.getfilesystemencoding", lambda: encoding)
            return run([])

        return call

    said = "set PYTHONUTF8=1, and start again"  # `test_cli.py` sets it in another process
    tried(by("ascii"), said, by("utf-8"))
