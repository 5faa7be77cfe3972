"""Probabilities kept beside checkpoints."""

import json
import shutil

import numpy as np
from helpers import ensemble_arguments, everywhere, mask_folder

import kit.inference.predict
import kit.results.probs
import kit.system.versions
from kit.data.folder import read_test
from kit.ensemble import main
from kit.results.probs import Probs, read_probs, write_probs
from kit.system.errors import KitError


def test_a_second_ensemble_runs_no_network_and_a_stale_file_is_never_used(
    copy, monkeypatch, capsys
):
    assert main(ensemble_arguments(copy, "--tta", "hflip")) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out
    first = (copy / "s.csv").read_bytes()

    def never(*args, **options):
        raise AssertionError("a network ran")

    with monkeypatch.context() as patch:
        everywhere(patch, kit.inference.predict, "predict", never)
        assert main(ensemble_arguments(copy, "--tta", "hflip", "--force")) == 0
        assert main(ensemble_arguments(copy, "--tta", "none", "--force")) == 0
    assert "0 of 3 passes computed" in capsys.readouterr().out
    assert (
        main(ensemble_arguments(copy, "--tta", "hflip", "--force")) == 0
        and (copy / "s.csv").read_bytes() == first
    )
    capsys.readouterr()
    name = read_test(mask_folder(copy / "data"))[0]
    shutil.copy(
        mask_folder(copy / "data").test_images / read_test(mask_folder(copy / "data"))[1],
        mask_folder(copy / "data").test_images / name,
    )
    assert main(ensemble_arguments(copy, "--tta", "hflip", "--force")) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out
    fresh = (copy / "s.csv").read_bytes()
    for kept in (copy / "runs" / "small" / "fold1").glob("probs-*.npz"):
        table = read_probs(kept)
        write_probs(kept, Probs(table.ids, table.probs[::-1], "another key"), force=True)
    assert main(ensemble_arguments(copy, "--tta", "hflip", "--force")) == 0
    assert (
        "2 of 6 passes computed" in capsys.readouterr().out
        and (copy / "s.csv").read_bytes() == fresh
    )


def test_a_place_that_cannot_be_written_costs_a_warning_not_the_submission(
    copy, monkeypatch, capsys
):

    def full(path, *args, **options):
        raise KitError(f"{path}: cannot be written: No space left on device")

    everywhere(monkeypatch, kit.results.probs, "write_probs", full)
    assert main(ensemble_arguments(copy)) == 0
    assert "probabilities are not kept" in capsys.readouterr().err and (copy / "s.csv").exists()


def test_a_damaged_kept_file_is_computed_again(copy, capsys):
    assert main(ensemble_arguments(copy)) == 0
    first = (copy / "s.csv").read_bytes()
    next((copy / "runs" / "small" / "fold2").glob("probs-*.npz")).write_bytes(b"PK damaged")
    assert main(ensemble_arguments(copy, "--force")) == 0
    captured = capsys.readouterr()
    assert "computed again" in captured.err and "1 of 3 passes computed" in captured.out
    assert (copy / "s.csv").read_bytes() == first


def test_kept_probabilities_of_other_versions_are_computed_again(copy, monkeypatch):
    assert main(ensemble_arguments(copy)) == 0 and main(ensemble_arguments(copy, "--force")) == 0
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 0
    everywhere(monkeypatch, kit.system.versions, "inference_versions", lambda: {"torch": "77"})
    assert main(ensemble_arguments(copy, "--force")) == 0
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 3


def test_probabilities_keep_their_seconds(tmp_path):
    write_probs(
        tmp_path / "p.npz", Probs(np.array(["a"]), np.eye(18, dtype=np.float32)[:1], "k", 2.5)
    )
    assert read_probs(tmp_path / "p.npz").seconds == 2.5
