"""Ensembles of teams' files, written, recorded and made again, for every form of an answer."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from answer_forms import FORMS, form, form_folder, plan_of, team_file

from kit.blending.reproduce import reproduce
from kit.blending.settings import EnsembleSettings, Output
from kit.blending.submit import ensemble
from kit.data.folder import answer_rows, read_ids
from kit.reporting.record import show_record
from kit.results.answers import read_answers
from kit.results.check import check_submission, expected_counts
from kit.results.probs import read_foreign_probs
from kit.results.submission import read_submission
from kit.system.disk import file_hash, read_json, write_json
from kit.system.errors import KitError


def world(root, name, **changes):
    """The folder of a form, its plan, and two teams' files."""
    data = form_folder(root / "data", form(name, **changes))
    plan = plan_of(data.competition)
    return data, plan, [team_file(root / f"m{n}.npz", data, plan, n) for n in range(2)]


@pytest.mark.parametrize("name", FORMS)
def test_the_mean_of_files_is_answered_in_every_form(tmp_path, name):
    data, plan, files = world(tmp_path, name)
    competition, rows = data.competition, answer_rows(data)
    out, record = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    answers = read_submission(out, data)
    ids = read_ids(data)
    tables = [read_foreign_probs(path, competition).at(ids) for path in files]
    mean = np.mean(tables, axis=0, dtype=np.float64)
    pooled = np.stack([mean[rows.of_photo == u].mean(axis=0) for u in range(len(rows.units))])
    if competition.decided:
        assert np.array_equal(answers.classes, record.rule.decide(pooled))
    elif record.rule.temperature == 1:
        assert np.abs(answers.probs - pooled).max() < 1e-6
    assert record.oof is not None and record.oof.photos == 60
    row = pd.read_csv(tmp_path / "leaderboard.csv", dtype=str).iloc[-1]
    assert float(row["oof"]) == pytest.approx(record.oof.scores.score)
    expected = expected_counts(out, plan, competition)
    assert all("same" not in line for line in check_submission(out, data, expected))


@pytest.mark.parametrize("name", FORMS)
def test_a_record_makes_the_same_file_again(tmp_path, name):
    data, plan, files = world(tmp_path, name)
    settings = EnsembleSettings(blend="weights", force_blend=True)
    out, record = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"), settings)
    again = tmp_path / "again.csv"
    _, remade = reproduce(out.with_suffix(".json"), plan, data, Output(path=again))
    assert again.read_bytes() == out.read_bytes() and remade.sha256 == record.sha256
    assert json.loads(again.with_suffix(".json").read_text())["remade_as"] == "to the byte"
    # Without a plan the definition's own competition reads the files.
    unscored = EnsembleSettings(score=False)
    plain, _ = ensemble(
        files_of_test(tmp_path, files, data),
        None,
        data,
        Output(path=tmp_path / "plain.csv"),
        unscored,
    )
    assert list(read_submission(plain, data).ids) == answer_rows(data).units


def files_of_test(root, files, data):
    """The files without training photos."""
    ids, paths = read_ids(data), []
    for path in files:
        table = read_foreign_probs(path, data.competition)
        paths.append(root / f"test_{path.name}")
        np.savez(paths[-1], ids=np.array(ids), probs=table.at(ids))
    return paths


def shifted(path, by):
    """Move the probabilities of a submission, and give its record the new hash."""
    table = pd.read_csv(path, dtype={"image": str})
    table["target"] += by
    table.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    record = read_json(path.with_suffix(".json"), "delete it") | {"sha256": file_hash(path)}
    write_json(path.with_suffix(".json"), record, force=True)


def test_probabilities_are_made_again_to_what_a_device_rounds(tmp_path):
    data, plan, files = world(tmp_path, "probability")
    out, _ = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    first, again = out.read_bytes(), Output(path=tmp_path / "again.csv")
    shifted(out, 3e-6)
    _, remade = reproduce(out.with_suffix(".json"), plan, data, again)
    assert remade.remade_as.startswith("within 1e-05: the largest difference is 3e-06")
    assert again.path.read_bytes() == first
    shifted(out, 3e-5)
    with pytest.raises(KitError, match="is not made again: a probability differs by 3.3e-05 from"):
        reproduce(out.with_suffix(".json"), plan, data, dataclasses.replace(again, force=True))
    out.unlink()
    with pytest.raises(KitError, match="and there is no .*s.csv to compare it with"):
        reproduce(out.with_suffix(".json"), plan, data, dataclasses.replace(again, force=True))
    assert again.path.read_bytes() == first


def test_answers_that_differ_are_not_made_again(tmp_path):
    data, plan, files = world(tmp_path, "list")
    out, _ = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    again = Output(path=tmp_path / "again.csv")
    record = read_json(out.with_suffix(".json"), "delete it") | {"sha256": "0" * 64}
    write_json(tmp_path / "alone.json", record)
    with pytest.raises(KitError, match="is not made again: its answers differ from the record's"):
        reproduce(tmp_path / "alone.json", plan, data, again)
    write_json(out.with_suffix(".json"), record, force=True)  # not the record of what is beside
    with pytest.raises(KitError, match="s.csv: is not the file that s.json beside it describes"):
        reproduce(out.with_suffix(".json"), plan, data, again)
    assert not (tmp_path / "again.csv").exists()


def test_a_score_of_photos_is_told_where_rows_are_of_several(tmp_path, capsys):
    data, plan, files = world(tmp_path, "pooled")
    _, record = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    show_record(record, plan.competition)
    assert "the competition's score of rows will differ" in capsys.readouterr().out


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_photos_of_one_row_are_pooled(tmp_path, pool):
    data, plan, files = world(tmp_path, "pooled", pool=pool)
    out, _ = ensemble(
        files[:1], plan, data, Output(path=tmp_path / "s.csv"), EnsembleSettings(score=False)
    )
    second = read_foreign_probs(files[0], data.competition).at(read_ids(data))[:, 1]
    pairs = second.reshape(-1, 2)  # two photos of each side
    wanted = pairs.max(axis=1) if pool == "max" else pairs.mean(axis=1)
    assert read_answers(out, data.competition).probs[:, 1] == pytest.approx(wanted, abs=1e-6)


def test_photos_of_one_row_are_not_decided_early(tmp_path):
    data, plan, files = world(tmp_path, "pooled", kind="classes", answer="class")
    with pytest.raises(KitError, match="--fast: .* a row of the submission is of several"):
        ensemble(files, plan, data, Output(path=tmp_path / "s.csv"), EnsembleSettings(fast=True))
