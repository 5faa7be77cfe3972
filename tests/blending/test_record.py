"""The record: written, read, refused."""

import json
import math

import pytest
from helpers import ensemble_arguments, theirs

from kit.blending.record import Record
from kit.ensemble import main
from kit.system.disk import read_json, write_json
from kit.system.errors import KitError


def test_a_record_whose_score_cannot_be_shown_makes_no_file(copy, fails, capsys):
    assert main(ensemble_arguments(copy)) == 0
    capsys.readouterr()
    record = json.loads((copy / "s.json").read_text())
    oof, members = record["oof"], record["members"]
    for damage in (
        {"oof": oof | {"interval": "x"}},
        {"oof": oof | {"interval": [0.1]}},
        {"oof": oof | {"effective": "x"}},
        {"oof": oof | {"classes": [oof["classes"][0] | {"interval": 3}, *oof["classes"][1:]]}},
        {"oof": oof | {"score": math.inf}},
        {"oof": oof | {"photos": 0}},
        {"oof": oof | {"folds": {"0": math.inf}}},
        {"oof": oof | {"members": [oof["members"][0] | {"correlations": ["x"]}]}},
        {"members": [members[0] | {"name": None}]},
        {"members": [members[0] | {"parameters": "x"}]},
        {"members": [members[0] | {"gflop": 10**400}]},
        {"members": [members[0] | {"files": [members[0]["files"][0] | {"path": None}]}]},
        {"members": [members[0] | {"files": [members[0]["files"][0] | {"chosen_on_fold": None}]}]},
    ):
        write_json(copy / "bad.json", record | damage, force=True)
        line = [
            "--from",
            copy / "bad.json",
            *ensemble_arguments(copy)[1:5],
            "--out",
            copy / "new.csv",
        ]
        assert "is no record of a submission" in fails(main, *line)
    assert not (copy / "new.csv").exists()


def test_a_record_is_read_as_it_was_written(copy):
    options = ("--tta", "hflip", "--score-tta", "--decide", "bias", "--fast")
    assert main(ensemble_arguments(copy, theirs(copy), *options)) == 0
    content, record = read_json(copy / "s.json", "delete it"), Record.read(copy / "s.json")
    assert json.loads(json.dumps(record.describe())) == content
    assert set(record.oof.views) == {"plain", "hflip"} == set(record.views)
    assert record.members[0].folds == 3 and record.members[1].files[0].fold is None
    assert record.rule.biases.shape == (18,) and record.early.agree is None
    assert {"modes", "saved", "decided_after"} <= content.keys() and "early" not in content


def test_a_record_that_is_none_is_one_line(tmp_path):
    with pytest.raises(KitError, match="there is no such file"):
        Record.read(tmp_path / "s.json")
    for content in ({}, {"settings": {}}, {"settings": {"used": "mean"}, "oof": None}):
        write_json(tmp_path / "s.json", content, force=True)
        with pytest.raises(KitError, match="is no record of a submission"):
            Record.read(tmp_path / "s.json")
