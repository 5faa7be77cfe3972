"""Probability files: written, read back, and refused where they are damaged."""

import os
import re

import numpy as np
import pytest
from answer_forms import FORMS, form, form_folder, predicted

from kit.results.probs import (
    Probs,
    read_foreign_probs,
    read_probs,
    write_foreign_probs,
    write_probs,
)
from kit.system.errors import KitError


def some_probs(n: int = 5) -> Probs:
    probs = np.random.default_rng(0).random((n, 18)).astype(np.float32)
    return Probs(
        np.array([f"사진{i}.jpg" for i in range(n)]),
        probs / probs.sum(axis=1, keepdims=True),
        "the key",
    )


def test_probs_come_back_as_they_were_written(tmp_path):
    table = some_probs()
    write_probs(tmp_path / "p.npz", table)
    again = read_probs(tmp_path / "p.npz")
    assert (
        again.ids.tolist() == table.ids.tolist()
        and again.key == "the key"
        and (again.probs == table.probs).all()
    )
    write_probs(tmp_path / "q.npz", table)
    assert (tmp_path / "p.npz").read_bytes() == (tmp_path / "q.npz").read_bytes()


def test_probs_are_taken_by_id():
    table = some_probs()
    assert (table.at(table.ids[::-1].tolist()) == table.probs[::-1]).all()
    with pytest.raises(KeyError, match="no probabilities for x"):
        table.at([str(table.ids[0]), "x"])


