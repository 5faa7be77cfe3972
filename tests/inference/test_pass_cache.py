"""Probabilities kept beside checkpoints."""

import json
import shutil

import numpy as np
from helpers import ensemble_arguments, everywhere, mask_folder

import kit.inference.pass_cache
import kit.inference.predict
import kit.system.versions
from kit.data.folder import read_test
from kit.ensemble import main
from kit.inference.pass_cache import KeptPass, read_kept, write_kept
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
    assert "0 of 3 passes computed: no network ran" in capsys.readouterr().out
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
        with np.load(kept) as content:
            probs, key = content["probs"], str(content["key"])
        write_kept(kept, KeptPass(probs[::-1]), "another key")
        assert read_kept(kept, key) is None and read_kept(kept, "another key") is not None
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

    everywhere(monkeypatch, kit.inference.pass_cache, "write_kept", full)
    assert main(ensemble_arguments(copy)) == 0
    said = capsys.readouterr().err
    assert said.count("probabilities are not kept") == 1 and (copy / "s.csv").exists()


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


def test_a_kept_file_has_no_ids_and_is_read_as_it_was_written(tmp_path, capsys):
    path, probs = tmp_path / "p.npz", np.eye(18, dtype=np.float32)[:3]
    for kept in (
        KeptPass(probs, 2.5),
        KeptPass(probs, 2.5, rows=np.array([0, 4, 7])),
        KeptPass(probs, 2.5, hashes=np.arange(6, dtype=np.uint64).reshape(3, 2)),
    ):
        write_kept(path, kept, "key")
        again = read_kept(path, "key")
        for name, value in vars(kept).items():
            assert np.array_equal(getattr(again, name), value)
        with np.load(path) as content:
            assert "ids" not in content
    assert read_kept(tmp_path / "none.npz", "key") is None and not capsys.readouterr().err
    for wrong in (
        KeptPass(probs + 1),
        KeptPass(np.full_like(probs, np.nan)),
        KeptPass(probs, rows=np.array([0, 4, 4])),
        KeptPass(probs, hashes=np.zeros((2, 2), np.uint64)),
    ):
        write_kept(path, wrong, "key")
        assert read_kept(path, "key") is None and "computed again" in capsys.readouterr().err
