"""Answers and probabilities that cannot be read are told, and mended as told, until they can."""

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
from answer_forms import form, form_folder, predicted
from helpers import MASK
from remedies import after, command, tried

import kit.compare
from kit.models.checkpoint import read_checkpoint_info
from kit.results.answers import read_answers
from kit.results.leaderboard import BoardRow, add, enter_scores, read_board, write_board
from kit.results.predictions import read_files
from kit.results.probs import Probs, read_foreign_probs, read_probs, write_probs
from kit.results.run import Fold, origin_of, read_metrics
from kit.results.submission import read_submission, write_submission


@pytest.fixture
def reads(tmp_path):
    """`reads(read, content)` is a call that writes a file and reads it."""

    def of(read, content: str, name: str = "a.csv"):
        return after(lambda: (tmp_path / name).write_text(content), lambda: read(tmp_path / name))

    return of


def table(header: str, *rows: str) -> str:
    """A CSV of lines."""
    return "\n".join((header, *rows)) + "\n"


def test_answers(reads, tmp_path):
    def of(name: str, header: str, *rows: str, strict: bool = False):
        read = functools.partial(read_answers, competition=form(name), strict=strict)
        return reads(read, table(header, *rows))

    head = "image,target"
    said = "repeats a value in column 'image' (1 found: 0.jpg); every photo has one row"
    tried(of("name", head, "0.jpg,cat", "0.jpg,dog"), said, of("name", head, "0.jpg,cat"))
    said = "column 'target' must hold names of classes, such as cat (1 found: 'cta' at 0.jpg); mend"
    tried(of("name", head, "0.jpg,cta"), said, of("name", head, "0.jpg,cat"))
    said = "column 'target' must hold whole numbers 0..2 (1 found: '3' at 0.jpg); mend these rows"
    tried(of("class", head, "0.jpg,3"), said, of("class", head, "0.jpg,2"))
    said = "must hold probabilities 0..1 (1 found: '1.5' at 0.jpg); mend these rows"
    tried(of("probability", head, "0.jpg,1.5"), said, of("probability", head, "0.jpg,.5"))
    said = "(1 found: 'rst' at 0.jpg); write names of labels joined by '|' (did you mean rust?)"
    tried(of("list", head, "0.jpg,scab|rst"), said, of("list", head, "0.jpg,scab|rust"))
    said = "holds a label twice (1 found: 'rust' at 0.jpg); write names of labels"
    tried(of("list", head, "0.jpg,rust|rust"), said, of("list", head, "0.jpg,rust"))
    rows = ("p0_root,0", "p0_vowel,1")
    said = "lacks rows of tasks (1 found: vowel of p0); give each task its row"
    tried(of("task_rows", "row_id,target", rows[0]), said, of("task_rows", "row_id,target", *rows))
    said = "written as 2.0; a submission must have whole numbers (astype(int))"
    tried(of("class", head, "0.jpg,2.0"), said, of("class", head, "0.jpg,2"))
    said = "has an index column; that can be read, but is no form for a submission"
    tried(of("class", f",{head}", "0,0.jpg,2"), said, of("class", head, "0.jpg,2"))
    said = "holds probabilities, and no classes; the most probable ones are compared"
    tried(of("class", "image,0,1,2", "0.jpg,0,0,1"), said, of("class", head, "0.jpg,2"))


def test_submissions(tmp_path):
    data = form_folder(tmp_path / "data", form("name"))
    out = tmp_path / "s.csv"
    write_submission(out, predicted(data), data, {}, False)
    text = out.read_text()

    def of(content: str):
        return after(lambda: out.write_text(content), lambda: read_submission(out, data))

    said = "write the columns image,target alone, as plain UTF-8 (to_csv(path, index=False))"
    lines = text.splitlines()
    more = [f"{lines[0]},more", *(f"{line},1" for line in lines[1:])]
    tried(of("\n".join(more) + "\n"), said, of(text))
    said = "(1 found: 7.jpg); make it with python -m kit.ensemble"
    tried(of("\n".join(lines[:-1]) + "\n"), "lacks ids of", of(text))
    tried(of("\n".join(lines[:-1]) + "\n"), said, of(text))
    tried(of("\n".join([lines[0], *lines[:0:-1]]) + "\n"), "has another order than", of(text))


def test_files_to_compare(tmp_path):
    competition = form("name")
    head = "image,target"
    files = {name: tmp_path / f"{name}.csv" for name in "abcp"}
    files["a"].write_text(table(head, "0.jpg,cat", "1.jpg,dog"))
    files["b"].write_text(table(head, "1.jpg,dog", "0.jpg,dog"))
    files["c"].write_text(table(head, "0.jpg,cat", "2.jpg,dog"))

    def of(*names: str):
        return lambda: read_files([files[name] for name in names], None, competition)

    tried(of("a", "a"), "the same file twice (1 found", of("a", "b"))
    said = "(1 found: 1.jpg); compare submissions to one competition"
    tried(of("a", "c"), said, of("a", "b"))
    asked = form("probabilities")
    probs = files["p"]
    probs.write_text(table("image,cat,dog,owl", "0.jpg,1,0,0", "1.jpg,0,1,0"))
    truth = files["a"].read_text().replace("target", "truth")
    files["a"].write_text(truth)
    said = "holds classes, and a submission holds probabilities; name a submission, or the truth"
    other = shutil.copy(probs, tmp_path / "q.csv")
    wrong = functools.partial(read_files, [probs, files["a"]], None, asked)
    tried(wrong, said, lambda: read_files([probs, other], None, asked))
    tried(wrong, "or the truth with --answers", lambda: read_files([probs], files["a"], asked))