def test_bad_probs_are_neither_written_nor_read(tmp_path):
    good = some_probs()
    for probs, said in (
        (good.probs * 200, "in 0..1"),
        (good.probs[:4], "must be floats 5 x classes"),
        (-good.probs, "in 0..1"),
        (np.full_like(good.probs, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=said):
            write_probs(tmp_path / "p.npz", Probs(good.ids, probs))
        np.savez(tmp_path / "p.npz", ids=good.ids, probs=probs, key="")
        with pytest.raises(KitError, match=said):
            read_probs(tmp_path / "p.npz")
        os.remove(tmp_path / "p.npz")
    with pytest.raises(ValueError, match=f"^{tmp_path / 'p.npz'}: ids are not unique$"):
        write_probs(tmp_path / "p.npz", Probs(np.array(["a"] * 5), good.probs))
    with pytest.raises(KitError, match="^.*none.npz: cannot be read: No such file"):
        read_probs(tmp_path / "none.npz")


def test_one_bad_number_or_id_is_enough(tmp_path):
    path, ids, third = tmp_path / "p.npz", np.array(["a", "b"]), 1 / 3
    for bad, said in (
        ([[1, 0, 0], [np.nan, 0, 0]], "not finite numbers in 0..1"),
        ([[1, 0, 0], [1, -0.5, 0.5]], "not finite numbers in 0..1"),
        ([[1, 0, 0], [1.002, 0, 0]], "not finite numbers in 0..1"),
        ([1, 0], "probs must be floats 2 x classes, and are float32 .2,."),
        (np.zeros((2, 0)), "probs must be floats 2 x classes, and are float32 .2, 0."),
    ):
        np.savez(path, ids=ids, probs=np.array(bad, np.float32))
        with pytest.raises(KitError, match=f"^{path}: .*{said}; delete it; the command that made"):
            read_probs(path)
    good = np.array([[third, third, third], [1.0, 0.0, 0.0]], np.float32)
    for wrong in (np.array([1, 2]), np.array([["a"], ["b"]]), np.array([], dtype=np.str_)):
        np.savez(path, ids=wrong, probs=good[: len(wrong)])
        with pytest.raises(KitError, match=f"^{path}: ids must be a list of texts; delete it"):
            read_probs(path)
    np.savez(path, ids=ids, probs=(good > 0.5).astype(np.int64))
    with pytest.raises(KitError, match="and are int64"):
        read_probs(path)
    np.savez(path, ids=ids[:1], probs=np.array([[1.001, 0.0]]))  # float64: as it rounds
    assert read_probs(path).key == "" and read_probs(path).ids.tolist() == ["a"]
    with pytest.raises(KitError, match="exists already"):
        write_probs(path, Probs(ids, good))
    write_probs(path, Probs(ids, good), force=True)
    assert (read_probs(path).probs == good).all() and Probs(ids, good).key == ""


def test_no_pickle_is_read(tmp_path):
    np.savez(
        tmp_path / "p.npz", ids=np.array([{"a": 1}], dtype=object), probs=np.zeros((1, 18)), key=""
    )
    with pytest.raises(
        KitError, match="^.*p.npz: is no probability file .ValueError: .*; save ids"
    ):
        read_probs(tmp_path / "p.npz")
    (tmp_path / "q.npz").write_bytes(b"PK broken")
    with pytest.raises(KitError, match="^.*q.npz: is no probability file .*; delete it"):
        read_probs(tmp_path / "q.npz")


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize("name", FORMS)
def test_probabilities_of_every_kind_come_back(tmp_path, name, suffix):
    data = form_folder(tmp_path, form(name))
    given = predicted(data)
    table = Probs(np.array(list(given.ids), dtype=np.str_), given.probs)
    write_foreign_probs(tmp_path / f"p{suffix}", table, data.competition)
    again = read_foreign_probs(tmp_path / f"p{suffix}", data.competition)
    assert again.ids.tolist() == list(given.ids) and again.probs.dtype == np.float32
    assert np.abs(again.probs - given.probs).max() < 1e-6
    write_probs(tmp_path / "own.npz", table)
    assert np.array_equal(read_probs(tmp_path / "own.npz").probs, given.probs)


def test_classes_named_by_other_numbers_are_written_by_name(tmp_path):
    competition = form("probabilities", classes=("2", "0", "1"))
    table = Probs(np.array(["a"]), np.array([[0.5, 0.25, 0.25]], np.float32))
    write_foreign_probs(tmp_path / "p.csv", table, form("probabilities"))
    assert (tmp_path / "p.csv").read_text() == "image,0,1,2\na,0.5,0.25,0.25\n"
    for name in ("p.csv", "p.npz"):
        write_foreign_probs(tmp_path / name, table, competition, force=True)
        with pytest.raises(KitError, match="exists already"):
            write_foreign_probs(tmp_path / name, table, competition)
    (tmp_path / "p.csv").unlink()
    write_foreign_probs(tmp_path / "p.csv", table, competition)
    assert (tmp_path / "p.csv").read_text() == "image,2,0,1\na,0.5,0.25,0.25\n"
    assert np.array_equal(read_foreign_probs(tmp_path / "p.csv", competition).probs, table.probs)


def test_one_probability_is_enough_of_two_classes(tmp_path):
    competition = form("probability")
    (tmp_path / "p.csv").write_text("image,target\na,0.25\nb,1\n")
    wanted = [[0.75, 0.25], [0, 1]]
    assert read_foreign_probs(tmp_path / "p.csv", competition).probs.tolist() == wanted
    for probs in (np.array([0.25, 1.0]), np.array([[0.25], [1.0]])):
        np.savez(tmp_path / "p.npz", ids=np.array(["a", "b"]), probs=probs)
        assert read_foreign_probs(tmp_path / "p.npz", competition).probs.tolist() == wanted
    (tmp_path / "q.csv").write_text("image,benign,malignant\na,0.75,0.25\nb,0,1\n")
    assert read_foreign_probs(tmp_path / "q.csv", competition).probs.tolist() == wanted
    (tmp_path / "p.csv").write_text("image,target\na,1.25\nb,1\n")
    with pytest.raises(KitError, match="values outside 0..1 .1 found: a: "):
        read_foreign_probs(tmp_path / "p.csv", competition)
    (tmp_path / "p.csv").write_text("image,target\na,1\n")
    with pytest.raises(KitError, match="is a submission, and holds no probabilities"):
        read_foreign_probs(tmp_path / "p.csv", form("class"))


def test_labels_need_not_sum_to_one(tmp_path):
    text = "image,healthy,rust,scab,frog eye\na,0.5,0.5,0.5,1.0005\nb,0,0,0,0\n"
    (tmp_path / "p.csv").write_text(text)
    probs = read_foreign_probs(tmp_path / "p.csv", form("labels")).probs
    assert probs.tolist() == [[0.5, 0.5, 0.5, 1], [0, 0, 0, 0]]
    (tmp_path / "p.csv").write_text("image,cat,dog,owl\na,0.5,0.5,0.5\n")
    with pytest.raises(KitError, match="do not sum to 1"):
        read_foreign_probs(tmp_path / "p.csv", form("probabilities"))


THREE = "image,cat,dog,owl\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,cat,dog,owl\na,1,0,0\n", "its first column is 'name'; name it image, and the .* 2"),
        (
            "image,cat,dog,cow\na,1,0,0\n",
            "columns that are no class .1 found: cow.; name them 0 to 2",
        ),
        ("image,cat,dog\na,1,0\n", "lacks columns of classes .1 found: owl.; name them 0 to 2, or"),
        ("image,0,1,2,3\na,1,0,0,0\n", "columns that are no class .1 found: 3."),
        (THREE + "a,1,0,0\na,1,0,0\n", "repeats ids .1 found: a.; keep one row of each"),
        (
            THREE + "a,1,0,0\nb,x,0,0\n",
            "no numbers .1 found: b.; it needs an id and .* the classes 0 to 2 in every row",
        ),
        (THREE + "a,1,0,0\nb,0,-1,2\n", "values outside 0..1 .1 found: b: -1.; give softmax"),
        (THREE + "a,1,0,0\nb,0,1.002,0\n", "values outside 0..1 .1 found: b: 1.002."),
        (
            THREE + "a,0.5,0.5,0.0011\nb,1,0,0\n",
            "do not sum to 1 .1 found: a: 1.001.; give them with",
        ),
        (THREE + "a,0.5,0.4989,0\nb,1,0,0\n", "do not sum to 1 .1 found: a: 0.9989."),
    ],
)
def test_a_bad_csv_is_named_with_its_first_bad_row(tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(KitError, match=f"^{tmp_path / 'p.csv'}: .*{said}"):
        read_foreign_probs(tmp_path / "p.csv", form("probabilities"))


def test_a_csv_may_have_an_index_or_another_name_of_ids_and_its_rows_are_scaled(tmp_path, capsys):
    competition, path = form("probabilities", id="photo"), tmp_path / "p.csv"
    wanted = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]], np.float32)
    for text in (
        ",photo,2,1,0\n0,a,0,0.75,0.25\n1,b,1,0,0\n",
        "image,cat,dog,owl\na,0.25,0.75,0\nb,0,0,1.0005\n",
        "id,0,1,2\na,0.25,0.75,0\nb,0,0,0.9995\n",
        "0,1,2,photo\n0.25,0.75,0,a\n0,0,1,b\n",
    ):
        path.write_text(text)
        table = read_foreign_probs(path, competition)
        assert table.ids.tolist() == ["a", "b"] and (table.probs == wanted).all()
        warned = "p.csv: has an index column, which is left out" in capsys.readouterr().err
        assert warned == text.startswith(",")


