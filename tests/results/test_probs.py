"""Probability files: written, read back, and refused where they are damaged."""

import os

import numpy as np
import pytest

from kit.results.probs import Probs, read_probs, write_probs
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
        (good.probs * 2, "do not sum to 1"),
        (good.probs[:4], "must be floats 5 x classes"),
        (good.probs[:, :17], "do not sum to 1"),
        (np.full_like(good.probs, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=said):
            write_probs(tmp_path / "p.npz", Probs(good.ids, probs))
        np.savez(tmp_path / "p.npz", ids=good.ids, probs=probs, key="")
        with pytest.raises(KitError, match=said):
            read_probs(tmp_path / "p.npz")
        os.remove(tmp_path / "p.npz")
    with pytest.raises(ValueError, match="not unique"):
        write_probs(tmp_path / "p.npz", Probs(np.array(["a"] * 5), good.probs))


def test_no_pickle_is_read(tmp_path):
    np.savez(
        tmp_path / "p.npz", ids=np.array([{"a": 1}], dtype=object), probs=np.zeros((1, 18)), key=""
    )
    with pytest.raises(KitError, match="no probability file"):
        read_probs(tmp_path / "p.npz")
    (tmp_path / "q.npz").write_bytes(b"PK broken")
    with pytest.raises(KitError, match="no probability file"):
        read_probs(tmp_path / "q.npz")
