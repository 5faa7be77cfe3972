"""From members to a submission and its record."""

import json
import shutil

import numpy as np
import pytest
from helpers import MASK, ensemble_arguments, mask_folder, theirs
from networks import COMPUTE, run_all_passes
from trainings import chosen_otherwise

from kit.blending.settings import Output
from kit.blending.submit import ensemble
from kit.data.folder import read_test
from kit.data.plan import read_plan
from kit.ensemble import main
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.results.answers import read_answers
from kit.results.probs import read_foreign_probs
from kit.scoring.metrics import score
from kit.system.disk import read_json, write_json


def test_a_file_changes_the_blend_by_its_weight(copy, world):
    path, ids = theirs(copy), read_test(mask_folder(copy / "data"))
    out, record = ensemble(
        [copy / "runs" / "small", path],
        read_plan(copy / "runs" / "folds.csv"),
        mask_folder(copy / "data"),
        Output(path=copy / "s.csv"),
        compute=COMPUTE,
    )
    checkpoints = find_members([copy / "runs" / "small"], world.plan, ids)[0].checkpoints
    found, _ = run_all_passes(
        checkpoints, mask_folder(copy / "data").test_images, ids, "none", COMPUTE
    )
    run = np.mean([p.at(ids) for p in found.values()], axis=0, dtype=np.float64)
    expected = (0.5 * run + 0.5 * read_foreign_probs(path, MASK).at(ids)).argmax(axis=1)
    assert read_answers(out, MASK).classes.tolist() == expected.tolist()
    assert [m.weight for m in record.members] == [0.5, 0.5]


def test_no_output_lies_over_a_members_files(copy, fails):
    path, best = theirs(copy), copy / "runs" / "small" / "fold0" / "best.safetensors"
    for member, out in ((path, copy / "theirs.oof.csv"), (best, best.with_name("metrics.csv"))):
        before = out.read_bytes()
        line = fails(
            main,
            str(member),
            *ensemble_arguments(copy)[1:],
            "--out",
            out,
            "--force",
            "--allow-missing-folds",
        )
        assert "is a place of input files" in line and out.read_bytes() == before
    (copy / "s.json").write_text('{"mine": 1}')
    assert "is no record of a submission" in fails(main, *ensemble_arguments(copy, "--force"))
    assert (copy / "s.json").read_text() == '{"mine": 1}' and not (copy / "s.csv").exists()


def test_input_files_are_never_written_over(copy, fails):
    shutil.copy(copy / "data" / "eval" / "info.csv", copy / "data" / "answers.csv")
    for out in (
        copy / "runs" / "folds.csv",
        copy / "data" / "eval" / "info.csv",
        copy / "data" / "answers.csv",
        copy / "runs" / "small" / "fold0" / "metrics.csv",
    ):
        before = out.read_bytes()
        assert "is a place of input files" in fails(
            main, *ensemble_arguments(copy), "--out", out, "--force"
        )
        assert out.read_bytes() == before


def test_the_views_are_scored_out_of_fold(copy, world, capsys):
    assert main(ensemble_arguments(copy, "--tta", "hflip", "--score-tta")) == 0
    captured = capsys.readouterr()
    record = json.loads((copy / "s.json").read_text())
    members = find_members(
        [copy / "runs" / "small"], world.plan, read_test(mask_folder(copy / "data"))
    )
    oof = oof_probs(members, world.plan, mask_folder(copy / "data"), "hflip", COMPUTE)
    truth = oof.photos["label"].to_numpy()
    both, plain, flipped = (
        score(truth, p[0].argmax(axis=1), MASK).score
        for p in (oof.probs, oof.views["plain"], oof.views["hflip"])
    )
    views = record["oof"]["views"]
    assert record["oof"]["score"] == pytest.approx(both)
    assert (views["plain"]["alone"], views["plain"]["adds"]) == pytest.approx(
        (plain, both - flipped)
    )
    assert views["hflip"]["adds"] == pytest.approx(both - plain) and all(record["views"].values())
    assert (
        "alone and added to the others" in captured.out
        and "no view but the plain one" not in captured.out
    )
    # The plain view was known from the training, and the mirrored one is kept.
    assert len(list((copy / "runs" / "small" / "fold0").glob("oof-*.npz"))) == 1


@pytest.mark.parametrize(
    "select, patience, chosen", [("last", 0, False), ("last", 3, True), ("best", 0, True)]
)
def test_the_record_says_if_epochs_were_chosen_on_their_folds(
    world, tmp_path, capsys, select, patience, chosen
):
    run = chosen_otherwise(world.runs / "small", tmp_path / "run", world.plan, select, patience)
    assert (
        main(
            [
                str(run),
                *ensemble_arguments(world.plan_path.parents[1], "--out", tmp_path / "s.csv")[1:],
            ]
        )
        == 0
    )
    files = json.loads((tmp_path / "s.json").read_text())["members"][0]["files"]
    assert [(file["select"], file["chosen_on_fold"]) for file in files] == [(select, chosen)] * 3
    assert ("each fold's kept epoch was chosen on it" in capsys.readouterr().out) == chosen


def test_a_submission_without_a_score_is_its_records_own(copy, capsys, fails):
    assert main(ensemble_arguments(copy, "--no-score")) == 0
    assert "is not its record" not in capsys.readouterr().err
    place = ensemble_arguments(copy)[1:5]
    write_json(
        copy / "s.json", read_json(copy / "s.json", "delete it") | {"sha256": "0" * 64}, force=True
    )
    said = fails(main, "--check", copy / "s.csv", *place)
    assert "s.csv: is not the file that s.json beside it describes" in said
    (copy / "s.json").write_text("{")
    assert "s.json: is no JSON" in fails(main, "--check", copy / "s.csv", *place)
    assert "delete it" in fails(main, *ensemble_arguments(copy, "--no-score", "--force"))