def test_an_npz_of_another_program_has_texts_and_a_column_a_class(tmp_path):
    path, ids = tmp_path / "p.npz", np.array(["a", "b"])
    for names, probs in (
        (np.array([1, 2]), np.full((2, 3), 1 / 3)),
        (ids[:, None], np.full((2, 3), 1 / 3)),
        (ids, np.full((2, 4), 1 / 4)),
        (ids, np.array([[1, 0, 0], [0, 1, 0]])),
        (ids, np.array([0.5, 0.5])),
    ):
        np.savez(path, ids=names, probs=probs)
        kinds = f"{names.dtype} {names.shape} and {probs.dtype} {probs.shape}"
        said = f"{path}: ids must be texts (N,) and probs floats (N, 3), and are {kinds}; it needs"
        with pytest.raises(KitError, match=f"^{re.escape(said)}"):
            read_foreign_probs(path, form("probabilities"))
    np.savez(path, ids=ids, probs=np.array([[0.5, 0.5, 1.0005], [2.0, 0.0, 0.0]]))
    with pytest.raises(KitError, match="values outside 0..1 .1 found: b: 2.; give sigmoid prob"):
        read_foreign_probs(path, form("labels", classes=("x", "y", "z")))


def test_a_file_that_the_system_cannot_read_is_not_called_damaged(tmp_path):
    with pytest.raises(KitError, match="cannot be read: Is a directory; check the path"):
        read_probs(tmp_path)