def test_probabilities_of_others(tmp_path, reads):
    names = [f"{n}" for n in range(18)]
    head, even = ",".join(["ImageID", *names]), ",".join(["0.05555556"] * 18)
    sure = ",".join(["1"] + ["0"] * 17)

    def of(*lines: str):
        return reads(functools.partial(read_foreign_probs, competition=MASK), table(*lines))

    good = of(head, f"a,{even}")
    said = "is a submission, and holds no probabilities; it needs an id and the probabilities of"
    tried(of("ImageID,ans", "a,0"), said, good)
    said = "its first column is 'file'; name it ImageID, and the others 0 to 17"
    tried(of(head.replace("ImageID", "file"), f"a,{even}"), said, good)
    wrong, by_name = head.replace(",17", ",c17"), ",".join(["ImageID", *MASK.class_names])
    said = "columns that are no class (1 found: c17); name them 0 to 17, or by the class names"
    tried(of(wrong, f"a,{even}"), said, good)
    tried(of(wrong, f"a,{even}"), said, of(by_name, f"a,{even}"))
    tried(of(head, f"a,{even}", f"a,{sure}"), "repeats ids (1 found: a); keep one row of", good)
    said = "rows with values that are no numbers (1 found: a); it needs an id and the"
    tried(of(head, f"a,{sure.replace('1', 'x')}"), said, good)
    said = "(1 found: a: 4); give softmax probabilities, not logits or percents"
    tried(of(head, f"a,{sure.replace('1', '4')}"), said, of(head, f"a,{sure}"))
    said = "(1 found: a: 0.9); give them with more decimals, or divide each row by its sum"
    tried(of(head, f"a,{sure.replace('1', '.9')}"), said, of(head, f"a,{sure}"))
    said = "has an index column, which is left out"
    tried(of(f",{head}", f"0,a,{even}"), said, good)
    path = tmp_path / "a.npz"

    def npz(**arrays: np.ndarray):
        return after(lambda: np.savez(path, **arrays), lambda: read_foreign_probs(path, MASK))

    ids, probs = np.array(["a"]), np.full((1, 18), 1 / 18, np.float32)
    right = npz(ids=ids, probs=probs)
    said = "; it needs an id and the probabilities of the classes 0 to 17 in every row"
    tried(npz(ids=ids, probs=probs[:, :17]), said, right)
    tried(npz(names=ids, probs=probs), said, right)
    said = "; save ids.astype(str), which needs no pickle"
    objects = ids.astype(object)
    tried(npz(ids=objects, probs=probs), said, npz(ids=objects.astype(str), probs=probs))
    missing = lambda: read_foreign_probs(tmp_path / "none.npz", MASK)  # noqa: E731
    tried(missing, "cannot be read: No such file or directory; check the path", right)


def test_probabilities_of_the_kit(tmp_path):
    path = tmp_path / "a.npz"
    table = Probs(np.array(["a"]), np.full((1, 18), 1 / 18, np.float32), "key")
    again = after(path.unlink, lambda: write_probs(path, table), lambda: read_probs(path))
    np.savez(path, ids=table.ids, probs=table.probs * 40)
    said = "not finite numbers in 0..1; delete it; the command that made it makes it again"
    tried(lambda: read_probs(path), said, again)


def test_metrics_of_a_run(copy):
    files = Fold(copy / "runs" / "small" / "fold0")
    info = read_checkpoint_info(files.best)
    origin, path = origin_of(info.recipe, info.plan, info.fold), files.metrics
    text = path.read_text()

    def read() -> object:
        return read_metrics(path, origin)

    path.write_text(text.replace("\n1,", "\n3,", 1))
    said = "its checksums do not fit; put a copy back, or train the fold again with --force"
    tried(read, said, after(lambda: path.write_text(text), read))
    path.write_text(text.replace("\n1,", "\n3,", 1))
    tried(
        read, "kit.ensemble and kit.report need none: for them, delete it", after(path.unlink, read)
    )


def test_the_leaderboard_log(tmp_path):
    log = tmp_path / "leaderboard.csv"
    row = BoardRow("good.csv", "hash", "now", "members", 0.5, 0.4, 0.6)
    write_board(log, [row])
    call = functools.partial(command, kit.compare.main, "--log", log)
    right = call("--record", "good", "--public", ".5")
    said = "has no submission god.csv (did you mean good.csv?); python -m kit.compare --board shows"
    tried(call("--record", "god", "--public", ".5"), said, after(call("--board"), right))
    said = "76.31 is no macro-F1; enter it as the site shows it, between 0 and 1"
    tried(call("--record", "good", "--public", "76.31"), said, right)
    text = log.read_text()
    log.write_text(text.replace("0.5", "high", 1))
    said = "are no numbers (1 found: oof 'high' of good.csv); mend these rows"
    tried(call("--board"), said, after(lambda: log.write_text(text), call("--board")))
    record = {"sha256": "x", "members": []}
    log.write_text("x\n")
    new = lambda: add(tmp_path / "new.csv", record)  # noqa: E731
    said = "is not in the leaderboard log"
    tried(new, said, after(lambda: log.write_text(text), new))
    assert len(read_board(log)) == 2 and enter_scores and Path
