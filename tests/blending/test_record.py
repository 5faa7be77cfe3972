"""The record: written, read, refused."""

import json

from conftest import ensemble_arguments

from kit.ensemble import main


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
        {"members": [members[0] | {"files": [members[0]["files"][0] | {"chosen_on_fold": None}]}]},
    ):
        (copy / "bad.json").write_text(json.dumps(record | damage))
        line = [
            "--from",
            copy / "bad.json",
            *ensemble_arguments(copy)[1:5],
            "--out",
            copy / "new.csv",
        ]
        assert "is no record of a submission" in fails(main, *line)
    assert not (copy / "new.csv").exists()
